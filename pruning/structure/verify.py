"""Proof of a trace: remove units for real and compare with the dense network that ignores them.

A trace is read off one forward pass, and knows neither what code does with a width (``c // heads``)
nor whether a rule of ours is wrong. Both are found here.

Kept true: no unit goes from a user's network unless removals from its group gave, on a copy, what
the dense network gives with zeros where their units are read. Compared are the outputs, and what
every layer puts out on the way: a Hardtanh or a sharp softmax behind a layer hides what goes in.
Units go twice, under weights of two draws, and what is left trains a step, as state of a channel's
width may be used in training alone; a disturbance of the units must have been seen in what was
compared, or nothing was proven. All of it is in double where the network can, so that an error
stands far above rounding. A guilty group stays, with the reason; the others are tried again without
it. Only `trace_units` calls this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from pruning.structure.change import change
from pruning.structure.copies import copy_model, map_tensors, tensors_in
from pruning.structure.dry import NormShapes
from pruning.structure.layout import Bools, Layout
from pruning.structure.modes import training_fault
from pruning.structure.reasons import RANDOM, UNSEEN, Reason, failing
from pruning.structure.scramble import scramble
from pruning.structure.sensitivity import seen_units
from pruning.structure.shrink import shrink
from pruning.structure.units import Units

_DRAWS, _FEW = 8, 16


def refute(
    dense: nn.Module, args: tuple[Any, ...], units: Units, anew: Callable[[], nn.Module]
) -> dict[str, Reason]:
    """Group name -> what goes wrong when its units are removed; empty if the trace is right.

    Args:
        dense: a scrambled copy on the CPU; used up, as one more would take as much memory.
        args: arguments of its forward.
        anew: makes another one that is the same, which is wanted if something goes wrong.
    """
    guilty = _Proof(dense, args, units, anew).guilty()
    return {units.layout.names[group]: why for group, why in guilty.items()}


class _Proof:
    def __init__(
        self,
        dense: nn.Module,
        args: tuple[Any, ...],
        units: Units,
        anew: Callable[[], nn.Module],
    ) -> None:
        self._fresh: nn.Module | None = dense
        self._args, self._units, self._anew = args, units, anew
        self._cut = {s.tensor for group in units.groups for s in group.slices}
        self._proven: tuple[nn.Module, Bools]

    def guilty(self) -> dict[int, Reason]:
        found: dict[int, Reason] = {}
        left = list(range(len(self._units.groups)))
        # Where groups are guilty by themselves, those that fail only together were not looked for.
        while left and (fault := self._fault(left)):
            if self._random:
                return dict.fromkeys(left, RANDOM)
            found |= self._blame(left, *fault)
            left = [group for group in left if group not in found]
        return found | dict.fromkeys(self._unseen(left), UNSEEN)

    def _blame(self, chosen: Sequence[int], why: Reason, step: int) -> dict[int, Reason]:
        """The groups among the chosen that fail, found by halving; all, if only together.

        Most networks have no guilty group and need no more than the first trial. Others have one in
        every block, so that a few are soon looked at one by one.
        """
        half = len(chosen) // 2
        alone = [[group] for group in chosen] if 1 < len(chosen) <= _FEW else []
        for parts in (alone, [chosen[:half], chosen[half:]] if half else []):
            found: dict[int, Reason] = {}
            for part in parts:
                if its_own := self._fault(part, step):
                    found |= self._blame(part, *its_own)
            if found:
                return found
        return dict.fromkeys(chosen, why)

    def _fault(self, chosen: Sequence[int], last: int = 2) -> tuple[Reason, int] | None:
        """What goes wrong when units of the chosen groups are removed, and at which step.

        Steps 0 and 1 remove some, step 2 trains. What fails at step 0 may do so by its shapes
        alone, and step -1 looks at no more, which costs little: where the widths of a network are
        fixed in its code many groups fail so, and each is found by some trials.
        """
        if last < 0:
            return (dry, -1) if (dry := self._dry_fault(chosen)) else None
        shared, small = self._fresh is None, self._fresh or copy_model(self._dense, lambda t: t)
        self._fresh = None
        alive = np.ones(self._units.layout.total, dtype=np.bool_)
        for step, keep in enumerate(_patterns(self._units.layout, chosen)[: last + 1]):
            try:
                if step:
                    scramble(small, self._args, step, self._cut)
                fault = change(small, self._args, self._units, alive, keep, shared and not step)
            except Exception as error:
                fault = failing(error)
            if fault:
                del small
                dry = None if step else self._dry_fault(chosen)
                return (dry, -1) if dry else (fault, step)
            alive = keep
        self._proven = small, alive
        if last < 2 or not (fault := training_fault(small, self._args, self._cut)):
            return None
        return (fault, 2) if self._trains else None

    def _dry_fault(self, chosen: Sequence[int]) -> Reason | None:
        if not self._runs_dry:
            return None
        bare = copy_model(self._dense, lambda t: torch.empty_like(t, device="meta"))
        keep = _patterns(self._units.layout, chosen)[0]
        try:
            shrink(bare, None, self._units, keep | True, keep)
            with torch.no_grad(), NormShapes():  # type: ignore[no-untyped-call]
                bare(*_on_meta(self._args))
        except Exception as error:
            return failing(error)
        return None

    @cached_property
    def _dense(self) -> nn.Module:
        return self._anew()

    @cached_property
    def _runs_dry(self) -> bool:
        """Whether the dense network runs without numbers."""
        try:
            bare = copy_model(self._dense, lambda t: torch.empty_like(t, device="meta"))
            with torch.no_grad(), NormShapes():  # type: ignore[no-untyped-call]
                bare(*_on_meta(self._args))
        except Exception:  # a user's model may look at values
            return False
        return True

    def _unseen(self, groups: Sequence[int]) -> list[int]:
        """Those of the groups, just proven together, of which nothing is seen."""
        unseen = [group for group in groups if self._units.layout.sizes[group] > 1]
        for draw in range(_DRAWS):
            if unseen:
                small, alive = self._proven
                if draw:  # behind a ReLU, the few units that are left may all be dead by chance
                    scramble(small, self._args, draw, self._cut)
                seen = self._units.layout.counts(seen_units(small, self._args, self._units, alive))
                unseen = [group for group in unseen if not seen[group]]
        return unseen

    @cached_property
    def _trains(self) -> bool:
        return training_fault(self._dense, self._args, self._cut) is None

    @cached_property
    def _random(self) -> bool:
        """Whether it is random in evaluation too."""
        with torch.no_grad():
            first, second = (list(tensors_in(self._dense(*self._args))) for _ in range(2))
        return not all(map(torch.equal, first, second))


def _on_meta(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(map_tensors(a, lambda t: t.to("meta")) for a in args)


def _patterns(layout: Layout, chosen: Sequence[int]) -> list[Bools]:
    """What stays of the chosen groups: a random part, and then without its own first third.

    The halves of a group that are tied by a split or a chunk lose unequal numbers: two parts of a
    chunk taken for each other would not show where both lose the same places.
    """
    rng = np.random.default_rng(0)
    some = np.ones(layout.total, dtype=np.bool_)
    for group, (size, start) in enumerate(zip(layout.sizes, layout.offsets[:-1], strict=True)):
        order = rng.permutation(size)
        if group in chosen:
            # Few stay, as little is computed with them. Of few to begin with more than one: a
            # single conv-group of four goes through a shuffle of four unharmed.
            left = size // 3 if size >= 12 else size - max(1, size // 3)
            some[start + order[max(1, left) :]] = False
    fewer = some.copy()
    for group in chosen:
        ids = layout.offsets[group] + np.flatnonzero(layout.split(some)[layout.names[group]])
        fewer[ids[: min(max(1, len(ids) // 3), len(ids) - 1)]] = False
    return [some, fewer]
