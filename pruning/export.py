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
from pruning.structure.network import Network
from pruning.training import models
from pruning.training.loop import Training
from pruning.training.snapshot import packed

KEY = "earlyprune"
"""Under this name a file's metadata holds what it is, as JSON."""

SAMPLES = 256
"""At most so many are compared."""

Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Compared:
    """The largest difference between the outputs of a network and of its file, and over how many
    samples of the validation split it was looked for."""

    difference: float
    samples: int


def write(training: Training, path: Path, kind: str, about: Mapping[str, Any]) -> Compared:
    """Write the network of a training, and read it again to see that it is the same.

    kind: one of FORMATS. about: figures that go along. The file takes float32 batches [n, *shape]
    of any length n, prepared as for training, and gives logits [n, classes]. Where it fails nothing
    is written. Raises InputError if the format cannot hold this network, or no file can be written.
    """
    if kind not in FORMATS:
        raise InputError(f"--format: {unknown('format', kind, FORMATS)}")
    whole = json.dumps({**card(training), **about})
    samples = next(iter(training.data.validation.in_order(SAMPLES)))[0].cpu()
    try:
        with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
            file = Path(folder) / f"network.{kind}"
            difference = _write(training.model.eval().cpu(), samples, file, kind, whole)
            os.replace(file, path)
    except OSError as error:
        raise InputError(f"--output: {str(path)!r} cannot be written ({error})") from None
    return Compared(difference, len(samples))


def _write(model: nn.Module, samples: Tensor, file: Path, kind: str, about: str) -> float:
    try:
        forward = FORMATS[kind](model, samples, file, about)
        with torch.no_grad():
            expected, found = model(samples), forward(samples)
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


def card(training: Training) -> dict[str, Any]:
    """What is needed to build the network again, and to prepare its samples.

    normalize: mean and standard deviation that samples (fractions, where they are pictures) were
    given, a channel or feature each; None where the data have transforms of their own. removed: the
    ids of the units that are gone.
    """
    task, data = training.task, training.data
    return {
        "model": task.model.model_dump(mode="json"),
        "shape": list(data.shape),
        "classes": data.classes,
        "normalize": data.normalize,
        "protect": list(task.protect),
        "removed": np.flatnonzero(~training.pruner.network.alive).tolist(),
    }


def load_network(path: str | Path) -> nn.Module:
    """The network in a safetensors file of ``earlyprune export``, on the CPU, in evaluation mode.

    Its model is built by its name, so code of your own must be importable. Raises InputError.
    """
    about = read_card(path)
    name, options = about["model"]["name"], about["model"]["options"]
    model = models.build(name, options, about["shape"], about["classes"])
    network = Network(model, torch.zeros(2, *about["shape"]), protect=about["protect"])
    network.remove(about["removed"])
    model.load_state_dict(load_file(path))
    return model.eval()


def read_card(path: str | Path) -> dict[str, Any]:
    """What a safetensors file of ``earlyprune export`` says of its network. Raises InputError."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise InputError(f"network: {str(path)!r} cannot be read ({error})") from None
    if KEY not in metadata:
        raise InputError(f"network: {str(path)!r} was not written by earlyprune export")
    about: dict[str, Any] = json.loads(metadata[KEY])
    return about


# Each writes a file and reads it again.


def _safetensors(model: nn.Module, samples: Tensor, file: Path, about: str) -> Forward:
    # not save_model: it fails on a module that stands at two names with an integer buffer (batch
    # norm's count), and its files can be read by their owner only
    file.write_bytes(packed(model.state_dict(), {KEY: about}))
    return load_network(file)


def _pt2(model: nn.Module, samples: Tensor, file: Path, about: str) -> Forward:
    batches = ({0: torch.export.Dim.DYNAMIC},)
    # two samples: of a batch of one torch.export makes a constant
    program = torch.export.export(model, (samples[:2],), dynamic_shapes=batches)
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
        model,
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
