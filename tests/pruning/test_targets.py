"""Targets: classes, labels a pixel and values, of every shape people have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_tasks import digits_task

from pruning import InputError
from pruning.reading.labels import pixels_of
from pruning.reading.target import UNLABELLED, Target
from pruning.reading.targets import kind_of, target_of, targets_of, values_of
from pruning.training.data import load
from pruning.training.loop import open_data
from pruning.training.task import Augment, DataSpec

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        (np.arange(6), (6,)),
        (np.arange(6)[:, None], (6,)),
        (np.zeros((6, 4, 5), dtype=np.uint8), (6, 4, 5)),
        (np.zeros((6, 1, 4, 5), dtype=bool), (6, 4, 5)),
        (torch.zeros(6, 4, 5, 3, dtype=torch.long), (6, 4, 5, 3)),
        (np.array(list("abcdef")), (6,)),
    ],
)
def test_classes(values: Any, shape: tuple[int, ...]) -> None:
    parts = {"y": (torch.zeros(6, 1, *shape[1:]), values)}
    found, _, _ = targets_of(parts, None, DataSpec(source="digits"))
    assert (found["y"].dtype, tuple(found["y"].shape)) == (torch.int64, shape)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.full((2, 3, 3), 0.5), "18 labels that are fractions"),
        (np.full((2, 3, 3), -1), "label -1"),
        (np.full((2, 3, 3), "a"), "holds str"),
        (np.full((2, 3, 3), 255), "no label at all"),
    ],
)
def test_labels_a_pixel_that_are_none(values: Any, said: str) -> None:
    parts = {"y": (torch.zeros(2, 1, 3, 3), values)}
    with pytest.raises(ValueError, match=said):
        targets_of(parts, None, DataSpec(source="digits", unlabelled=255))


@pytest.mark.parametrize(
    ("values", "samples", "shape"),
    [
        (np.arange(6.0), 2, (6, 1)),
        (np.arange(6), 2, (6, 1)),
        (np.ones((6, 3), dtype=bool), 4, (6, 3)),
        (np.ones((6, 4, 5)), 4, (6, 1, 4, 5)),
        (np.ones((6, 4, 5)), 3, (6, 4, 5)),
        (np.ones((6, 2, 4, 5)), 4, (6, 2, 4, 5)),
    ],
)
def test_values(values: Any, samples: int, shape: tuple[int, ...]) -> None:
    found = values_of(values, "y", samples)
    assert (found.dtype, tuple(found.shape)) == (torch.float32, shape)


def test_values_that_are_none_are_refused_with_their_number() -> None:
    with pytest.raises(ValueError, match="2 values that are not finite"):
        values_of(np.array([1.0, np.nan, np.inf]), "y")


def test_pixels_without_a_label_count_for_nothing() -> None:
    found = pixels_of(np.array([[[0, 255], [2, 1]]]), "y", unlabelled=255)
    assert found.tolist() == [[[0, UNLABELLED], [2, 1]]]


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        (3, "classes", 3),
        (torch.tensor([3]), "classes", 3),
        (2.5, "values", [2.5]),
        ([1, 0, 1], "values", [1.0, 0.0, 1.0]),
        (np.array([[0, 1]]), "classes", [[0, 1]]),
    ],
)
def test_of_one_sample(value: Any, kind: Any, found: Any) -> None:
    target = target_of(value, kind)
    assert (target.tolist() if isinstance(target, torch.Tensor) else target) == found


def test_kinds() -> None:
    assert [kind_of(np.zeros(2), asked) for asked in ("auto", "classes", "values", "typed")] == [
        *("classes", "classes", "values", "values")
    ]
    assert kind_of(np.zeros(2, dtype=int), "typed") == "classes"


@pytest.mark.parametrize(
    ("loss", "kind", "outputs", "classes"),
    [
        ("cross_entropy", Target("classes"), 10, 10),
        ("mse", Target("values", (1,)), 1, 0),
        ("torch.nn:CrossEntropyLoss", Target("classes"), 10, 10),
    ],
)
def test_the_loss_says_how_they_are_read(
    loss: str, kind: Target, outputs: int, classes: int
) -> None:
    data = open_data(digits_task(loss=loss, label_smoothing=0.0), CPU)
    assert (data.target, data.outputs, data.classes) == (kind, outputs, classes)


def test_what_outside_scripts_load_is_of_classes() -> None:
    data = load(DataSpec(source="digits").model_dump_json(), Augment().model_dump_json(), "cpu")
    assert (data.target, data.classes) == (Target(), 10)


def test_pixels_from_a_file(tmp_path: Any) -> None:
    masks = np.arange(20)[:, None, None] % 3 + np.zeros((20, 4, 4), dtype=int)
    masks[:, 0, 0] = 255
    np.savez(tmp_path / "p.npz", x=np.random.default_rng(0).random((20, 4, 4)), y=masks)
    source = {"source": f"npz:{tmp_path / 'p.npz'}", "unlabelled": 255}
    plain = {"augment": {}, "label_smoothing": 0.0, "data": source}
    data = open_data(digits_task(**plain), CPU)
    assert (data.target, data.classes) == (Target("classes", (4, 4)), 3)
    with pytest.raises(InputError, match="pictures would move"):
        open_data(digits_task(**{**plain, "augment": {"flip": True}}), CPU)


def test_a_label_a_pixel_far_beyond_the_others_is_a_guess() -> None:
    masks = torch.arange(32).reshape(2, 4, 4) % 3
    masks[:, 0, 0] = 255
    parts = {"y": (torch.zeros(2, 1, 4, 4), masks)}
    with pytest.raises(InputError, match=r"task\.data\.unlabelled: missing; .* is 255 no label"):
        targets_of(parts, None, DataSpec(source="digits"))
    for spec, count in (({"unlabelled": 255}, 3), ({"targets": "classes"}, 256)):
        _, classes, _ = targets_of(parts, None, DataSpec.parse({"source": "digits", **spec}))
        assert len(classes) == count
