"""What the proof must find, whatever hides it, and what it must leave alone."""

from __future__ import annotations

import os

import pytest
import torch
import torchvision

from pruning.structure.trace import find_units

EVERY = int(os.environ.get("EARLYPRUNE_EVERY", "40"))
"""1 to try all networks."""


@pytest.mark.parametrize(
    "name", [f"efficientnet_{k}" for k in "v2_m b7 v2_l v2_s b6 b5 b4 b3 b2 b1 b0".split()][::EVERY]
)
def test_nothing_right_is_refused(name: str) -> None:
    units = find_units(getattr(torchvision.models, name)(), torch.randn(2, 3, 32, 32))
    assert units.refused == {"classifier.1": "its units are the network's output"}
