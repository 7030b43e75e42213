"""A network as a file of its own gives what it gave when it was trained."""

from __future__ import annotations

import json
import subprocess
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
from pruning.preprocessing import Prepared, Preprocessing
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


def pruned(data: Path | str | dict[str, Any], model: dict[str, Any]) -> Training:
    """Two epochs, with every third unit gone after the first."""
    source = f"npz:{data}" if isinstance(data, Path) else data
    task = Task.parse({"model": model, "data": source, "epochs": 2, "batch_size": 32})
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
    "safetensors": lambda path: (load_network(path, trust=True), read_card(path)),
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
    written = write(training, path, kind, {"trial": "some"}, bare=True)
    assert written.samples == len(training.data.validation)
    assert written.input.startswith(
        "float32 [n, 3, 8, 8], prepared from uint8 [n, 3, 8, 8]: divide"
    )
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o044 == 0o044, "others may read it, as any file"
    forward, card = READ[kind](path)
    assert card["trial"] == "some"
    assert len(card["removed"]) == training.layout.total - record.costs["units"] > 0
    assert accuracy(forward, prepared(pictures, card)) == record.test["test_accuracy"]
    assert card["preprocessing"] is None


def test_it_is_really_small_and_the_same_to_the_last_bit(pictures: Path, tmp_path: Path) -> None:
    training = pruned(pictures, MODELS["small_cnn"])
    path = tmp_path / "network.safetensors"
    assert write(training, path, "safetensors", {}).difference == 0
    whole = load_network(path)
    assert isinstance(whole, Prepared)
    assert not whole.training
    model = whole.model
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


def shapes_of_arrays(folder: Path) -> dict[str, tuple[Any, str]]:
    """Sources of samples of each kind, with what a file is to say that it takes."""
    draw = np.random.default_rng(1)
    y = draw.integers(0, 3, 260)
    grey = (draw.integers(0, 90, (260, 8, 8)) + 50 * y[:, None, None]).astype(np.uint8)
    colour = np.stack([grey, 255 - grey, grey // 2], axis=-1)
    wine = draw.normal(500, 40, (260, 6)) + 30 * y[:, None]
    kinds = {
        "grey": (grey, "uint8 [n, 8, 8]"),
        "colour": (colour, "uint8 [n, 8, 8, 3]"),
        "first": (colour.transpose(0, 3, 1, 2), "uint8 [n, 3, 8, 8]"),
        "fractions": ((colour / 255).astype(np.float32), "float32 [n, 8, 8, 3]"),
        "features": (wine, "float64 [n, 6]"),
        "counts": (wine.astype(np.int64), "int64 [n, 6]"),
    }
    for name, (x, _) in kinds.items():
        path = folder / f"{name}.npz"
        np.savez(path, x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    return {name: (folder / f"{name}.npz", said) for name, (_, said) in kinds.items()}


SCRIPT = """
import json, sys
import numpy as np
{imports}
found = {{}}
for name in sys.argv[1:]:
    with np.load(f"{{name}}.npz") as file:
        x, y = file["x_test"], file["y_test"]
    found[name] = float((forward(name, x).argmax(1) == y).mean())
assert not {{"pruning", "earlyprune", "sweeps"}} & sys.modules.keys()
print(json.dumps(found))
"""
FORWARD = {
    "pt2": """
import torch
def forward(name, x):
    program = torch.export.load(f"{name}.pt2").module()
    with torch.no_grad():
        return program(torch.from_numpy(x)).numpy()
""",
    "onnx": """
import onnxruntime
def forward(name, x):
    return onnxruntime.InferenceSession(f"{name}.onnx").run(None, {"samples": x})[0]
""",
}


@pytest.mark.parametrize("kind", FORWARD)
def test_a_script_without_earlyprune_uses_it_on_samples_as_they_were_given(
    tmp_path: Path, kind: str
) -> None:
    if kind == "onnx":
        pytest.importorskip("onnxscript")
    wanted = {}
    for name, (source, said) in shapes_of_arrays(tmp_path).items():
        flat = name in ("features", "counts")
        training = pruned(source, MODELS["small_mlp" if flat else "small_cnn"])
        written = write(training, tmp_path / f"{name}.{kind}", kind, {})
        assert written.input == said
        wanted[name] = training.pruner.records[-1].test["test_accuracy"]
    script = SCRIPT.format(imports=FORWARD[kind])
    command = [sys.executable, "-I", "-c", script, *wanted]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == wanted


def test_samples_that_come_with_a_package_are_its_own(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    training = pruned("digits", MODELS["small_cnn"])
    path = tmp_path / "network.safetensors"
    assert write(training, path, "safetensors", {}).input == "float64 [n, 8, 8]"
    digits, network = load_digits(), load_network(path)
    assert read_card(path)["input"] == "float64 [n, 8, 8]"
    whole = {tuple(map(float, image.flatten())): n for n, image in enumerate(digits.images)}
    samples, labels = next(training.data.test.in_order(1000))
    places = [
        whole[tuple(map(float, one.flatten()))]
        for one in training.data.preprocessing.undo(samples).round()
    ]
    assert (digits.target[places] == labels.numpy()).all()
    raw = torch.from_numpy(digits.images[places])
    assert accuracy(network, (raw, labels)) == training.pruner.records[-1].test["test_accuracy"]


def test_pictures_that_are_read_one_by_one_are_fractions(tmp_path: Path) -> None:
    from PIL import Image
    from torchvision.transforms import v2

    draw = np.random.default_rng(2)
    for part, count in (("train", 40), ("test", 12)):
        for label in range(2):
            folder = tmp_path / part / f"class{label}"
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 120, (10, 12, 3)) + 120 * label
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    source = {"source": f"imagefolder:{tmp_path}", "image_size": 8}
    training = pruned(source, MODELS["small_cnn"])
    path = tmp_path / "network.safetensors"
    assert write(training, path, "safetensors", {}).input == "float32 [n, 3, 8, 8]"
    steps = [v2.Resize(9), v2.CenterCrop(8), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    files = sorted((tmp_path / "test").rglob("*.png"))
    ready = v2.Compose(steps)
    raw = torch.stack([ready(Image.open(file).convert("RGB")) for file in files])
    labels = torch.tensor([int(file.parent.name == "class1") for file in files])
    found = accuracy(load_network(path), (raw, labels))
    assert found == training.pruner.records[-1].test["test_accuracy"]


@pytest.mark.parametrize(
    "known",
    [
        Preprocessing(given=(4,), shape=(4,)),
        Preprocessing(given=(4,), shape=(4,), mean=(1.0,) * 4, std=(2.0,) * 4),
        Preprocessing(dtype="uint8", given=(5, 6), scale=255, shape=(1, 5, 6)),
        Preprocessing(dtype="uint8", given=(5, 6, 2), order=(0, 3, 1, 2), shape=(2, 5, 6)),
        Preprocessing(dtype="int16", given=(5, 6, 2), order=(0, 3, 2, 1), shape=(2, 6, 5)),
        Preprocessing(dtype="float64", given=(2, 3), shape=(6,), mean=(0.5,) * 6, std=(3.0,) * 6),
    ],
)
def test_what_is_done_to_samples_can_be_undone(known: Preprocessing) -> None:
    kind = getattr(torch, known.dtype)
    raw = torch.randint(0, 100, (3, *known.given)).to(kind)
    network = Prepared(nn.Identity(), known)
    done = network(raw)
    assert done.dtype == torch.float32
    assert done.shape == (3, *known.shape)
    back = known.undo(done)
    assert back.dtype == kind
    assert torch.equal(back.round(), raw)
    assert Preprocessing.parse(json.loads(known.model_dump_json())) == known
    assert network.state_dict() == {}


def test_code_of_others_is_called_only_if_it_is_trusted(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = pruned(pictures, MODELS["own"])
    path = tmp_path / "network.safetensors"
    write(training, path, "safetensors", {})
    with pytest.raises(InputError, match=r"^network: .* would call 'test_export:mine', code that"):
        load_network(path)
    given = mine((3, 8, 8), 4, width=9)
    samples = torch.randint(0, 255, (5, 3, 8, 8), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(
            load_network(path, model=given)(samples), load_network(path, trust=True)(samples)
        )
    with pytest.raises(InputError, match=r"^network: .* cannot be rebuilt \("):
        load_network(path, model=nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)))
    monkeypatch.setattr("pruning.names._FOLDERS", ["/elsewhere"])
    monkeypatch.delitem(sys.modules, "test_export")
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(Path(__file__).parent)])
    with pytest.raises(InputError) as refused:
        load_network(path, trust=True)
    assert str(refused.value) == (
        "network: 'test_export:mine' does not import (ModuleNotFoundError: No module named "
        "'test_export'); your own, package.module:attribute, is looked for in '/elsewhere' and on "
        "PYTHONPATH; or give model=, the dense network itself"
    )
    for name in ("small_mlp", "resnet18"):
        write(pruned(pictures, MODELS[name]), path, "safetensors", {})
        assert load_network(path)(samples).shape == (5, 4)


@pytest.mark.parametrize("name", ["os:system", "os.path:join", "builtins:exec", "small_cnn:x"])
def test_the_path_that_would_be_called_is_named(
    pictures: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = pruned(pictures, MODELS["small_mlp"])
    path = tmp_path / "network.safetensors"
    about = {"model": {"name": name, "options": {}}}
    whole = {**about, "trial": "x"}
    monkeypatch.setattr(
        "pruning.export.load_network",
        lambda *_, **__: Prepared(training.model, training.data.preprocessing),
    )
    write(training, path, "safetensors", whole)
    monkeypatch.undo()
    with pytest.raises(InputError, match=f"would call '{name}'"):
        load_network(path)


def test_a_network_that_gives_no_numbers_is_said_to(pictures: Path, tmp_path: Path) -> None:
    training = pruned(pictures, MODELS["small_mlp"])
    for value in (float("nan"), float("inf")):
        with torch.no_grad():
            list(training.model.parameters())[-1].fill_(value)
        for kind in FORMATS:
            with pytest.raises(InputError, match=r"^trial: its network's own output is not a numb"):
                write(training, tmp_path / "x", kind, {})
    assert not list(tmp_path.iterdir())
