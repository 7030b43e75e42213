"""Find the units of a network, and prove them before anything is removed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from pruning.errors import InputError, nearest
from pruning.structure.copies import (
    as_args,
    first_line,
    first_samples,
)
from pruning.structure.modes import training_only
from pruning.structure.scramble import scrambled_copy
from pruning.structure.tracer import Tracer
from pruning.structure.units import Units, UntraceableError
from pruning.structure.verify import refute


def trace_units(
    model: nn.Module,
    example_input: Tensor | tuple[Any, ...],
    *,
    protect: Collection[str] = (),
    verify: bool = True,
) -> Units:
    """The units of a dense network, of which there is one at least; see ``find_units``.

    Raises:
        UntraceableError: as there, and where no unit can be removed.
    """
    units = find_units(model, example_input, protect=protect, verify=verify)
    if not units.groups:
        why = "; ".join(dict.fromkeys(units.refused.values())) or "it has no layer with channels"
        raise UntraceableError(f"no unit of {type(model).__name__} can be removed: {why}")
    return units


def find_units(
    model: nn.Module,
    example_input: Tensor | tuple[Any, ...],
    *,
    protect: Collection[str] = (),
    verify: bool = True,
) -> Units:
    """What can be removed of a dense network, if anything, and what stays with the reasons.

    The model, its state and the global random state are left as they are: a copy on the CPU is
    traced, with two samples of the example at most. A small example (64 x 64) is faster and enough.

    Args:
        model: the dense network, on any device.
        example_input: a batch it accepts, or a tuple of forward's arguments.
        protect: names of modules whose output channels must stay.
        verify: prove every group by removing some of its units and comparing the outputs; groups
            that fail are refused.

    Raises:
        UntraceableError: the model cannot be followed, or a part of it runs in training only.
        InputError: `protect` names no module of the model.
    """
    _check_protect(model, protect)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.default_generator.manual_seed(0)  # dropout in the step that is trained, and the like
        dense, args = _runnable(model, example_input)
        hidden = training_only(dense, args)
        if hidden:
            raise UntraceableError(
                f"{type(model).__name__}: {hidden[0]!r} runs in training only, so that what it "
                f"reads cannot be traced; build the network without it (aux_logits: false)"
            )
        units = Tracer(dense, args).units(protect)
        if verify:
            guilty = refute(dense, args, units)
            judged = (replace(g, reason=guilty.get(g.name)) for g in units.groups)
            units = Units.of((*judged, *units.stay), units.taken_together, units.counts)
    return units


def _check_protect(model: nn.Module, protect: Collection[str]) -> None:
    names = [name for name, _ in model.named_modules() if name]
    for name in protect:
        if name not in names:
            raise InputError(f"protect: the model has no module {name!r}{nearest(name, names)}")


def _runnable(
    model: nn.Module, example_input: Tensor | tuple[Any, ...]
) -> tuple[nn.Module, tuple[Any, ...]]:
    """A scrambled copy and an input that it accepts, in double precision if it can be."""
    rng = torch.Generator().manual_seed(1)

    def sample(value: Any, dtype: torch.dtype) -> Any:
        if not isinstance(value, Tensor):
            return value
        if not value.is_floating_point():
            return value.detach().cpu()
        return torch.randn(value.shape, dtype=dtype, generator=rng)

    fault: Exception | None = None
    for dtype in (torch.float64, torch.float32):
        args = tuple(sample(a, dtype) for a in first_samples(as_args(example_input), 2))
        try:
            return scrambled_copy(model, args, dtype), args
        except Exception as error:
            fault = fault or error
    raise UntraceableError(
        f"{type(model).__name__} does not run on the example input: {first_line(fault)}"
    ) from fault
