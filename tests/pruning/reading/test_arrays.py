"""Arrays: what are no numbers, not finite or empty is refused in a line; features one by one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made import bytes_of, cycle, noted, npz, opened, refusal, whole
from small_tasks import digits_task

from pruning.errors import InputError
from pruning.reading.parts import arrays_of
from pruning.training.task import Augment, DataSpec, Task

FLAT = np.random.default_rng(1).random((40, 6))
Y = cycle(40)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (FLAT + 1j, "complex numbers (complex128)"),
        (np.arange(40).astype("datetime64[D]")[:, None], "dates (datetime64[D])"),
        (np.arange(40).astype("timedelta64[s]")[:, None], "spans of time (timedelta64[s])"),
        (FLAT.astype(str), "text (str"),
        (FLAT.astype(np.longdouble), "numbers of more than 64 bits ("),
        (np.zeros((40, 2), dtype=[("a", "f4"), ("b", "i4")]), "records of several fields"),
        (np.zeros((40, 0)), "x has the shape (40, 0): samples with nothing in them"),
        (np.zeros((40, 0, 8, 8), np.uint8), "(40, 0, 8, 8): samples with nothing in them"),
        (np.zeros((0, 6)), "x has no samples"),
        (np.zeros(40), "x has the shape (40,): a number a sample"),
        (np.float64(3), "x has the shape (): a number a sample"),
    ],
)
def test_what_are_no_samples(tmp_path: Path, samples: Any, said: str) -> None:
    assert said in refusal(npz(tmp_path, x=samples, y=Y))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (
            (3, 2),
            np.nan,
            "x has a value that is not finite (as float32), the first (nan) at [3, 2]",
        ),
        (
            (slice(5, 9), 1),
            np.inf,
            "x has 4 values that are not finite (as float32), the first (inf)",
        ),
        ((7, 0), -1e200, "the first (-inf) at [7, 0]"),
    ],
)
def test_values_that_are_not_finite_are_counted_and_placed(
    tmp_path: Path, place: Any, value: float, said: str
) -> None:
    samples = FLAT.copy()
    samples[place] = value
    assert said in refusal(npz(tmp_path, x=samples, y=Y))


def test_every_part_is_looked_at(tmp_path: Path) -> None:
    test = FLAT.copy()
    test[0, 5] = np.nan
    source = npz(tmp_path, x_train=FLAT, y_train=Y, x_test=test, y_test=Y)
    assert "x_test has a value that is not finite" in refusal(source)


def test_masked_and_ragged_arrays_of_ones_own() -> None:
    masked = np.ma.masked_greater(FLAT, 0.5)
    spec = DataSpec(source="own:load")
    with pytest.raises(ValueError, match="x has masked values"):
        arrays_of({"x": masked, "y": Y}, "own:load", spec)
    with pytest.raises(ValueError, match="x is no array: its rows differ"):
        arrays_of({"x": [[1, 2], [1]], "y": [0, 1]}, "own:load", spec)
    with pytest.raises(ValueError, match="x holds Python objects"):
        arrays_of({"x": np.array([[None], ["a"]]), "y": [0, 1]}, "own:load", spec)


@pytest.mark.parametrize("kind", [np.int64, np.float16, np.uint16, np.dtype(">f4"), np.bool_])
def test_every_kind_of_number_is_read(tmp_path: Path, kind: Any) -> None:
    samples = (FLAT * 50 > 20).astype(kind)
    data = opened(npz(tmp_path, x=samples, y=Y))
    assert data.shape == (6,)
    assert data.train.x.dtype == torch.float32


def test_features_are_scaled_one_by_one(tmp_path: Path) -> None:
    """Raw ones: some in thousands, some in thousandths, one that never changes."""
    samples = FLAT * [1e6, 1.0, 1e-6, 1e3, 1.0, 0.0] + [1e7, 0, 0, 5, -3, 4]
    data = opened(npz(tmp_path, x=samples, y=Y))
    x, _ = whole(data.train)
    assert x[:, :5].mean(0).abs().max() < 0.01
    assert (x[:, :5].std(0) - 1).abs().max() < 0.01
    assert x[:, 5].abs().max() == 0
    assert data.normalize
    assert len(data.normalize["std"]) == 6


def test_pictures_are_scaled_by_channel_as_ever(tmp_path: Path) -> None:
    data = opened(npz(tmp_path, x=bytes_of(40, 8, 8, 3), y=Y))
    x, _ = whole(data.train)
    assert x.mean((0, 2, 3)).abs().max() < 1e-5


def test_a_given_mean_and_deviation(tmp_path: Path) -> None:
    source = npz(tmp_path, x=bytes_of(40, 8, 8), y=Y)
    data = opened(source, Augment(mean=(0.5,), std=(0.25,)))
    assert data.normalize == {"mean": [0.5], "std": [0.25]}
    assert whole(data.test)[0].max() <= 2
    line = refusal(source, Augment(mean=(0.5, 0.5), std=(1, 1)))
    assert line == "task.augment.mean: [0.5, 0.5] is not allowed: the pictures have 1 channels"


@pytest.mark.parametrize(
    ("augment", "said"),
    [
        ({"mean": [0.5]}, "task.augment: mean: mean and std have a value a channel each"),
        ({"mean": [0.5], "std": [0]}, "task.augment.std.0: 0 is not allowed"),
        ({"transform": "a:b", "flip": True}, "transform: stands in place of crop and flip"),
        ({"crop": "random"}, "task.augment.crop"),
    ],
)
def test_augmentations_that_cannot_be(augment: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        Augment.parse(augment, "task.augment")
    assert said in str(error.value)


def test_what_is_for_pictures_read_one_by_one_is_refused(tmp_path: Path) -> None:
    source = npz(tmp_path, x=bytes_of(40, 8, 8), y=Y)
    assert "task.augment.crop: 'resized' is for pictures" in refusal(
        source, Augment(crop="resized")
    )
    assert "task.augment.transform" in refusal(source, Augment(transform="torch.nn:Identity"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"options": {"a": 1}}, "task.data.options: 'digits' has no use for it"),
        ({"layout": "hwc"}, "task.data.layout: 'digits' has no use for it"),
        ({"channels": 3}, "task.data.channels: 'digits' has no use for it"),
        ({"annotations": "a.txt"}, "task.data.annotations: 'digits' has no use for it"),
    ],
)
def test_settings_without_a_use(settings: dict[str, Any], said: str) -> None:
    assert refusal("digits", **settings) == said


@pytest.mark.parametrize("value", [b"\x80", {"b": b"\x80"}, [1, {2, 3}], float("nan")])
def test_options_that_no_file_could_keep(value: Any) -> None:
    with pytest.raises(InputError, match=r"task\.data\.options: a.* is not allowed"):
        DataSpec.parse({"source": "own:load", "options": {"a": value}}, "task.data")


def test_a_task_is_another_one_where_its_data_are_read_otherwise() -> None:
    """Addresses of what is read as ever are as ever; the others are not taken for the old ones."""
    assert "reading" not in digits_task().identity()["data"]
    same = {"model": "small_mlp", "epochs": 2}
    assert Task.parse({**same, "data": "digits"}).address() == "f876ebc290e46909"
    file = Task.parse({**same, "data": "npz:a.npz"})
    assert file.identity()["data"]["reading"] == 2
    assert Task.parse(file.identity()) == file
    cifar = Task.parse({**same, "data": "torchvision:CIFAR10"})
    assert "reading" not in cifar.identity()["data"]
    stored = file.model_dump(mode="json")
    del stored["data"]["reading"]  # as an earlier version stored it
    assert Task.parse(stored) == file


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    data, notes = noted(npz(tmp_path, X=FLAT, Y=Y, ids=np.arange(40), means=FLAT))
    assert data.shape == (6,)
    assert notes == [f"not read in {tmp_path / 'a.npz'}: ids, means"]


@pytest.mark.parametrize(
    "samples",
    [
        torch.rand(40, 6).to_sparse(),
        torch.empty(40, 6, device="meta"),
        torch.rand(40, 6).to_sparse_csr(),
    ],
)
def test_tensors_that_are_no_arrays(samples: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"x is a tensor \(.*\) that is no array of numbers"):
        arrays_of({"x": samples, "y": Y[:40]}, "own:load", DataSpec(source="own:load"))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.array(3), "one value in place of labels"),
        (np.zeros(len(Y), dtype=int), "has one class only, label 0"),
        (np.full(len(Y), "cat"), "has one class only, label 'cat'"),
    ],
)
def test_labels_that_leave_nothing_to_tell_apart(tmp_path: Path, labels: Any, said: str) -> None:
    assert said in refusal(npz(tmp_path, x=FLAT, y=labels))


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npz")
    assert "is no regular file, but a pipe" in refusal(f"npz:{tmp_path / 'a.npz'}")
    os.mkfifo(tmp_path / "x.npy")
    assert "is no regular file, but a pipe" in refusal(f"npy:{tmp_path}")
