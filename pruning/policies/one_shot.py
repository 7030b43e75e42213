"""One shot: rank all units once, remove a share of them, go on training."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pruning.history import NO_NUMBER, History, Record
from pruning.policies.base import Policy, Prune
from pruning.policies.selection import Mask, Scope, floors, keep_top, round_up
from pruning.saliency import AnySaliency, Magnitude, Probe
from pruning.structure.layout import Layout

COMPARED = "; earlyprune inspect --ratio R compares both"
_EVENLY = f"scope: layer takes the same share of all layers{COMPARED}"


class OneShot(Policy):
    """What and how much is removed, in one cut; subclasses say when.

    ratio: share of all units to remove. saliency: by which units are ranked. scope: ``global``
    ranks all layers together, ``layer`` takes the same share of each. floor: share of each layer
    that always stays (at least one unit). round_to: what a layer keeps is rounded up to a multiple
    of this (8 suits GPUs).
    """

    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    saliency: AnySaliency = Magnitude()
    scope: Scope = "global"
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.05
    round_to: Annotated[int, Field(ge=1)] = 1

    def probes(self) -> Sequence[Probe]:
        """The one saliency."""
        return (self.saliency,)

    def asks(self, epoch: int, epochs: int, acted: bool) -> bool:
        """Until its cut."""
        last = self.first_action(epochs)
        return not acted and last is not None and epoch <= last[1]

    def scores(self, record: Record) -> npt.NDArray[np.float32] | None:
        """The saliency as measured in an epoch, [units]; None if it was not."""
        return record.probes.get(self.saliency.key)

    def sub_network(self, record: Record, layout: Layout) -> Mask | None:
        """What would stay if the cut came after this record; bool [units]."""

        def compute(record: Record) -> Mask | None:
            scores = self.scores(record)
            return (
                None
                if scores is None
                else keep_top(scores, layout, self.ratio, self.scope, self.floor)
            )

        return record.remember(("kept", *self.choice), compute)

    @property
    def choice(self) -> tuple[Hashable, ...]:
        """What the sub-network of a record depends on, beside the record."""
        return self.saliency.key, self.ratio, self.scope, self.floor

    def action_key(self) -> Hashable:
        """What the cut depends on, beside the history."""
        kind = type(self)
        return kind.cut, kind.sub_network, kind.scores, (*self.choice, self.round_to)

    def cut(self, history: History, warnings: Sequence[str] = ()) -> Prune | None:
        """The action that leaves the sub-network of the newest record.

        Raises ValueError if the saliency was not measured in it.
        """
        kept = self.sub_network(history.last, history.layout)
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
        return Prune.of(gone, (*warnings, *self._on_the_floor(kept, history.layout)))

    def _on_the_floor(self, kept: Mask, layout: Layout) -> list[str]:
        counts, least = layout.counts(kept), floors(layout, self.floor)
        return [
            f"layer {name!r} stands on its floor: {count} of {size} units are left ({_EVENLY})"
            for name, count, size, low in zip(
                layout.names, counts, layout.sizes, least, strict=True
            )
            if self.scope == "global" and count <= low < size
        ]
