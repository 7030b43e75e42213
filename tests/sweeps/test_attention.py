"""A sweep on networks of attention and of norms over channels: heads and streams are cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import in_process
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torchvision.models import VisionTransformer
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

from pruning.export import FORMATS, load_network, write
from sweeps.file.sweep import Sweep
from sweeps.results.networks import Trained, trained
from sweeps.storage.store import Store

EVENLY = {"ratio": 0.5, "saliency": {"name": "magnitude", "normalize": "layer"}}
SWEEP: dict[str, Any] = {
    "task": {
        "data": f"{__name__}:pictures",
        "epochs": 3,
        "batch_size": 32,
        "optimizer": {"name": "adamw", "lr": 0.01},
    },
    "policies": [
        "dense",
        {"policy": "at_epoch", "epoch": {"grid": [0, 1]}, **EVENLY},
        {"policy": "epi", "window": 1, "earliest": 2, "latest": 0.6, "threshold": 0.5, **EVENLY},
    ],
    "seeds": [0],
}


def pictures() -> dict[str, Any]:
    """Digits in three colours, which torchvision's networks ask for."""
    found = load_digits()
    return {"x": np.stack([found.images / 16] * 3, 1)[:400], "y": found.target[:400]}


def vit(shape: tuple[int, ...], classes: int) -> nn.Module:
    return VisionTransformer(shape[1], 4, 2, 4, 16, 24, num_classes=classes)


def convnext(shape: tuple[int, ...], classes: int) -> nn.Module:
    stages = [CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)]
    return ConvNeXt(stages, num_classes=classes)


def heads(model: nn.Module) -> list[int]:
    return [m.num_heads for m in model.modules() if isinstance(m, nn.MultiheadAttention)]


def streams(model: nn.Module) -> list[int]:
    """What LayerNorms, which stand on the streams, take."""
    return [m.normalized_shape[0] for m in model.modules() if isinstance(m, nn.LayerNorm)]


def whole_epochs(found: Trained) -> int:
    """How many epochs were trained before the cut."""
    return sum(bool(record.alive.all()) for record in found.training.pruner.records[1:])


def losses_of(found: Trained) -> list[float]:
    """In training, epoch by epoch."""
    return [record.metrics["train_loss"] for record in found.training.pruner.records[1:]]


def from_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path.read_bytes())
    return lambda x: torch.from_numpy(session.run(["logits"], {"samples": x.numpy()})[0])


READ: dict[str, Callable[[Path], Callable[[Tensor], Tensor]]] = {
    "safetensors": lambda path: load_network(path, trust=True),
    "pt2": lambda path: torch.export.load(path).module(),
    "onnx": from_onnx,
}


def outputs(found: Trained, path: Path, samples: Tensor) -> Tensor:
    """Of the network, written to a file and read again; its ending says which format."""
    write(found.training, path, path.suffix[1:], {}, bare=True)
    with torch.no_grad():
        return READ[path.suffix[1:]](path)(samples)


@pytest.mark.parametrize("make", [vit, convnext])
def test_every_policy_cuts_them_trains_on_and_is_exported_alike(
    tmp_path: Path, make: Callable[..., nn.Module]
) -> None:
    pytest.importorskip("onnxscript")
    task = {**SWEEP["task"], "model": f"{__name__}:{make.__name__}"}
    sweep, store = Sweep.parse({**SWEEP, "name": "a", "task": task}), Store(tmp_path)
    in_process.announce(sweep, store)
    in_process.train(sweep, store)
    dense, *cut = [trained(store, "a", spec.id) for spec in sweep.trials()]
    assert [whole_epochs(found) for found in cut] == [0, 1, 2]
    whole = dense.training.model
    for found in cut:
        left, losses = found.training.model, losses_of(found)
        assert all(now < was for now, was in zip(heads(left), heads(whole), strict=True))
        assert all(now < was for now, was in zip(streams(left), streams(whole), strict=True))
        assert len(losses) == 3
        assert losses[-1] < losses[0]
    epi = cut[-1]
    (samples, labels), *rest = epi.training.data.validation.in_order(1000)
    assert not rest
    given = {kind: outputs(epi, tmp_path / f"network.{kind}", samples) for kind in FORMATS}
    for logits in given.values():
        torch.testing.assert_close(logits, given["safetensors"], rtol=1e-4, atol=1e-5)
        right = (logits.argmax(1) == labels).double().mean().item()
        assert right == epi.training.pruner.records[-1].metrics["val_accuracy"]
