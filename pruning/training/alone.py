"""A process that trains by itself, and what ``pruning.parallel.group`` does otherwise."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn

from pruning.training.batches import Batch, Share

Loss = Callable[[Batch], tuple[Tensor, Tensor]]
"""From a batch to its mean loss, and what is added up of it."""


class Alone:
    """A process that trains by itself: all is its own, and it waits for nobody."""

    share = Share()
    """Which part of each batch is this process's."""
    stream: tuple[int | str, ...] = ()
    """What its draws of dropout depend on, beside seed and epoch."""

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the processes."""
        return values

    def wrapped(self, model: nn.Module, loss: Loss) -> AbstractContextManager[Loss]:
        """The loss of the model, to be trained: as of the whole batch.

        Batch norms see the whole batch, and gradients are added up over the processes.
        """
        return nullcontext(loss)


ALONE = Alone()
