"""Data: splits by seed, every source, augmentation, and what is refused."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from documents import blocks
from sklearn.datasets import load_digits
from small_tasks import Noisy
from torch import Tensor

from pruning import InputError
from pruning.training.batches import TensorBatches
from pruning.training.data import Data, load
from pruning.training.loop import Training
from pruning.training.task import Augment, DataSpec, Task

CPU = torch.device("cpu")


def opened(source: str, augment: Augment | None = None, **settings: Any) -> Data:
    spec = DataSpec.parse({"source": source, **settings}, "task.data")
    return load(spec.model_dump_json(), (augment or Augment()).model_dump_json(), "cpu")


def tensors(data: Data) -> list[Tensor]:
    parts = (data.train, data.validation, data.test)
    assert all(isinstance(part, TensorBatches) for part in parts)
    return [part.x for part in parts if isinstance(part, TensorBatches)]


def saved(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return f"npz:{path}"


def numbered(count: int, *shape: int) -> np.ndarray:
    """Samples that can be told apart: all values of sample i are i."""
    return np.broadcast_to(
        np.arange(count, dtype=np.float32).reshape(-1, *(1 for _ in shape)), (count, *shape)
    ).copy()


def test_digits_are_split_into_disjoint_parts() -> None:
    data = opened("digits")
    assert (data.shape, data.classes) == ((1, 8, 8), 10)
    assert [len(part) for part in tensors(data)] == [1078, 270, 449]
    assert opened("digits", train_limit=50).train.x.shape == (50, 1, 8, 8)


def test_splits_are_disjoint_exhaustive_and_by_seed(tmp_path: Path) -> None:
    source = saved(tmp_path / "n.npz", x=numbered(100, 4), y=np.arange(100) % 3)

    def numbers(**settings: Any) -> list[list[int]]:
        parts = tensors(opened(source, validation=0.25, test=0.2, **settings))
        order = torch.cat([part[:, 0] for part in parts]).argsort().argsort()
        return [part.tolist() for part in torch.split(order, [len(part) for part in parts])]

    first = numbers()
    assert [len(part) for part in first] == [60, 20, 20]
    assert sorted(number for part in first for number in part) == list(range(100))
    assert numbers(split_seed=0) == first
    assert numbers(split_seed=1) != first


@pytest.mark.parametrize("settings", [{}, {"validation": 0.13, "test": 0.4, "split_seed": 7}])
def test_the_page_says_which_samples_are_which(tmp_path: Path, settings: dict[str, Any]) -> None:
    (block,) = blocks(Path(__file__).parents[2] / "docs" / "data.md", "python")
    names: dict[str, Any] = {}
    exec(block, names)
    source = saved(tmp_path / "n.npz", x=numbered(101, 4), y=np.arange(101) % 3)
    found = tensors(opened(source, **settings))
    expected = names["parts"](101, **settings)
    everything = torch.cat(found)[:, 0].sort().values
    for part, indices in zip(found, expected, strict=True):
        assert torch.searchsorted(everything, part[:, 0].contiguous()).tolist() == indices.tolist()
    digits = opened("digits").test
    assert isinstance(digits, TensorBatches)
    assert digits.y.tolist() == load_digits().target[names["test"]].tolist()


def test_train_limit_draws_from_all_classes(tmp_path: Path) -> None:
    source = saved(tmp_path / "s.npz", x=numbered(300, 2), y=np.repeat([0, 1, 2], 100))
    limited, whole = opened(source, train_limit=30), opened(source)
    assert isinstance(limited.train, TensorBatches)
    assert set(limited.train.y.tolist()) == {0, 1, 2}
    assert len(limited.train) == 30
    assert torch.equal(limited.test.y, whole.test.y)
    assert torch.equal(limited.validation.y, whole.validation.y)


def test_npz_with_channels_last_becomes_channels_first(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (20, 5, 6, 3), dtype=np.uint8)
    labels = np.arange(20)[:, None] % 4
    source = saved(
        tmp_path / "c.npz", x_train=pictures, y_train=labels, x_test=pictures[:8], y_test=labels[:8]
    )
    data = opened(source)
    assert (data.shape, data.classes) == ((3, 5, 6), 4)
    assert [len(part) for part in tensors(data)] == [16, 4, 8]
    train, _, test = tensors(data)
    assert train.mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert train.std((0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=1e-4)
    channel = torch.from_numpy(pictures[:8, :, :, 1]).float()
    assert torch.corrcoef(torch.stack([channel.flatten(), test[:, 1].flatten()]))[0, 1] > 0.9999


def test_npz_in_greyscale_and_flat(tmp_path: Path) -> None:
    grey = saved(tmp_path / "g.npz", x=numbered(20, 5, 6), y=np.arange(20) % 2)
    assert opened(grey).shape == (1, 5, 6)
    flat = saved(tmp_path / "f.npz", x=numbered(20, 7), y=np.arange(20) % 2)
    assert opened(flat).shape == (7,)


def test_a_mapping_by_dotted_path_brings_its_own_parts() -> None:
    data = opened("small_tasks:mapping")
    assert data.shape == (3, 4, 4)
    assert [len(part) for part in tensors(data)] == [10, 4, 6]


def test_three_data_sets_by_dotted_path() -> None:
    data = opened("small_tasks:three_sets", options={"count": 50})
    assert (data.shape, data.classes) == ((1, 6, 6), 2)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [50, 20, 20]
    assert len(opened("small_tasks:three_sets", train_limit=16).train) == 16


def test_what_a_data_set_draws_depends_on_seed_epoch_and_sample_only() -> None:
    train = opened("small_tasks:three_sets").train

    def epoch(seed: int, number: int) -> Tensor:
        return torch.cat([x for x, _ in train.shuffled(16, seed, number)])

    random_state = torch.get_rng_state()
    first = epoch(0, 1)
    assert torch.equal(random_state, torch.get_rng_state())
    torch.randn(3)
    assert torch.equal(first, epoch(0, 1))
    assert not torch.equal(first, epoch(0, 2))
    assert not torch.equal(first, epoch(1, 1))


def test_torchvisions_files_without_network(tmp_path: Path) -> None:
    """MNIST's own format, written by hand: labels that are a tensor, 28x28 or not."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 30), ("t10k", 10)):
        header = struct.pack(">4i", 0x803, count, 6, 6)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + bytes(range(36)) * count)
        labels = bytes(number % 3 for number in range(count))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, count) + labels)
    data = opened("torchvision:MNIST", root=str(tmp_path))
    assert (data.shape, data.classes) == ((1, 6, 6), 3)
    assert [len(part) for part in tensors(data)] == [24, 6, 10]


def test_order_takes_every_sample_once_and_depends_on_seed_and_epoch() -> None:
    batches = TensorBatches(torch.arange(20.0), torch.arange(20), Augment(), CPU)

    def labels(seed: int, epoch: int) -> list[int]:
        return torch.cat([y for _, y in batches.shuffled(5, seed, epoch)]).tolist()

    assert sorted(labels(0, 0)) == list(range(20))
    assert labels(0, 0) == labels(0, 0)
    assert len({tuple(labels(*at)) for at in ((0, 0), (0, 1), (1, 0), (1, 1))}) == 4
    assert [len(y) for _, y in batches.shuffled(8, 0, 0)] == [8, 8]  # the rest is dropped
    assert [len(y) for _, y in batches.shuffled(64, 0, 0)] == [20]
    assert [len(y) for _, y in batches.in_order(8)] == [8, 8, 4]


def test_augmentation_draws_from_seed_and_epoch_only() -> None:
    pictures = torch.randn(1, 1, 6, 6).repeat(12, 1, 1, 1)  # the same, so order does not show
    batches = TensorBatches(pictures, torch.arange(12), Augment(crop=2, flip=True), CPU)

    def epoch(seed: int, number: int) -> Tensor:
        return torch.cat([x for x, _ in batches.shuffled(4, seed, number)])

    random_state = torch.get_rng_state()
    first = epoch(3, 1)
    assert torch.equal(random_state, torch.get_rng_state())
    torch.manual_seed(99)
    assert torch.equal(first, epoch(3, 1))
    assert not torch.equal(first, epoch(3, 2))
    assert not torch.equal(first, epoch(4, 1))
    assert torch.equal(torch.cat([x for x, _ in batches.in_order(4)]), pictures)


def test_flip_mirrors_and_crop_moves_with_zeros() -> None:
    pictures = torch.randn(40, 2, 5, 5)
    mirrored = TensorBatches(pictures, torch.arange(40), Augment(flip=True), CPU)
    x, y = next(mirrored.shuffled(40, 0, 0))
    flips = [torch.equal(a, pictures[b].flip(-1)) for a, b in zip(x, y, strict=True)]
    plain = [torch.equal(a, pictures[b]) for a, b in zip(x, y, strict=True)]
    assert all(a != b for a, b in zip(flips, plain, strict=True))
    assert 8 < sum(flips) < 32
    moved = TensorBatches(pictures, torch.arange(40), Augment(crop=1), CPU)
    x, y = next(moved.shuffled(40, 0, 0))
    seen = set()
    for found, number in zip(x, y, strict=True):
        padded = torch.nn.functional.pad(pictures[number], (1, 1, 1, 1))
        places = [
            (row, column)
            for row in range(3)
            for column in range(3)
            if torch.equal(found, padded[:, row : row + 5, column : column + 5])
        ]
        assert len(places) == 1
        seen |= set(places)
    assert len(seen) > 5


def test_noise_of_a_data_set_is_drawn_inside_the_sample() -> None:
    assert not torch.equal(Noisy(2)[0][0], Noisy(2)[0][0])


@pytest.mark.parametrize(
    ("source", "settings", "message"),
    [
        (
            "digit",
            {},
            "unknown data 'digit'; did you mean 'digits'? (allowed: digits, imagefolder:PATH, ",
        ),
        ("npz:/no/such.npz", {}, "file '/no/such.npz' does not exist"),
        ("imagefolder:/no/such", {}, "folder '/no/such' does not exist"),
        (
            "no_such_package:load",
            {},
            "'no_such_package:load' does not import (ModuleNotFoundError: ",
        ),
        ("small_tasks:nothing", {}, "module 'small_tasks' has no 'nothing'"),
        ("small_tasks:broken", {}, "'small_tasks:broken' failed (KeyError: 'the disk is full')"),
        (
            "small_tasks:three_sets",
            {"options": {"cuont": 1}},
            "unexpected keyword argument 'cuont'",
        ),
        ("small_tasks:without_validation", {}, "has no validation part"),
        ("digits", {"validation": 0}, "validation: 0.0 leaves no validation part"),
        (
            "digits",
            {"validation": 0.9999},
            "validation: 0.9999 of 1348 samples leaves none to train on",
        ),
        ("digits", {"test": 0}, "test: 0.0 leaves no test part"),
        (
            "torchvision:CIFAR11",
            {},
            "unknown torchvision data set 'CIFAR11'; did you mean 'CIFAR10'?",
        ),
    ],
)
def test_refused_in_one_line(source: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        opened(source, **settings)
    assert str(error.value).startswith("task.data")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["CIFAR10", "MNIST"])
def test_a_torchvision_set_that_is_not_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no network\nat all")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    begin = time.perf_counter()
    with pytest.raises(InputError, match=f"torchvision:{name} cannot be had in ") as error:
        opened(f"torchvision:{name}", root=str(tmp_path))
    assert "\n" not in str(error.value)
    assert time.perf_counter() - begin < 20


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3)}, "has ['a']; x_train and y_train (or x and y) are needed"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(4)}, "has 3 samples and 4 labels"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "x has no samples: its shape is (0, 2)"),
        (
            {"x": np.zeros((3, 2)), "y": np.array([0, -1, 1])},
            "the training part has label -1 (allowed: from 0, or words)",
        ),
        (
            {"x": np.zeros((3, 2)), "y": np.array(["a", "b", "c"], dtype=object)},
            "no npz file of plain arrays",
        ),
    ],
)
def test_a_wrong_npz(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        opened(saved(tmp_path / "wrong.npz", **arrays))
    assert message in str(error.value)
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(InputError, match="no npz file of plain arrays"):
        opened(f"npz:{tmp_path / 'text.npz'}")


def test_labels_that_only_the_test_part_has_are_refused(tmp_path: Path) -> None:
    x = numbered(10, 2)
    source = saved(
        tmp_path / "t.npz", x_train=x, y_train=np.arange(10) % 2, x_test=x, y_test=np.arange(10) % 4
    )
    message = "the test part has labels 2, 3, which the training part has not"
    with pytest.raises(InputError, match=message):
        opened(source)


def test_augmentation_of_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    flat = saved(tmp_path / "flat.npz", x=numbered(20, 7), y=np.arange(20) % 2)
    with pytest.raises(InputError, match=r"samples of shape \(7,\) are not pictures"):
        opened(flat, Augment(flip=True))
    with pytest.raises(InputError, match="'small_tasks:three_sets' is read sample by sample"):
        opened("small_tasks:three_sets", Augment(flip=True))


def test_a_model_that_does_not_fit_the_data_is_refused() -> None:
    task = Task.parse({"model": "torchvision:resnet18", "data": "digits", "epochs": 1})
    with pytest.raises(InputError, match=r"does not take samples of shape \(1, 8, 8\)"):
        Training(task)
