"""A trained network as a file of its own: safetensors, torch.export's pt2, or ONNX."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from pruning.errors import InputError, one_line, unknown
from pruning.foreign import foreign
from pruning.preprocessing import Prepared, Preprocessing, described
from pruning.structure.network import Network
from pruning.training import models
from pruning.training.loop import Training
from pruning.training.outputs import Main, main_output
from pruning.training.snapshot import packed
from pruning.training.weights import give, parted

KEY = "earlyprune"
"""Under this name a file's metadata holds what it is, as JSON."""

SAMPLES = 256
"""At most so many are compared."""

Forward = Callable[[Tensor], Any]


@dataclass(frozen=True)
class Written:
    """The largest difference between the outputs of a network and of its file, over how many
    samples of the validation split it was looked for, and what the file takes, in words."""

    difference: float
    samples: int
    input: str


def write(
    training: Training, path: Path, kind: str, about: Mapping[str, Any], bare: bool = False
) -> Written:
    """Write the network of a training, and read it again to see that it is the same.

    kind: one of FORMATS. about: figures that go along. The file takes batches of any length of
    samples as the data's source gives them (of pictures that are read one by one, fractions of the
    size trained on), and gives logits [n, classes] or what else the task has for an output; pt2 and
    onnx hold the main one of several. bare: float32 batches [n, *shape], prepared as for training.
    Where it fails nothing is written. Raises InputError if the network's own output is no number,
    the format cannot hold it, or no file can be written.
    """
    if kind not in FORMATS:
        raise InputError(f"--format: {unknown('format', kind, FORMATS)}")
    whole = json.dumps({**card(training, bare), **about})
    samples = next(iter(training.data.validation.in_order(SAMPLES)))[0].cpu()
    model, reading = training.model.eval().cpu(), training.data.preprocessing
    if not bare:
        model, samples = Prepared(model, reading).eval(), reading.undo(samples)
    try:
        with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
            file = Path(folder) / f"network.{kind}"
            with training.averaged():
                difference = _write(model, samples, file, kind, whole)
            os.replace(file, path)
    except OSError as error:
        raise InputError(f"--output: {str(path)!r} cannot be written ({error})") from None
    return Written(difference, len(samples), _input(reading, bare))


def _input(reading: Preprocessing, bare: bool) -> str:
    """What a file takes, in words."""
    prepared = f"{described('float32', reading.shape)}, prepared from {reading.input}"
    return f"{prepared}: {reading.steps}" if bare else reading.input


def _write(model: nn.Module, samples: Tensor, file: Path, kind: str, about: str) -> float:
    with torch.no_grad():
        expected = main_output(model(samples))
    if wrong := int((~expected.isfinite()).flatten(1).any(1).sum()):
        raise InputError(
            f"trial: its network's own output is not a number, or not finite, for {wrong} of "
            f"{len(samples)} validation samples: there is nothing to export"
        )
    try:
        forward = FORMATS[kind](model, samples, file, about)
        with torch.no_grad():
            found = main_output(forward(samples))
    except (InputError, OSError):
        raise
    except Exception as error:  # torch.export refuses networks in many ways
        reason = one_line(error)[:300]
        raise InputError(f"--format: {kind!r} cannot hold this network ({reason})") from None
    difference = float((expected - found).abs().max())
    if not torch.allclose(expected, found, rtol=1e-4, atol=1e-5):
        raise InputError(
            f"--format: {kind!r} gives other outputs than this network: {difference:.2g} apart"
        )
    return difference


def card(training: Training, bare: bool = False) -> dict[str, Any]:
    """What is needed to build the network again, and to prepare its samples.

    shape: of a sample as the model itself takes it. input: what the file takes, in words.
    preprocessing: what it does before the model, as ``Preprocessing`` has it; None for nothing.
    normalize: mean and standard deviation in it. removed: the ids of the units that are gone.
    """
    task, data = training.task, training.data
    reading = data.preprocessing
    return {
        "model": task.model.model_dump(mode="json"),
        "shape": list(data.shape),
        "classes": data.outputs,
        "output": None if task.loss.own else list(data.target.output(data.outputs)),
        "class_names": data.class_names and list(data.class_names),
        "input": _input(reading, bare),
        "preprocessing": None if bare else reading.model_dump(mode="json"),
        "normalize": data.normalize,
        "protect": list(task.protect),
        "removed": np.flatnonzero(~training.pruner.network.alive).tolist(),
    }


def load_network(
    path: str | Path, trust: bool = False, model: nn.Module | None = None
) -> nn.Module:
    """The network in a safetensors file of ``earlyprune export``, on the CPU, in evaluation mode.

    It takes samples as the data's source gave them (``read_card(path)["input"]``); exported without
    preprocessing, or by an earlier version, it is the bare model.
    trust: whether code that the file names may be imported and called; our own models and
    torchvision's need none. model: the dense network to put the file's into, in place of the one it
    names; its weights do not matter, and it is cut in place. Raises InputError.
    """
    about = read_card(path)
    try:
        with foreign(f"{str(path)!r} cannot be rebuilt"):
            found = _cut(_dense(path, about, trust) if model is None else model, about)
            give(found, load_file(path), about.get("asked", {}))
            if about.get("preprocessing"):
                found = Prepared(found, Preprocessing.parse(about["preprocessing"]))
    except ValueError as error:
        raise InputError(f"network: {str(error).removeprefix('network: ')}") from None
    return found.eval()


def _dense(path: str | Path, about: Mapping[str, Any], trust: bool) -> nn.Module:
    name, options = about["model"]["name"], about["model"]["options"]
    if not trust and not models.is_known(name):
        raise InputError(
            f"{str(path)!r} would call {name!r}, code that does not come with earlyprune: give "
            f"trust=True if you know it, or model=, the dense network itself"
        )
    output = about.get("output", ())
    try:
        return models.build(name, options, about["shape"], about["classes"], output=output)
    except InputError as error:
        why = str(error).removeprefix("task.model: ")
        raise InputError(f"{why}; or give model=, the dense network itself") from None


def _cut(model: nn.Module, about: Mapping[str, Any]) -> nn.Module:
    network = Network(model, torch.zeros(2, *about["shape"]), protect=about["protect"])
    network.remove(about["removed"])
    return model


def read_card(path: str | Path) -> dict[str, Any]:
    """What a safetensors file of ``earlyprune export`` says of its network. Raises InputError."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise InputError(f"network: {str(path)!r} cannot be read ({error})") from None
    if KEY not in metadata:
        raise InputError(f"network: {str(path)!r} was not written by earlyprune export")
    try:
        about: dict[str, Any] = json.loads(metadata[KEY])
    except ValueError as error:
        raise InputError(f"network: {str(path)!r} is damaged ({one_line(error)})") from None
    return about


def _plain(model: nn.Module, samples: Tensor) -> nn.Module:
    """The network, or one that gives its main output alone where it gives several."""
    with torch.no_grad():
        return model if isinstance(model(samples[:2]), Tensor) else Main(model).eval()


# Each writes a file and reads it again.


def _safetensors(model: nn.Module, samples: Tensor, file: Path, about: str) -> Forward:
    # not save_model: load_model refuses its file where a batch norm stands at two names
    # (findings/), and only their owner can read its files
    tensors, asked = parted(model.model if isinstance(model, Prepared) else model)
    about = json.dumps({**json.loads(about), **({"asked": asked} if asked else {})})
    file.write_bytes(packed(tensors, {KEY: about}))
    return load_network(file, trust=True)  # it was just trained by that code


def _pt2(model: nn.Module, samples: Tensor, file: Path, about: str) -> Forward:
    batches = ({0: torch.export.Dim.DYNAMIC},)
    # two samples: of a batch of one torch.export makes a constant
    program = torch.export.export(_plain(model, samples), (samples[:2],), dynamic_shapes=batches)
    torch.export.save(program, file, extra_files={f"{KEY}.json": about})
    return torch.export.load(file).module()


def _onnx(model: nn.Module, samples: Tensor, file: Path, about: str) -> Forward:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - torch needs it, and says so less clearly
    except ImportError as error:
        raise InputError(
            f"--format: 'onnx' needs the package {error.name!r}: pip install 'earlyprune[onnx]'"
        ) from None
    program = torch.onnx.export(
        _plain(model, samples),
        (samples[:2],),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
        input_names=["samples"],
        output_names=["logits"],
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props[KEY] = about
    # not torch.onnx.export's own file: beside that it leaves a .data file, be it empty
    program.save(file)
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(["logits"], {"samples": x.numpy()})[0])


FORMATS: dict[str, Callable[[nn.Module, Tensor, Path, str], Forward]] = {
    "safetensors": _safetensors,
    "pt2": _pt2,
    "onnx": _onnx,
}
