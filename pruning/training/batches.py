"""Batches of one split: from a tensor on the device, or from a dataset on disk.

The order and the augmentation of an epoch depend on its seed and number alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from pruning.randomness import generator, stream
from pruning.training.task import Augment

Batch = tuple[Tensor, Tensor]
"""Samples [batch, ...] and labels [batch]."""


@dataclass(frozen=True)
class Share:
    """What one of several processes has of each batch: process ``rank`` of ``count``."""

    rank: int = 0
    count: int = 1

    def part(self, length: int) -> slice:
        """Its samples among ``length``: contiguous, and as many as others have, or one more."""
        return slice(self.rank * length // self.count, (self.rank + 1) * length // self.count)

    def weight(self, length: int) -> float:
        """How much of ``length`` samples that is."""
        return len(range(length)[self.part(length)]) / length


WHOLE = Share()


class Batches(ABC):
    """One split of the data."""

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abstractmethod
    def shuffled(self, size: int, seed: int, epoch: int, share: Share = WHOLE) -> Iterator[Batch]:
        """An epoch of training batches, a share of each; an incomplete last one is dropped."""

    @abstractmethod
    def in_order(self, size: int, share: Share = WHOLE) -> Iterator[Batch]:
        """All samples or a share of them, unchanged."""

    def steps(self, size: int) -> int:
        """How many training batches an epoch has."""
        return max(1, len(self) // size)

    def order(self, size: int, seed: int, epoch: int) -> list[Tensor]:
        """The sample numbers of each training batch."""
        order = torch.randperm(len(self), generator=generator(seed, epoch, "order"))
        return list(torch.split(order[: self.steps(size) * size], size))


class TensorBatches(Batches):
    """A split that lives on the device as one tensor and is augmented there."""

    def __init__(self, x: Tensor, y: Tensor, augment: Augment, device: torch.device) -> None:
        self.x, self.y, self.augment, self.device = x, y, augment, device

    def __len__(self) -> int:
        return len(self.x)

    def shuffled(self, size: int, seed: int, epoch: int, share: Share = WHOLE) -> Iterator[Batch]:
        draw = generator(seed, epoch, "augment")
        for chosen in self.order(size, seed, epoch):
            whole, part = len(chosen), share.part(len(chosen))
            on_device = chosen[part].to(self.device)
            yield self._augmented(self.x[on_device], draw, whole, part), self.y[on_device]

    def in_order(self, size: int, share: Share = WHOLE) -> Iterator[Batch]:
        part = share.part(len(self))
        for start in range(part.start, part.stop, size):
            some = slice(start, min(start + size, part.stop))
            yield self.x[some], self.y[some]

    def _augmented(self, x: Tensor, draw: torch.Generator, whole: int, part: slice) -> Tensor:
        """Part of a whole batch; what is drawn is drawn for the whole."""
        if self.augment.crop:
            moves = torch.randint(2 * self.augment.crop + 1, (2, whole), generator=draw)
            x = _crop(x, self.augment.crop, moves[:, part].to(x.device))
        if self.augment.flip:
            mirrored = torch.rand(whole, generator=draw)[part].to(x.device) < 0.5
            x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
        return x


def _crop(x: Tensor, padding: int, moves: Tensor) -> Tensor:
    """Each picture [batch, c, h, w] moved by ``moves`` [2, batch] - padding, zeros coming in."""
    count, _, height, width = x.shape
    padded = torch.nn.functional.pad(x, (padding,) * 4)
    rows = moves[0, :, None] + torch.arange(height, device=x.device)
    columns = moves[1, :, None] + torch.arange(width, device=x.device)
    picture = torch.arange(count, device=x.device)[:, None, None]
    return padded[picture, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


class DatasetBatches(Batches):
    """A split read by a DataLoader, with torchvision's transforms."""

    def __init__(
        self, dataset: Dataset[Any], transform: Callable[[Any], Tensor], workers: int
    ) -> None:
        self.dataset, self.transform, self.workers = dataset, transform, workers

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def shuffled(self, size: int, seed: int, epoch: int, share: Share = WHOLE) -> Iterator[Batch]:
        own = [chosen[share.part(len(chosen))] for chosen in self.order(size, seed, epoch)]
        return self._load(torch.cat(own).tolist(), len(own[0]), stream(seed, epoch, "augment"))

    def in_order(self, size: int, share: Share = WHOLE) -> Iterator[Batch]:
        return self._load(range(len(self))[share.part(len(self))], size, 0)

    def _load(self, chosen: Sequence[int], size: int, draw: int) -> Iterator[Batch]:
        loader: DataLoader[Any] = DataLoader(
            Subset(_Transformed(self.dataset, self.transform, draw), chosen),
            batch_size=size,
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(draw),  # else it draws from the global state
        )
        return iter(loader)


class _Transformed(Dataset[Any]):
    """Samples whose random transforms depend on the sample's number, not on who loads it."""

    def __init__(
        self, dataset: Dataset[Any], transform: Callable[[Any], Tensor], seed: int
    ) -> None:
        self.dataset, self.transform, self.seed = dataset, transform, seed

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        # no devices: by default CUDA's states are saved too, which a forked loader may not touch
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream(self.seed, index))
            sample, label = self.dataset[index]
            return self.transform(sample), int(label)
