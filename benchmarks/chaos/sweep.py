"""The sweep that is disturbed: real training of small networks that takes its time, and counts.

Every batch takes a pause, so that three machines' worth of training fits on few processors, and
is counted in a file, by whoever trains it: what was trained for nothing shows there, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

NAME = "chaos"
BATCH, SAMPLES = 32, 128
NETWORK = f'''
import os
import time

import torch

from pruning.training.models import small_cnn


def network(shape, classes, pause=0.0):
    """Training that takes its time, and says in a file what it has trained."""

    def count(module, given):
        if module.training and torch.is_grad_enabled() and len(given[0]) == {BATCH}:
            time.sleep(pause)
            with open(os.environ["CHAOS_BATCHES"], "ab", buffering=0) as file:
                file.write(b".")

    made = small_cnn(shape, classes, widths=[8, 8], pool_after=[0])
    made.register_forward_pre_hook(count)
    return made
'''


def sweep(epochs: int, seeds: int, pause: float) -> dict[str, Any]:
    """The sweep file's content."""
    cuts = {"ratio": {"grid": [0.3, 0.6]}, "saliency": "taylor"}
    return {
        "name": NAME,
        "task": {
            "model": {"name": "patient:network", "options": {"pause": pause}},
            "data": {"source": "digits", "train_limit": SAMPLES},
            "epochs": epochs,
            "batch_size": BATCH,
        },
        "seeds": list(range(seeds)),
        "policies": [
            "dense",
            {"policy": "at_epoch", "epoch": {"grid": [1, 3, 6]}, **cuts},
            {"policy": "epi", "ratio": 0.5, "window": 2, "threshold": {"grid": [0.8, 0.95]}},
            {"policy": "uniform", "of": {"policy": "at_epoch", "epoch": 3, **cuts, "ratio": 0.3}},
        ],
        "retries": 5,
    }


def batches(file: Path) -> int:
    """How many were trained so far."""
    return file.stat().st_size if file.exists() else 0
