"""One shot: rank all units once, remove a share of them, go on training."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from pruning.history import NO_NUMBER, History, Record
from pruning.policies.aim import NEAR, AnyAim
from pruning.policies.base import Policy, Prune
from pruning.policies.selection import Mask, Scope, floors, keep_near, keep_top, round_up
from pruning.saliency import AnySaliency, Magnitude, Probe
from pruning.structure.layout import Layout

COMPARED = "; earlyprune inspect --ratio R compares both"
COARSE = "units cost too much for a nearer choice"
MISSED = "missed the aim"
"""How the warning begins that says so."""

_EVENLY = f"scope: layer takes the same share of all layers{COMPARED}"


class OneShot(Policy):
    """What and how much is removed, in one cut; subclasses say when.

    ratio: share of all units to remove. aim: instead of a ratio, what is to be left of what people
    pay for: ``{macs: 0.5}`` or ``{params: 0.5}``, a share of the dense network's, met within 2 %.
    saliency: by which units are ranked. scope: ``global`` ranks all layers together, ``layer``
    takes the same share of each, ``price``, of an aim, keeps the most saliency that can be had for
    it. floor: share of each layer that always stays (at least one unit). round_to: what a layer
    keeps is rounded up to a multiple of this (8 suits GPUs).
    """

    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    aim: AnyAim = None
    saliency: AnySaliency = Magnitude()
    scope: Scope = "global"
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.05
    round_to: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.aim and "ratio" in self.model_fields_set:
            raise ValueError("aim, ratio: both say how much goes; give one of them")
        if self.scope == "price" and not self.aim:
            raise ValueError("scope: price needs an aim, such as {macs: 0.5}, and no ratio")
        return self

    def probes(self) -> Sequence[Probe]:
        """The one saliency, and what the aim is in."""
        return (self.saliency, self.aim.price) if self.aim else (self.saliency,)

    def asks(self, epoch: int, epochs: int, acted: bool) -> bool:
        """Until its cut."""
        last = self.first_action(epochs)
        return not acted and last is not None and epoch <= last[1]

    def scores(self, record: Record) -> npt.NDArray[np.float32] | None:
        """The saliency as measured in an epoch, [units]; None if it was not."""
        return record.probes.get(self.saliency.key)

    def sub_network(self, record: Record, history: History) -> Mask | None:
        """What would stay if the cut came after this record of the history; bool [units]."""

        def compute(record: Record) -> Mask | None:
            scores = self.scores(record)
            return None if scores is None else self.keep(scores, history)

        return record.remember(("kept", *self.choice), compute)

    def keep(self, scores: npt.NDArray[np.floating], history: History) -> Mask:
        """What stays by these scores, [units] with NaN where a unit is gone; bool [units].

        Not rounded yet, where a ratio says how much.
        """
        layout = history.layout
        if not self.aim:
            return keep_top(scores, layout, self.ratio, self.scope, self.floor)
        budget = self.aim.budget(history.records[0], layout)
        return keep_near(scores, layout, budget, self.scope, self.floor, self.round_to)

    @property
    def choice(self) -> tuple[Hashable, ...]:
        """What the sub-network of a record depends on, beside the history."""
        budget = (self.aim, self.round_to) if self.aim else self.ratio
        return self.saliency.key, budget, self.scope, self.floor

    def action_key(self) -> Hashable:
        """What the cut depends on, beside the history."""
        kind = type(self)
        return kind.cut, kind.sub_network, kind.scores, (*self.choice, self.round_to)

    def cut(self, history: History, warnings: Sequence[str] = ()) -> Prune | None:
        """The action that leaves the sub-network of the newest record.

        Raises ValueError if the saliency was not measured in it.
        """
        kept = self.sub_network(history.last, history)
        scores = self.scores(history.last)
        if kept is None or scores is None:
            raise ValueError(
                f"saliency {self.saliency.key} was not measured in epoch {history.epoch}; in a "
                f"loop of your own give the Pruner a sample, and call after_backward()"
            )
        kept = round_up(kept, scores, history.layout, self.round_to) if self.round_to > 1 else kept
        gone = np.flatnonzero(history.last.alive & ~kept)
        if not len(gone):
            return None
        if np.ptp(scores[history.last.alive]) == 0:
            if scores[history.last.alive][0] <= NO_NUMBER:
                raise ValueError(f"saliency {self.saliency.key} was NaN for all units: no scores")
            tied = f"saliency {self.saliency.key} was the same for all units: which went is chance"
            warnings = (*warnings, tied)
        told = (*self._off_the_aim(kept, history), *self._on_the_floor(kept, history.layout))
        return Prune.of(gone, (*warnings, *told))

    def _off_the_aim(self, kept: Mask, history: History) -> list[str]:
        """That the aim is missed, and why, where it is."""
        layout = history.layout
        if not self.aim:
            return []
        budget, widths = self.aim.budget(history.records[0], layout), layout.counts(kept)
        miss = float(budget.miss(widths))
        if abs(miss) <= NEAR:
            return []
        lowest = miss > 0 and bool((widths <= floors(layout, self.floor)).all())
        why = f"every layer stands on its floor ({self.floor:g})" if lowest else COARSE
        left = float(budget.cost(widths)) / budget.whole
        found = f"{left:.3g} of the dense network's {self.aim.price.unit} are left"
        return [f"{MISSED} {self.aim}: {found}: {why}"]

    def _on_the_floor(self, kept: Mask, layout: Layout) -> list[str]:
        counts, least = layout.counts(kept), floors(layout, self.floor)
        return [
            f"layer {name!r} stands on its floor: {count} of {size} units are left ({_EVENLY})"
            for name, count, size, low in zip(
                layout.names, counts, layout.sizes, least, strict=True
            )
            if self.scope == "global" and count <= low < size
        ]
