"""Optimizers and learning-rate schedules, as a task names them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pruning.settings import Settings

if TYPE_CHECKING:  # a task is read, and refused, without torch
    import torch
    from torch import nn

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


class OptimizerSpec(Settings):
    """The optimizer of a task.

    lr: the peak learning rate. momentum, nesterov: for sgd. betas, eps: for adam and adamw.
    weight_decay: for parameters of two and more dimensions; decay_vectors: also for biases and
    normalisation parameters.
    """

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Positive = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = True
    betas: tuple[float, float] = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    decay_vectors: bool = False

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer over all trainable parameters, in two groups: matrices and vectors."""
        import torch

        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        vectors_decay = self.weight_decay if self.decay_vectors else 0.0
        groups = [
            {"params": [p for p in trainable if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": vectors_decay},
        ]
        groups = [group for group in groups if group["params"]]
        if self.name == "sgd":
            nesterov = self.nesterov and self.momentum > 0
            return torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=nesterov)
        kind = torch.optim.Adam if self.name == "adam" else torch.optim.AdamW
        return kind(groups, lr=self.lr, betas=self.betas, eps=self.eps)


class ScheduleSpec(Settings):
    """The learning rate over the training, as a factor of its peak.

    warmup_epochs: the first epochs, in which it rises linearly. name: ``cosine`` falls to zero,
    ``step`` is multiplied by ``gamma`` every ``step_epochs``, ``constant`` stays.
    """

    name: Literal["cosine", "step", "constant"] = "cosine"
    warmup_epochs: NonNegative = 0.0
    step_epochs: Annotated[int, Field(ge=1)] = 30
    gamma: Positive = 0.1

    def factor(self, at: float, epochs: int) -> float:
        """The factor after ``at`` epochs (fractions count steps) of a training of ``epochs``."""
        if at < self.warmup_epochs:
            return at / self.warmup_epochs
        if self.name == "cosine":
            share = (at - self.warmup_epochs) / max(epochs - self.warmup_epochs, 1e-9)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
        if self.name == "step":
            return self.gamma ** int(at // self.step_epochs)
        return 1.0
