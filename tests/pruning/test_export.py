"""A network as a file of its own gives what it gave when it was trained."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pruning.actions import Mask, Prune
from pruning.errors import InputError
from pruning.export import FORMATS, load_network, read_card, write
from pruning.training.loop import Training
from pruning.training.task import Task

MODELS: dict[str, dict[str, Any]] = {
    "small_cnn": {"name": "small_cnn", "options": {"widths": [8, 12], "pool_after": [0]}},
    "small_resnet": {"name": "small_resnet", "options": {"widths": [8, 16]}},
    "small_mlp": {"name": "small_mlp", "options": {"hidden": [16, 12]}},
    "resnet18": {"name": "torchvision:resnet18"},
    "own": {"name": "test_export:mine", "options": {"width": 9}},
}


class Mine(nn.Module):
    """A tied layer, and batch norm's buffers."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.again = self.norm
        self.last = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.norm(self.first(x))).mean((2, 3)))  # type: ignore[no-any-return]


def mine(shape: tuple[int, ...], classes: int, width: int) -> nn.Module:
    return Mine(shape[0], classes, width)


class Origin(Mine):
    """Asks about its values, which no exported program can."""

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        return out if bool(out.sum() > 1e9) or not self.training else out + 0 * out


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colour pictures as bytes, with a test part of their own: [n, 3, 8, 8] and 4 classes."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 4, 300)
    x = draw.integers(0, 120, (300, 3, 8, 8)) + 30 * labels[:, None, None, None]
    path = tmp_path_factory.mktemp("pictures") / "pictures.npz"
    parts = {"x_train": x[:200], "x_test": x[200:]}
    whole = {name: part.astype(np.uint8) for name, part in parts.items()}
    np.savez(path, **whole, y_train=labels[:200], y_test=labels[200:])
    return path


def pruned(pictures: Path, model: dict[str, Any]) -> Training:
    """Two epochs, with every third unit gone after the first."""
    task = Task.parse(
        {"model": model, "data": f"npz:{pictures}", "epochs": 2, "batch_size": 32, "protect": []}
    )
    training = Training(task, seed=1)
    training.begin()
    training.epoch()
    layout = training.layout
    first = [int(offset) for offset in layout.offsets[: len(layout.names)]]
    keep = set(first)
    training.apply(Prune.of(unit for unit in range(0, layout.total, 3) if unit not in keep))
    training.epoch()
    return training


def prepared(pictures: Path, card: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The test part, made ready by somebody who has nothing but the file."""
    with np.load(pictures) as file:
        x, y = file["x_test"], file["y_test"]
    mean, std = (np.array(card["normalize"][name])[:, None, None] for name in ("mean", "std"))
    return torch.from_numpy(((x / 255 - mean) / std).astype(np.float32)), torch.from_numpy(y)


def accuracy(forward: Callable[[Tensor], Tensor], part: tuple[Tensor, Tensor]) -> float:
    with torch.no_grad():
        return (forward(part[0]).argmax(1) == part[1]).double().mean().item()


def from_pt2(path: Path) -> tuple[Callable[[Tensor], Tensor], dict[str, Any]]:
    extra = {"earlyprune.json": ""}
    program = torch.export.load(path, extra_files=extra)
    return program.module(), json.loads(extra["earlyprune.json"])


def from_onnx(path: Path) -> tuple[Callable[[Tensor], Tensor], dict[str, Any]]:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path.read_bytes())
    card = json.loads(session.get_modelmeta().custom_metadata_map["earlyprune"])
    return lambda x: torch.from_numpy(session.run(None, {"samples": x.numpy()})[0]), card


READ: dict[str, Callable[[Path], tuple[Callable[[Tensor], Tensor], dict[str, Any]]]] = {
    "safetensors": lambda path: (load_network(path), read_card(path)),
    "pt2": from_pt2,
    "onnx": from_onnx,
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", MODELS)
def test_the_file_alone_gives_the_recorded_accuracy(
    pictures: Path, tmp_path: Path, name: str, kind: str
) -> None:
    if kind == "onnx":
        pytest.importorskip("onnxscript")
    training = pruned(pictures, MODELS[name])
    record = training.pruner.records[-1]
    path = tmp_path / f"network.{kind}"
    compared = write(training, path, kind, {"trial": "some"})
    assert compared.samples == len(training.data.validation)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o044 == 0o044, "others may read it, as any file"
    forward, card = READ[kind](path)
    assert card["trial"] == "some"
    assert len(card["removed"]) == training.layout.total - record.costs["units"] > 0
    assert accuracy(forward, prepared(pictures, card)) == record.test["test_accuracy"]


def test_it_is_really_small_and_the_same_to_the_last_bit(pictures: Path, tmp_path: Path) -> None:
    training = pruned(pictures, MODELS["small_cnn"])
    path = tmp_path / "network.safetensors"
    assert write(training, path, "safetensors", {}).difference == 0
    model = load_network(path)
    assert not model.training
    assert sum(p.numel() for p in model.parameters()) == training.pruner.network.cost().params
    own = training.model.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in model.state_dict().items())


def test_masked_weights_are_zero(pictures: Path, tmp_path: Path) -> None:
    training = pruned(pictures, MODELS["small_mlp"])
    training.apply(Mask(0.5))
    path = tmp_path / "network.safetensors"
    write(training, path, "safetensors", {})
    values = load_file(path)
    zero = sum(int((value == 0).sum()) for key, value in values.items() if key.endswith("weight"))
    assert zero >= training.pruner.network.cost().masked > 0


def test_what_cannot_be_written_or_read_is_said(pictures: Path, tmp_path: Path) -> None:
    training = pruned(pictures, MODELS["own"])
    with pytest.raises(InputError, match=r"--format: unknown format 'pickle'"):
        write(training, tmp_path / "x", "pickle", {})
    with pytest.raises(
        InputError, match=r"--output: '.*nowhere/x' cannot be written \(.*No such file"
    ):
        write(training, tmp_path / "nowhere" / "x", "pt2", {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(InputError, match=r"needs the package 'onnxruntime': pip install"):
            write(training, tmp_path / "x.onnx", "onnx", {})
    training.model.__class__ = Origin
    with pytest.raises(InputError, match=r"--format: 'pt2' cannot hold this network"):
        write(training, tmp_path / "x.pt2", "pt2", {})
    assert not list(tmp_path.iterdir())
    (tmp_path / "broken").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"network: '.*broken' cannot be read"):
        load_network(tmp_path / "broken")
    with pytest.raises(InputError, match=r"network: '.*missing' cannot be read"):
        load_network(tmp_path / "missing")
