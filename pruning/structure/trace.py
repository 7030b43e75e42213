"""Find the units of a network, and prove them before anything is removed."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pruning.errors import InputError, nearest
from pruning.structure.computed import with_computed
from pruning.structure.copies import (
    Example,
    as_args,
    first_line,
    first_samples,
    map_tensors,
)
from pruning.structure.modes import reached, training_only
from pruning.structure.reasons import WHOLE, told
from pruning.structure.scramble import drawn_copy, settle
from pruning.structure.tracer import Tracer
from pruning.structure.units import Group, Units, UntraceableError
from pruning.structure.verify import refute
from pruning.structure.wrappers import uncompiled, unwrapped


def trace_units(
    model: nn.Module,
    example_input: Example,
    *,
    protect: Collection[str] = (),
    verify: bool = True,
) -> Units:
    """The units of a dense network, of which there is one at least; see ``find_units``.

    Raises:
        UntraceableError: as there, and where no unit can be removed.
    """
    units = find_units(model, example_input, protect=protect, verify=verify)
    tied = any(len(s.index) > 1 for group in units.groups for s in group.slices)
    if not units.groups or (tied and max(units.layout.sizes) < 2):
        whole = [str(WHOLE)] if units.groups else []
        why = (
            "; ".join([*whole, *dict.fromkeys(units.refused.values())])
            or "it has no layer with channels"
        )
        raise UntraceableError(f"no unit of {type(model).__name__} can be removed: {why}")
    return units


def find_units(
    model: nn.Module,
    example_input: Example,
    *,
    protect: Collection[str] = (),
    verify: bool = True,
) -> Units:
    """What can be removed of a dense network, if anything, and what stays with the reasons.

    The model, its state and the global random state are left as they are: a copy on the CPU is
    traced, with two samples of the example at most. A small example (64 x 64) is faster and enough.

    Args:
        model: the dense network, on any device.
        example_input: a batch it accepts, a tensor or a mapping, or a tuple of forward's arguments.
        protect: names of modules whose output channels must stay.
        verify: prove every group by removing some of its units and comparing the outputs; groups
            that fail are refused.

    Raises:
        UntraceableError: the model cannot be followed, or a part of it runs in training only.
        InputError: `protect` names no module of the model.
    """
    model = unwrapped(model)
    _check_protect(model, protect)
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), uncompiled():
        torch.default_generator.manual_seed(0)  # dropout in the step that is trained, and the like
        dense, args, evaluated = _runnable(model, example_input)
        hidden = training_only(dense, args, evaluated)
        if hidden:
            raise UntraceableError(
                f"{type(model).__name__}: {hidden[0]!r} runs in training only, so that what it "
                f"reads cannot be traced; build the network without it (aux_logits: false)"
            )
        units = Tracer(dense, args).units(protect)
        if verify:
            guilty = refute(dense, args, units, lambda: _runnable(model, example_input)[0])
            judged = (replace(g, reason=guilty.get(g.name)) for g in units.groups)
            units = Units.of((*judged, *units.stay), units.counts)
    return _in_true_words(units, with_computed(dense))


def _in_true_words(units: Units, computed: Sequence[str]) -> Units:
    """With the cause in place of what came of it, where weights are computed."""

    def own(group: Group) -> Group:
        tensors = [s.tensor for s in group.slices]
        return replace(group, reason=group.reason and told(group.reason, tensors, computed))

    return replace(units, stay=tuple(map(own, units.stay)))


def _check_protect(model: nn.Module, protect: Collection[str]) -> None:
    names = [name for name, _ in model.named_modules() if name]
    for name in protect:
        if name not in names:
            raise InputError(f"protect: the model has no module {name!r}{nearest(name, names)}")


def _runnable(
    model: nn.Module, example_input: Example
) -> tuple[nn.Module, tuple[Any, ...], Set[str]]:
    """A scrambled copy, an input that it accepts, in double precision if it can be, and the names
    of the modules that are reached.
    """
    rng = torch.Generator().manual_seed(1)

    def sample(value: Tensor, dtype: torch.dtype) -> Tensor:
        if not value.is_floating_point():
            return value.detach().cpu()
        return torch.randn(value.shape, dtype=dtype, generator=rng)

    fault: Exception | None = None
    for dtype in (torch.float64, torch.float32):
        args = map_tensors(first_samples(as_args(example_input), 2), partial(sample, dtype=dtype))
        try:
            copy = drawn_copy(model, dtype)
        except Exception as error:
            raise UntraceableError(
                f"{type(model).__name__} cannot be copied: {first_line(error)}"
            ) from error
        try:
            with reached(copy) as evaluated:
                settle(copy, args, seed=0)
            return copy, args, evaluated
        except Exception as error:
            fault = fault or error
    raise UntraceableError(
        f"{type(model).__name__} does not run on the example input: {first_line(fault)}"
    ) from fault
