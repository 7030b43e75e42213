"""Prune at a given epoch: the oracle's grid, and the baselines at a fixed time."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from pruning.history import History
from pruning.policies.base import Prune
from pruning.policies.one_shot import OneShot


class AtEpoch(OneShot):
    """One cut after ``epoch`` epochs of training; 0 is before training.

    The oracle of Shen et al. 2022 is the best of a grid of these.
    """

    name: ClassVar[str] = "at_epoch"

    epoch: Annotated[int, Field(ge=0)]

    def decide(self, history: History) -> Prune | None:
        """The cut, at its epoch."""
        return self.cut(history) if history.epoch == self.epoch else None

    def first_action(self, epochs: int) -> tuple[int, int]:
        """Its epoch."""
        return self.epoch, self.epoch

    def check(self, epochs: int) -> None:
        """Refuse an epoch at or beyond the end of the training."""
        if self.epoch >= epochs:
            raise ValueError(
                f"epoch: {self.epoch} is not allowed: the training has {epochs} epochs "
                f"(allowed: 0 to {epochs - 1})"
            )
