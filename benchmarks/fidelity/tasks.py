"""The tasks of the studies: small networks, real data, and when to prune makes a difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

DIGITS: dict[str, Any] = {
    "model": "small_cnn",
    "data": {"source": "digits", "validation": 0.33, "test": 0.25},
    "epochs": 18,
    "batch_size": 32,
    "optimizer": {"name": "sgd", "lr": 0.3, "momentum": 0.9, "weight_decay": 5.0e-4},
    "schedule": {"name": "cosine", "warmup_epochs": 2},
}
"""The quick start's: 1,797 handwritten digits of 8x8, five convolutions of 16 to 64 units."""

SAMPLES = {"train": 2000, "test": 2000}


def chosen(source: Path | None, folder: Path) -> dict[str, dict[str, Any]]:
    """The tasks of a study by name: digits, and pictures of an npz data set if there is one."""
    return {"digits": DIGITS} | ({source.stem: pictures(source, folder)} if source else {})


def pictures(source: Path, folder: Path) -> dict[str, Any]:
    """2,000 training pictures of an npz data set at half size (1,500 to train on), 2,000 test.

    The smaller set is written into the folder.
    """
    small = folder / f"{source.stem}-small.npz"
    if not small.exists():
        whole = np.load(source)
        parts = {}
        for part, count in SAMPLES.items():
            parts[f"x_{part}"] = _halved(whole[f"x_{part}"][:count])
            parts[f"y_{part}"] = whole[f"y_{part}"][:count]
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(small, allow_pickle=False, **parts)
    return {
        **DIGITS,
        "data": {"source": f"npz:{small.resolve()}", "validation": 0.25},
        "epochs": 16,
        "batch_size": 64,
        "optimizer": {"name": "sgd", "lr": 0.2, "momentum": 0.9, "weight_decay": 5.0e-4},
    }


def _halved(x: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Pictures [n, height, width, ...] at half the resolution, means of 2x2 pixels."""
    height, width = x.shape[1] // 2, x.shape[2] // 2
    cut = x[:, : 2 * height, : 2 * width].astype(np.float32)
    blocks = cut.reshape(len(x), height, 2, width, 2, *x.shape[3:])
    means: npt.NDArray[np.float32] = blocks.mean(axis=(2, 4))
    return np.rint(means).astype(np.uint8)
