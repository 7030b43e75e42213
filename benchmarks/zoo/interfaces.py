"""What goes in, what comes out, and what is kept in between."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.zoo.registry import CLASSES, Built, conv, head, network, pictures, vectors


class Body(nn.Module):
    """Two convolutions and a head; subclasses say what becomes of them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = conv(3, 16), conv(16, 24), head(24)


class ManyOutputs(Body):
    def __init__(self) -> None:
        super().__init__()
        self.boxes = nn.Sequential(conv(24, 12), nn.Conv2d(12, 4, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        seen = self.two(self.one(x))
        return self.head(seen), [self.boxes(seen)]


@network
def many_outputs() -> Built:
    return ManyOutputs(), pictures()


class DictOutput(Body):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        seen = self.two(self.one(x))
        return {"logits": self.head(seen), "size": seen.mean((1, 2, 3)).detach()}


@network
def dictionary_output() -> Built:
    """One of its entries is a mean over channels, which a cut changes."""
    return DictOutput(), pictures()


@dataclass
class Output:
    logits: Tensor
    loss: Tensor | None = None


class DataclassOutput(Body):
    def forward(self, x: Tensor) -> Output:
        return Output(self.head(self.two(self.one(x))))


@network
def dataclass_output() -> Built:
    return DataclassOutput(), pictures()


class DictInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(12, 16), nn.Linear(6, 16)
        self.middle, self.head = nn.Linear(16, 24), nn.Linear(24, CLASSES)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        seen = torch.relu(self.one(batch["left"]) + self.two(batch["right"]))
        return self.head(torch.relu(self.middle(seen)))


@network
def dictionary_input() -> Built:
    return DictInput(), ({"left": torch.randn(4, 12), "right": torch.randn(4, 6)},)


class OptionalInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(12, 16), nn.Linear(16, 24), nn.Linear(24, CLASSES)

    def forward(self, x: Tensor, mask: Tensor | None = None, scale: float = 1.0) -> Tensor:
        seen = torch.relu(self.one(x)) * scale
        seen = seen if mask is None else seen * mask.unsqueeze(-1)
        return self.head(torch.relu(self.two(seen)))


@network
def optional_input() -> Built:
    return OptionalInput(), (*vectors(), None, 2.0)


class Auxiliary(Body):
    """A second head that runs in training only."""

    def __init__(self) -> None:
        super().__init__()
        self.extra = head(16)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        seen = self.one(x)
        out = self.head(self.two(seen))
        return (out, self.extra(seen)) if self.training else (out,)


@network(refused="training only")
def auxiliary_head() -> Built:
    return Auxiliary(), pictures()


class DeepSupervision(Auxiliary):
    """A second head that always runs."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        seen = self.one(x)
        return self.head(self.two(seen)), self.extra(seen)


@network
def deep_supervision() -> Built:
    return DeepSupervision(), pictures()


class KeepsMap(Body):
    """Remembers its last feature map."""

    last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.last = self.two(self.one(x))
        return self.head(self.last)


@network
def keeps_its_map() -> Built:
    model = KeepsMap()
    model(*pictures())
    return model, pictures()


class KeepsLoss(Body):
    """Leaves a penalty on itself, for the loop to add."""

    penalty: Tensor | float = 0.0

    def forward(self, x: Tensor) -> Tensor:
        seen = self.two(self.one(x))
        self.penalty = seen.pow(2).mean()
        return self.head(seen)


@network
def keeps_a_penalty() -> Built:
    return KeepsLoss(), pictures()


class Centred(Body):
    """A running centre of its channels, moved in training and not read in evaluation."""

    centre: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(16))

    def forward(self, x: Tensor) -> Tensor:
        seen = self.one(x)
        if self.training:
            with torch.no_grad():
                self.centre.mul_(0.9).add_(seen.mean((0, 2, 3)), alpha=0.1)
        return self.head(self.two(seen))


@network
def running_centre() -> Built:
    return Centred(), pictures()


class EarlyExit(Body):
    """Leaves early where all are sure: a branch on values."""

    def __init__(self) -> None:
        super().__init__()
        self.early = head(16)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.one(x)
        early = self.early(seen)
        if not self.training and bool((early.softmax(1).amax(1) > 0.999).all()):
            return early
        return early + self.head(self.two(seen))


@network
def early_exit() -> Built:
    return EarlyExit(), pictures()


class Checkpointed(Body):
    def forward(self, x: Tensor) -> Tensor:
        seen = torch.utils.checkpoint.checkpoint(self.one, x, use_reentrant=False)
        return self.head(self.two(seen))


@network
def checkpointed() -> Built:
    return Checkpointed(), pictures()


@network
def frozen_front() -> Built:
    model = nn.Sequential(conv(3, 16), conv(16, 24), head(24))
    model[0].requires_grad_(False)
    return model, pictures()


class Gates(nn.Module):
    """A learned scale, a shift and a frozen mask a channel."""

    mask: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width, 1, 1))
        self.shift = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.register_buffer("mask", torch.ones(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale * self.mask + self.shift


@network
def channel_parameters() -> Built:
    return nn.Sequential(conv(3, 16), Gates(16), nn.ReLU(), conv(16, 20), head(20)), pictures()
