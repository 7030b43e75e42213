"""What a network costs: parameters, and multiply-accumulates of one sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from pruning.structure.copies import Example
from pruning.structure.dry import NormShapes, dry_run


@dataclass(frozen=True)
class Cost:
    """Of a network as it is: parameters, MACs of one sample, units that can be removed, and
    weights that a mask holds at zero.
    """

    params: int
    macs: int
    units: int
    masked: int = 0


def measure(model: nn.Module, example_input: Example) -> tuple[int, int]:
    """(params, macs) of one sample, in evaluation mode.

    Counted by torch's own flop counter (convolutions, matrix products, attention), two flops a
    MAC, on a dry run.
    """
    params = sum(p.numel() for p in model.parameters())
    return params, sum(macs_by_module(model, example_input).values())


def macs_by_module(model: nn.Module, example_input: Example) -> dict[str, int]:
    """MACs of one sample that each module computes itself, not in modules within it.

    By the names of all modules that are called, of the model itself "".
    """
    return dry_run(model, example_input, _macs)


def _macs(model: nn.Module, args: tuple[Any, ...]) -> dict[str, int]:
    with _counting() as counter:
        bill = _Bill(counter)
        for name, module in model.named_modules():
            module.register_forward_pre_hook(partial(bill.enter, name))
            module.register_forward_hook(bill.leave, always_call=True)
        model(*args)
    return {name: flops // 2 for name, flops in bill.flops.items()}


@dataclass(frozen=True)
class Operation:
    """Something that is counted: a formula, and its arguments with lists of sizes for tensors."""

    formula: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def operations(model: nn.Module, example_input: Example) -> list[Operation]:
    """What is counted of one sample, in order, by torch's formulas: two flops a MAC."""
    return dry_run(model, example_input, _operations)


def _operations(model: nn.Module, args: tuple[Any, ...]) -> list[Operation]:
    found: list[Operation] = []

    def noting(formula: Callable[..., int]) -> Callable[..., int]:
        def note(*args: Any, **kwargs: Any) -> int:
            flops = formula(*args, **kwargs)
            if raw:  # it looks at values, not at shapes alone
                found.append(Operation(_known, (flops,), {}))
            else:
                found.append(Operation(formula, *tree_map(_sizes, (args, kwargs))))
            return flops

        raw = getattr(formula, "_get_raw", False)
        note._get_raw = True  # type: ignore[attr-defined]  # or it would be given torch.Size
        return note

    with _counting({op: noting(formula) for op, formula in flop_registry.items()}):
        model(*args)
    return found


def _known(flops: Any) -> Any:
    return flops


def _sizes(given: Any) -> Any:
    return list(given.shape) if isinstance(given, Tensor) else given


@contextmanager
def _counting(
    formulas: Mapping[Any, Callable[..., int]] | None = None,
) -> Iterator[FlopCounterMode]:
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused kernel is not counted
    try:
        counter = FlopCounterMode(display=False, custom_mapping=dict(formulas or {}))
        with counter, NormShapes():  # type: ignore[no-untyped-call]
            yield counter
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class _Bill:
    """Charges what is computed to the innermost module that is running."""

    def __init__(self, counter: FlopCounterMode) -> None:
        self.flops: dict[str, int] = {}
        self._counter, self._running, self._seen = counter, [""], 0

    def enter(self, name: str, *_: object) -> None:
        self._charge()
        self._running.append(name)
        self.flops.setdefault(name, 0)

    def leave(self, *_: object) -> None:
        self._charge()
        self._running.pop()

    def _charge(self) -> None:
        total = int(self._counter.get_total_flops())
        if total > self._seen:
            name = self._running[-1]
            self.flops[name] = self.flops.get(name, 0) + total - self._seen
        self._seen = total
