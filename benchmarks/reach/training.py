"""Two training steps, as after a cut."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.reach.values import tensors_in

STEPS = 2


def train(model: nn.Module, args: tuple[Any, ...], optimizer: torch.optim.Optimizer) -> None:
    """Raises what the network raises, and RuntimeError if it has nothing to train on."""
    model.train()
    for _ in range(STEPS):
        optimizer.zero_grad()
        outputs = [t for t in tensors_in(model(*args)) if t.is_floating_point()]
        loss = sum((t.pow(2).mean() for t in outputs), torch.zeros(()))
        if not loss.requires_grad:
            raise RuntimeError("no output depends on a parameter")
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
