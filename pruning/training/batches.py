"""Batches of one split: from a tensor on the device, or from a dataset on disk.

The order and the augmentation of an epoch depend on its seed and number alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from pruning.randomness import generator, stream
from pruning.training.task import Augment

Batch = tuple[Tensor, Tensor]
"""Samples [batch, ...] and labels [batch]."""


class Batches(ABC):
    """One split of the data."""

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abstractmethod
    def shuffled(self, size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """An epoch of training batches; an incomplete last one is dropped."""

    @abstractmethod
    def in_order(self, size: int) -> Iterator[Batch]:
        """All samples, unchanged."""

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

    def shuffled(self, size: int, seed: int, epoch: int) -> Iterator[Batch]:
        draw = generator(seed, epoch, "augment")
        for chosen in self.order(size, seed, epoch):
            on_device = chosen.to(self.device)
            yield self._augmented(self.x[on_device], draw), self.y[on_device]

    def in_order(self, size: int) -> Iterator[Batch]:
        yield from zip(torch.split(self.x, size), torch.split(self.y, size), strict=True)

    def _augmented(self, x: Tensor, draw: torch.Generator) -> Tensor:
        if self.augment.crop:
            x = _crop(x, self.augment.crop, draw)
        if self.augment.flip:
            mirrored = torch.rand(len(x), generator=draw).to(x.device) < 0.5
            x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
        return x


def _crop(x: Tensor, padding: int, draw: torch.Generator) -> Tensor:
    """Each picture moved by up to ``padding`` pixels, zeros coming in; [batch, c, h, w]."""
    count, _, height, width = x.shape
    moves = torch.randint(2 * padding + 1, (2, count), generator=draw).to(x.device)
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

    def shuffled(self, size: int, seed: int, epoch: int) -> Iterator[Batch]:
        draw = stream(seed, epoch, "augment")
        samples = _Transformed(self.dataset, self.transform, draw)
        order = torch.cat(self.order(size, seed, epoch)).tolist()
        return iter(self._loader(Subset(samples, order), size, draw))

    def in_order(self, size: int) -> Iterator[Batch]:
        return iter(self._loader(_Transformed(self.dataset, self.transform, 0), size, 0))

    def _loader(self, samples: Dataset[Any], size: int, draw: int) -> DataLoader[Any]:
        return DataLoader(
            samples,
            batch_size=size,
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(draw),  # else it draws from the global state
        )


class _Transformed(Dataset[Any]):
    """Samples whose random transforms depend on the sample's number, not on who loads it."""

    def __init__(
        self, dataset: Dataset[Any], transform: Callable[[Any], Tensor], seed: int
    ) -> None:
        self.dataset, self.transform, self.seed = dataset, transform, seed

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream(self.seed, index))
            sample, label = self.dataset[index]
            return self.transform(sample), int(label)
