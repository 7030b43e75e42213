"""Gradual pruning: a few cuts along a cubic schedule.

Zhu, Gupta: To prune, or not to prune: exploring the efficacy of pruning for model compression,
2017.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from pruning.history import History
from pruning.policies.base import Policy, Prune
from pruning.policies.one_shot import OneShot


class Gradual(OneShot):
    """Removes many units early and ever fewer, until ``ratio`` of them are gone, or the aim is met.

    The share that is gone after t of the training is
    s(t) = ratio * (1 - (1 - (t - begin) / (end - begin))^3) [C], of units or of what the aim is in;
    there the ratio is what the aim does not leave. Cut at ``steps`` times, evenly
    spaced, the first a step after ``begin`` and the last at ``end``, each after the nearest whole
    epoch; those that fall on the same epoch are one cut. Every cut ranks the units that are left.

    begin, end: shares of the training, 0.1 and 0.5 [G]. steps: 4 [G]; the paper masks weights every
    few hundred steps, but each structural cut rebuilds the network. saliency: magnitude [C].
    """

    name: ClassVar[str] = "gradual"
    paper: ClassVar[str] = "Zhu, Gupta, To prune, or not to prune, 2017"

    begin: Annotated[float, Field(ge=0, lt=1)] = 0.1
    end: Annotated[float, Field(gt=0, lt=1)] = 0.5
    steps: Annotated[int, Field(ge=1)] = 4

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Gradual:
        if self.begin >= self.end:
            raise ValueError(f"begin: {self.begin} is not allowed: it must be less than end")
        return self

    def schedule(self, epochs: int) -> dict[int, float]:
        """After which epochs of a training of ``epochs`` what share is gone."""
        at_the_end = 1 - self.aim.share if self.aim else self.ratio
        shares = {}
        for step in range(1, self.steps + 1):
            done = step / self.steps
            at = round((self.begin + (self.end - self.begin) * done) * epochs)
            shares[at] = at_the_end * (1 - (1 - done) ** 3)
        return shares

    def asks(self, epoch: int, epochs: int, acted: bool) -> bool:
        """Until the last cut."""
        return epoch <= max(self.schedule(epochs))

    def decide(self, history: History) -> Prune | None:
        """The cut of this epoch, if there is one. Raises ValueError if nobody said how many."""
        if history.epochs is None:
            raise ValueError("gradual needs to know how many epochs there are")
        share = self.schedule(history.epochs).get(history.epoch)
        if not share:
            return None
        now = {"aim": replace(self.aim, share=1 - share)} if self.aim else {"ratio": share}
        return self.model_copy(update=now).cut(history)

    def first_action(self, epochs: int) -> tuple[int, int]:
        """The first cut."""
        first = min(self.schedule(epochs))
        return first, first

    def action_key(self) -> Hashable:
        """Its own: how deep the first cut goes depends on the length of the training, too."""
        return Policy.action_key(self)

    def check(self, epochs: int) -> None:
        """Refuse a schedule that ends with the training."""
        last = max(self.schedule(epochs))
        if last >= epochs:
            raise ValueError(
                f"end: {self.end} is not allowed: the last cut is after epoch {last} of {epochs}"
            )
