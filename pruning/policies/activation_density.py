"""Activation density: narrow each layer, round by round, to what of it is active.

Foldy-Porto, Venkatesha, Panda: Activation Density driven Energy-Efficient Pruning in Training,
arXiv 2002.02949.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise, takewhile
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from pruning.history import History, Record
from pruning.policies.base import Policy, Prune
from pruning.saliency import ActivationDensity, Magnitude, Saliency
from pruning.structure.layout import Layout

Densities = npt.NDArray[np.float64]

FULL_LENGTH = 400
"""Epochs of a training of which four stages of at most 50 epochs are the first half."""

_L1 = Magnitude(norm="l1", normalize="none")


class ActivationDensityPruning(Policy):
    """When the densities have settled, resize each layer by its own; then the next stage.

    AD_l is the share of non-zero activations behind layer l's activation function [C] in an epoch
    of training [L]; of tied layers the mean [G]. A stage ends when every AD has changed by less
    than ``tolerance`` in ``window`` epochs [L], but not before ``shortest`` nor after ``longest``
    epochs [G]. Each layer then keeps max(least, round(C_l * AD_l)) of its C_l units [L]: those of
    highest own density, of equals those with the larger L1 norm [G]. It is over when AD >= target
    everywhere, when a round changes no layer, or after so many ``rounds`` [G].

    window, shortest, longest: 5, 10 and 50 epochs in a training of 400 and more, and of unknown
    length; in a shorter one by default as much less [G], and a stage has window + 1 epochs.
    least: units that a layer keeps at least [G]. weights: ``keep`` [G], or ``reinit``: the narrower
    network begins anew (likely the paper's [L]).
    eps: |a| > eps counts as non-zero [G]. With 0 a network without zeros, such as one with GELU
    throughout, is refused; layers without an activation function are never narrowed [G].
    """

    name: ClassVar[str] = "activation_density"
    paper: ClassVar[str] = (
        "Foldy-Porto, Venkatesha, Panda, Activation Density driven Energy-Efficient Pruning in "
        "Training, arXiv 2002.02949"
    )

    window: Annotated[int, Field(ge=1)] | None = None
    tolerance: Annotated[float, Field(gt=0)] = 0.01
    shortest: Annotated[int, Field(ge=1)] | None = None
    longest: Annotated[int, Field(ge=1)] | None = None
    rounds: Annotated[int, Field(ge=1)] = 4
    target: Annotated[float, Field(gt=0, le=1)] = 0.95
    least: Annotated[int, Field(ge=1)] = 1
    weights: Literal["keep", "reinit"] = "keep"
    eps: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _stages_have_a_length(self) -> ActivationDensityPruning:
        if self.shortest and self.longest and self.shortest > self.longest:
            raise ValueError(
                f"shortest: {self.shortest} is not allowed: longest is {self.longest} "
                f"(allowed: up to {self.longest})"
            )
        return self

    @property
    def density(self) -> ActivationDensity:
        """What is measured."""
        return ActivationDensity(eps=self.eps)

    def probes(self) -> Sequence[Saliency]:
        """Densities, and L1 norms to tell equal ones apart."""
        return self.density, _L1

    def decide(self, history: History) -> Prune | None:
        """The next round, at the end of a stage."""
        stage = _stage(history.records)
        window, _, longest = self.stages(history.epochs)
        if not stage or _rounds(history.records) >= self.rounds:
            return None
        course = np.stack([self.of_layers(record, history.layout) for record in stage])
        if self._end(course, history.epochs) != len(stage) or (course[-1] >= self.target).all():
            return None  # it goes on, or it has ended before and changed no layer
        late = not settled(course, window, self.tolerance)
        warning = (
            f"activation densities had not settled: pruned after epoch {history.epoch} because of "
            f"longest={longest}"
        )
        return self.resize(history, [warning] if late else [])

    def resize(self, history: History, warnings: Sequence[str] = ()) -> Prune | None:
        """The action that leaves each layer its share; None if it changes no layer."""
        last, layout = history.last, history.layout
        counts = layout.counts(last.alive)
        # np.rint would round halves to even numbers: 2.5 units to 2, 3.5 to 4
        wanted = np.floor(counts * self.of_layers(last, layout) + 0.5).astype(np.int64)
        keep = np.minimum(np.maximum(wanted, self.least), counts)
        own, size = last.probes[self.density.key], last.probes[_L1.key]
        order = np.lexsort(
            (-size, -own, layout.group_of)
        )  # by layer, the best first, gone ones last
        place = np.arange(layout.total) - layout.offsets[layout.group_of]
        gone = order[(place >= keep[layout.group_of]) & (place < counts[layout.group_of])]
        return Prune.of(gone, warnings, reinit=self.weights == "reinit") if len(gone) else None

    def indicator(self, history: History) -> float | None:
        """The smallest AD of a layer after the newest epoch; rounds end where it is ``target``."""
        if self.density.key not in history.last.probes:
            return None
        return float(self.of_layers(history.last, history.layout).min())

    def stages(self, epochs: int | None) -> tuple[int, int, int]:
        """Window, shortest and longest stage in a training of so many epochs."""
        share = min(1.0, (epochs or FULL_LENGTH) / FULL_LENGTH)
        window = self.window or max(1, round(5 * share))
        shortest = max(self.shortest or round(10 * share), window + 1)
        longest = self.longest or max(shortest, round(50 * share))
        return window, min(shortest, longest), longest

    def first_action(self, epochs: int) -> tuple[int, int] | None:
        """From the shortest first stage to the longest."""
        _, shortest, longest = self.stages(epochs)
        return min(shortest, epochs), min(longest, epochs)

    def action_key(self) -> Hashable:
        """What a round depends on, beside the history."""
        return type(self).resize, self.density.key, self.least, self.weights

    def check(self, epochs: int) -> None:
        """Refuse stages of which none ends within the training."""
        _, shortest, _ = self.stages(epochs)
        if shortest >= epochs:
            raise ValueError(
                f"activation_density: its first stage has {shortest} epochs at least; the training "
                f"has {epochs}, and must go on after it (shortest and window set this)"
            )

    def of_layers(self, record: Record, layout: Layout) -> Densities:
        """AD of each layer in an epoch: the mean over its units, [layers].

        Raises ValueError if densities were not measured in it.
        """
        own = record.probes.get(self.density.key)
        if own is None:
            raise ValueError(
                f"{self.density.key} was not measured in epoch {record.epoch}: the network must be "
                f"called, in training mode, between two epochs' ends"
            )
        alive = record.alive
        sums = np.bincount(layout.group_of[alive], own[alive], minlength=len(layout.sizes))
        return np.asarray(sums / layout.counts(alive), dtype=np.float64)

    def _end(self, course: Densities, epochs: int | None) -> int | None:
        """After how many epochs the stage with these ADs [epochs, layers] ended, if it did."""
        window, shortest, longest = self.stages(epochs)
        # Nothing is remembered from epoch to epoch: whether it ended before is seen by going back.
        for length in range(shortest, len(course) + 1):
            if length >= longest or settled(course[:length], window, self.tolerance):
                return length
        return None


def settled(course: Densities, window: int, tolerance: float) -> bool:
    """Whether |AD(e) - AD(e - window)| < tolerance in every layer; course: [epochs, layers]."""
    if len(course) <= window:
        return False
    return bool((np.abs(course[-1] - course[-1 - window]) < tolerance).all())


def _stage(records: Sequence[Record]) -> list[Record]:
    """The epochs of training since units went last, in order."""
    alive = records[-1].alive
    backwards = takewhile(
        lambda one: one.epoch > 0 and np.array_equal(one.alive, alive), reversed(records)
    )
    return list(backwards)[::-1]


def _rounds(records: Sequence[Record]) -> int:
    """How often units went."""
    return sum(not np.array_equal(a.alive, b.alive) for a, b in pairwise(records))
