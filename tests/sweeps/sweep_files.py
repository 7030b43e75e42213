"""Small sweeps on real data for the tests."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

SMALL: dict[str, Any] = {
    "name": "small",
    "task": {
        "model": {"name": "small_cnn", "options": {"widths": [8, 8], "pool_after": [0]}},
        "data": {"source": "digits", "train_limit": 128},
        "epochs": 4,
        "batch_size": 32,
        "optimizer": {"lr": 0.1},
    },
    "seeds": [0, 1],
    "policies": [
        "dense",
        {"policy": "at_epoch", "epoch": {"grid": [0, 2]}, "ratio": 0.5, "saliency": "taylor"},
        {"policy": "epi", "window": 1, "threshold": 0.8, "ratio": 0.5, "latest": 0.75},
    ],
}


def changed(**fields: Any) -> dict[str, Any]:
    """SMALL with fields replaced; ``task__epochs=5`` reaches into the task."""
    sweep = copy.deepcopy(SMALL)
    for name, value in fields.items():
        *parents, last = name.split("__")
        place = sweep
        for parent in parents:
            place = place[parent]
        place[last] = value
    return sweep


def write(folder: Path, content: Any) -> Path:
    """A sweep file with this content."""
    path = folder / "sweep.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path
