"""What the processes that train one network together do with each other, from within one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from pruning.parallel.batch_norm import WholeBatch
from pruning.training.alone import Alone, Loss
from pruning.training.batches import Batch, Share

PATIENCE = timedelta(minutes=10)
"""So long one process waits for another that lives and does not come."""


def meeting_place(file: str, count: int) -> Any:
    """The store by which ``count`` processes come together: a file that nobody else can write."""
    return dist.FileStore(file, count)  # type: ignore[attr-defined]


class Group(Alone):
    """One process of several, joined by torch.distributed: NCCL on GPUs, Gloo on CPUs.

    All hold the same network and call the same in the same order. A process has one such group at a
    time. store: a ``meeting_place``. Raises RuntimeError, here and later, where another process has
    gone.
    """

    def __init__(self, store: Any, share: Share, device: torch.device) -> None:
        self.share, self.stream = share, ("rank", share.rank)
        warnings.filterwarnings("ignore", "Grad strides do not match")  # as a prune leaves them
        for kind in ("GLOO", "NCCL"):  # all on one machine, and nobody else's business
            os.environ.setdefault(f"{kind}_SOCKET_IFNAME", "lo")
        on_gpu = device.type == "cuda"
        if on_gpu:
            torch.cuda.set_device(device)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            store=store,
            rank=share.rank,
            world_size=share.count,
            timeout=PATIENCE,
            device_id=device if on_gpu else None,
        )

    def sum(self, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @contextmanager
    def wrapped(self, model: nn.Module, loss: Loss) -> Iterator[Loss]:
        """By DistributedDataParallel (Li et al., VLDB 2020): gradients travel as they are made.

        It ends with the epoch: outside, backward passes are nobody else's business, and a prune
        replaces parameters. Parameters that a loss does not depend on keep no gradient.
        """
        with warnings.catch_warnings():  # the name that newer versions want, older ones lack
            warnings.filterwarnings("ignore", message=".*broadcast_buffers", category=FutureWarning)
            # buffers: WholeBatch keeps them equal. unused: else torch refuses the step after one
            # that left a parameter without a gradient.
            parallel = DistributedDataParallel(
                _Loss(model, loss), broadcast_buffers=False, find_unused_parameters=True
            )
        parallel.register_comm_hook(None, lambda _, bucket: _added_up(bucket))

        def loss_of(batch: Batch) -> tuple[Tensor, Tensor, int]:
            with WholeBatch():
                found: tuple[Tensor, Tensor, int] = parallel(*batch)
                return found

        yield loss_of

    def abort(self) -> None:
        """Wait for nobody any more: another process has gone."""
        world = dist.group.WORLD
        if world is not None:
            world.abort()

    def leave(self) -> None:
        """End it, whether or not the others are there."""
        if dist.is_initialized():
            self.abort()
            dist.destroy_process_group()


class _Loss(nn.Module):
    """A loss as a module, so that what is wrapped returns nothing that the loss does not need."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, int]:
        return self.loss((x, y))


def _added_up(bucket: Any) -> torch.futures.Future[Tensor]:
    """The sum over the processes, where DistributedDataParallel takes their mean."""
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    summed: torch.futures.Future[Tensor] = work.get_future().then(lambda done: done.value()[0])
    return summed
