"""Proof of a trace: remove units for real and compare with the dense network that ignores them.

A trace is made from a graph that does not know what functions compute: whatever torch-pruning does
not know it takes for element-wise. A mean over channels, a width written into ``view`` and a chunk
get through the tracer and are found here.

Kept true: no unit goes from a user's network unless removals from its group gave, on a copy, the
outputs of the dense network with zeros where their units are read. The copy is scrambled, as fresh
networks hide mistakes behind zero heads and equal statistics, and computes in double where the
network can, so that an error stands far above rounding. A guilty group stays, with the reason; the
others are tried again without it. `trace_units` calls ``refute``; tests compare with ``ignore``.

Known and open: only outputs are compared, and one that saturates (tanh, softmax, a Hardtanh) can
hide a fault; nothing is trained, so state of a channel's width that training alone uses is not
seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pruning.structure.copies import copy_model, exchange, named_tensors, tensors_in
from pruning.structure.layout import Bools, Layout
from pruning.structure.reasons import COUNTED, RESHAPED, Reason, failing
from pruning.structure.shrink import shrink
from pruning.structure.units import Units


def refute(dense: nn.Module, args: tuple[Any, ...], units: Units) -> dict[str, Reason]:
    """Group name -> what goes wrong when its units are removed; empty if the trace is right.

    Args:
        dense: a copy on the CPU with random weights; not changed.
        args: arguments of its forward.
    """
    guilty: dict[str, Reason] = {}
    names = [group.name for group in units.groups]
    left = list(range(len(names)))
    # Where groups are guilty by themselves, those that fail only together were not looked for yet.
    while left and (found := _blame(dense, args, units, left)):
        guilty |= {names[group]: why for group, why in found.items()}
        left = [group for group in left if group not in found]
    return guilty


def ignore(model: nn.Module, units: Units, removed: Bools) -> None:
    """Zero the weights that read the removed units (bool [U]): what shrinking must equal."""
    new: dict[str, Tensor] = {}
    old = named_tensors(model)
    for group, gone in zip(units.groups, units.layout.split(removed).values(), strict=True):
        for s in group.slices:
            if s.role == "consume":
                tensor = new.setdefault(s.tensor, old[s.tensor].detach().clone())
                tensor.index_fill_(s.dim, s.index[torch.from_numpy(gone)[s.unit]], 0)
    parameters = {k: nn.Parameter(t, requires_grad=False) for k, t in new.items()}
    exchange(model, parameters)


def _blame(
    dense: nn.Module, args: tuple[Any, ...], units: Units, chosen: Sequence[int]
) -> dict[int, Reason]:
    """The groups among the chosen that fail, found by halving; all, if they only fail together.

    A trial is four copies and four passes. Most networks have no guilty group and need one trial.
    """
    fault = _fault(dense, args, units, chosen)
    if fault is None:
        return {}
    half = len(chosen) // 2
    parts = (chosen[:half], chosen[half:]) if half else ()
    found = {k: why for part in parts for k, why in _blame(dense, args, units, part).items()}
    return found or dict.fromkeys(chosen, fault)


def _fault(
    dense: nn.Module, args: tuple[Any, ...], units: Units, chosen: Sequence[int]
) -> Reason | None:
    alive = np.ones(units.layout.total, dtype=np.bool_)
    for keep in _patterns(units.layout, chosen):
        reference = copy_model(dense, lambda t: t)
        ignore(reference, units, ~keep)
        small = copy_model(dense, lambda t: t)
        try:
            with torch.no_grad():
                expected = list(tensors_in(reference(*args)))
                shrink(small, None, units, alive, keep)
                fault = _difference(expected, list(tensors_in(small(*args))))
        except Exception as error:
            return failing(error)
        if fault is not None:
            return fault
    return None


def _patterns(layout: Layout, chosen: Sequence[int]) -> list[Bools]:
    """Two ways to remove units of the chosen groups: a random third, and the first half.

    The halves of a group that are tied by a split or a chunk lose unequal numbers. One pattern is
    too little: torch-pruning has been seen to take the two parts of a chunk for each other, which
    first halves, the same places in both, do not show.
    """
    rng = np.random.default_rng(0)
    third, half = (np.ones(layout.total, dtype=np.bool_) for _ in range(2))
    for group in range(len(layout.sizes)):
        size, start = layout.sizes[group], int(layout.offsets[group])
        order = rng.permutation(size)
        if group in chosen:
            third[start + order[: min(max(1, size // 3), size - 1)]] = False
            half[start : start + size // 2] = False
    return [third, half]


def _difference(expected: Sequence[Tensor], actual: Sequence[Tensor]) -> Reason | None:
    if [t.shape for t in expected] != [t.shape for t in actual]:
        return RESHAPED
    for e, a in zip(expected, actual, strict=True):
        if not e.is_floating_point():
            continue
        tolerance = 1e-7 if e.dtype == torch.float64 else 1e-3
        # "not <=", not ">": a network whose outputs are NaN has proven nothing
        if not bool((e - a).abs().max() <= tolerance * e.abs().max()):
            return COUNTED
    return None
