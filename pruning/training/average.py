"""An exponential average of a network's weights, to be evaluated in its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pruning.structure.copies import copy_model, named_tensors


class Average:
    """Of parameters, and of buffers alike: a batch norm's statistics belong to the weights.

    After n steps it moves by 1 - min(decay, (1 + n) / (10 + n)) of the way, so that it soon forgets
    the untrained network. Integers are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = model, decay
        self.copy = copy_model(model, lambda tensor: tensor.clone())

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """After so many steps of training."""
        share = 1 - min(self.decay, (1 + steps) / (10 + steps))
        for own, other in self._pairs():
            if own.is_floating_point() or own.is_complex():
                own.lerp_(other, share)
            else:
                own.copy_(other)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the averaged weights in here."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for own, other in self._pairs():
            own.data, other.data = other.data, own.data

    def _pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        tensors = named_tensors(self.model)
        return ((own, tensors[name]) for name, own in named_tensors(self.copy).items())
