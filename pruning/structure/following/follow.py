"""A forward pass, operation by operation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pruning.structure.copies import tensors_in
from pruning.structure.following import rules
from pruning.structure.following.call import Call, rule_for
from pruning.structure.following.equals import settle
from pruning.structure.following.grids import grids
from pruning.structure.following.ledger import Ledger
from pruning.structure.following.numbers import owned
from pruning.structure.following.sizes import Sizes
from pruning.structure.following.widths import Widths
from pruning.structure.reasons import OUTPUT

__all__ = ["follow", "rules"]

UNKNOWN = "an operation takes them that is not known"


@torch.no_grad()
def follow(model: nn.Module, args: tuple[Any, ...], tensors: dict[str, Tensor]) -> Ledger:
    """What one forward pass shows of a model in evaluation mode, on the CPU.

    tensors: its parameters and buffers by name.
    """
    ledger = _followed(model, args, Ledger(tensors))
    if columns := _by_columns(ledger):
        return _followed(model, args, Ledger(tensors, columns.__contains__))
    return ledger


def _followed(model: nn.Module, args: tuple[Any, ...], ledger: Ledger) -> Ledger:
    with entered(model, Follower(ledger), Widths(ledger)):
        outputs = list(tensors_in(model(*args)))
    for out in outputs:
        ledger.taint(ledger.memory.layers(out), OUTPUT)
    settle(ledger.equals, ledger.ties)
    ledger.take_together(ledger.counted[one] for one in ledger.amounts & ledger.counted.keys())
    return ledger


def _by_columns(ledger: Ledger) -> set[str]:
    """The modules that make products head by head, where the code ties the heads' width to that of
    another tensor: of whole heads that other one would lose as many channels in a row."""
    return {one for one in ledger.headed if any(_related(one, other) for other in ledger.sized)}


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


class Follower(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, notes in a ledger what each operation does."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ledger = ledger

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        call = self._call(func, args, kwargs)
        out = self.compute(call, args, kwargs)
        outs = out if isinstance(out, (tuple, list)) else [out]
        call.outs.extend(one for one in outs if isinstance(one, Tensor))
        if call.outs and (call.given or func._schema.is_mutable):
            self._note(func, call)
        return out

    def compute(self, call: Call, args: Any, kwargs: Any) -> Any:
        """What the operation gives."""
        return call.run(*args, **kwargs)

    def _call(self, func: Any, args: Any, kwargs: Any) -> Call:
        named = _bound(func, args, kwargs)
        name = func._schema.name.partition("::")[2].rstrip("_")
        return Call(name, named, [], self.ledger, self.ledger.running[-1], func)

    def _note(self, func: Any, call: Call) -> None:
        memory = self.ledger.memory
        changed = func._schema.is_mutable
        if torch.Tag.inplace_view in func.tags:
            return
        if self.ledger.learns and call.given and not memory.is_weight(call.given[0]):
            self.ledger.grids.extend(grids(call))
        if not changed and not any(memory.is_new(one, call.given) for one in call.outs):
            return
        known = [one for one in call.given if call.layers(one)]
        if not known and not changed:
            return
        handle = rule_for(func, call.name)
        if handle is None:
            found = [layer for one in known for layer in call.layers(one)]
            call.taint(found, f"{UNKNOWN}: {call.name}")
            return
        if not changed and call.given and all(memory.is_weight(one) for one in call.given):
            memory.add_weight(call.out)
        memory.write(call.out, handle(call))


def _bound(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments by name, in torch's order: it leaves out those that are as by default."""
    named = _defaults(func)
    return named | dict(zip(named, args, strict=False)) | dict(kwargs)


@cache
def _defaults(func: Any) -> dict[str, Any]:
    return {one.name: one.default_value for one in func._schema.arguments}


@contextmanager
def entered(model: nn.Module, follower: Follower, sizes: Sizes) -> Iterator[None]:
    """Forward passes of a model in here are followed."""
    modules = _named_modules(model, follower.ledger.running)
    with modules, _whole_operations(), owned(model, sizes.book), follower, sizes:
        yield


@contextmanager
def _named_modules(model: nn.Module, running: list[str]) -> Iterator[None]:
    """While they run, their names are in here, the innermost last; the model itself is ""."""
    hooks = []

    def leave(*_: object) -> None:
        running.pop()

    for name, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(lambda *_, name=name: running.append(name)))
        hooks.append(module.register_forward_hook(leave))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _whole_operations() -> Iterator[None]:
    """Without the fused encoder layer, which shows nothing of what it does."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
