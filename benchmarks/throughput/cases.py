"""What is trained: networks and tasks of the sizes that are trained on processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

QUICKSTART = Path(__file__).parents[2] / "sweeps/configs/quickstart.yaml"

ADAM = {"name": "adam", "lr": 1e-3}
SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
PAPER_4 = {"widths": [32, 64], "pool_after": [0, 1], "batch_norm": False, "pooling": "flatten"}


def _pictures(channels: int, size: int) -> dict[str, Any]:
    options = {"channels": channels, "size": size, "train": 576, "test": 64}
    return {"source": "benchmarks.throughput.noise:load", "options": options, "validation": 0.11111}


def cases() -> dict[str, dict[str, Any]]:
    """A task each, by what it is called in the table."""
    quickstart = yaml.safe_load(QUICKSTART.read_text(encoding="utf-8"))["task"]
    cnn = {"name": "small_cnn", "options": PAPER_4 | {"hidden": [128]}}
    residual = {"name": "small_resnet", "options": {"blocks": 3}}
    rest = {"epochs": 1, "schedule": "constant", "batch_size": 64}
    return {
        "quick start": quickstart,
        "CNN of paper 4": {"model": cnn, "data": _pictures(1, 28), "optimizer": ADAM, **rest},
        "small_resnet at 32": {
            "model": residual,
            "data": _pictures(3, 32),
            "optimizer": SGD,
            **rest,
        },
    }
