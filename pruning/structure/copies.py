"""Copies of a model without its hooks and gradients, and the exchange of single tensors in one."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pruning.structure.computed import is_own

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def copy_model(
    model: nn.Module,
    tensor: Callable[[Tensor], Tensor],
    parameter: Callable[[Tensor], Tensor] | None = None,
) -> nn.Module:
    """A copy in eval mode whose parameters and buffers are `tensor(old)`, shared where they were.

    So are tensors that modules keep of their last forward pass, wherever they keep them. No memory
    is copied unless `tensor` does. Running the copy has no side effects: users' hooks are left
    behind, and what it is given stays as it is, though the network may work in place. Parameters of
    the copy do not require gradients.

    parameter: stands for `tensor` where the old one is a parameter.
    """
    parameter = parameter or tensor
    # deepcopy takes what stands in its memo, by id, instead of copying: our tensors, and no hooks,
    # as running the copy would call the user's.
    memo: dict[int, Any] = {}
    for p in model.parameters():
        memo[id(p)] = nn.Parameter(parameter(p.detach()), requires_grad=False)
    for b in model.buffers():
        memo[id(b)] = tensor(b.detach())
    for module in model.modules():
        for name in _HOOKS:
            if (held := getattr(module, name, None)) is not None:
                memo[id(held)] = OrderedDict((k, hook) for k, hook in held.items() if is_own(hook))
    with _Detaching(tensor):
        twin = copy.deepcopy(model, memo).train().eval()  # ends caches, as `begin_anew`
    twin.register_forward_pre_hook(lambda _, args: map_tensors(args, torch.clone))
    return twin


class _Detaching(TorchFunctionMode):
    """Deep copies of tensors are `tensor(old)`: torch itself copies none that is in a graph."""

    def __init__(self, tensor: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._tensor = tensor

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is Tensor.__deepcopy__:
            return self._tensor(args[0].detach())
        return func(*args, **(kwargs or {}))


def begin_anew(model: nn.Module) -> None:
    """Drop what modules keep of their weights for evaluation, as caches of attention biases.

    By their own rule: training begins by that. Modes are as before afterwards.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    for module, training in modes:  # a module's own `train` reaches those in it, which come later
        if module.training != training:
            module.train(training)


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name; a shared one once, under its first name."""
    return dict(chain(model.named_parameters(), model.named_buffers()))


def exchange(model: nn.Module, new: Mapping[str, Tensor]) -> list[nn.Module]:
    """Put `new[name]` wherever the tensor of that name is held; the modules that changed."""
    old = named_tensors(model)
    by_id = {id(old[name]): tensor for name, tensor in new.items()}
    changed = []
    for module in model.modules():
        places = [(module._parameters, k) for k in module._parameters]
        places += [(module._buffers, k) for k in module._buffers]  # type: ignore[misc]
        found = [(held, k, by_id[id(held[k])]) for held, k in places if id(held[k]) in by_id]
        for held, key, tensor in found:
            held[key] = tensor  # type: ignore[assignment]
        if found:
            changed.append(module)
    return changed


def same_structure(copy: nn.Module, model: nn.Module) -> nn.Module:
    """A copy of a model, or the module in it that is one: averages and wrappers keep theirs within.

    Raises ValueError if it differs in names or shapes, or shares tensors with the model.
    """
    wanted = {name: tensor.shape for name, tensor in named_tensors(model).items()}
    outer = copy
    while (found := {n: t.shape for n, t in named_tensors(copy).items()}) != wanted:
        inner = [getattr(copy, name, None) for name in ("module", "_orig_mod")]
        copy = next((one for one in inner if isinstance(one, nn.Module)), outer)
        if copy is outer:
            raise ValueError(f"{type(outer).__name__} is no copy: {_difference(found, wanted)}")
    own = {id(tensor) for tensor in named_tensors(model).values()}
    if shared := [name for name, tensor in named_tensors(copy).items() if id(tensor) in own]:
        raise ValueError(f"{type(outer).__name__} is no copy: {shared[0]} is the model's own")
    return copy


def _difference(found: Mapping[str, torch.Size], wanted: Mapping[str, torch.Size]) -> str:
    name = next(n for n in {**wanted, **found} if found.get(n) != wanted.get(n))
    here, there = (tuple(one[name]) if name in one else "missing" for one in (found, wanted))
    return f"{name} is {here} in it and {there} in the model"


def tensors_in(value: object) -> Iterator[Tensor]:
    """All tensors in nested sequences, mappings and data classes, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from tensors_in(getattr(value, field.name))


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same nested sequences, mappings and data classes, with `change(old)` for each tensor."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(item, change) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(map_tensors(item, change) for item in value)
    if isinstance(value, MutableMapping):
        new = copy.copy(value)
        new.update({key: map_tensors(item, change) for key, item in value.items()})
        return new
    if is_dataclass(value) and not isinstance(value, type):
        twin: Any = copy.copy(value)
        for field in fields(value):
            # as a frozen one's own methods do
            object.__setattr__(twin, field.name, map_tensors(getattr(value, field.name), change))
        return twin
    return value


Example = Tensor | tuple[Any, ...] | Mapping[str, Any]
"""A batch that a model accepts, a tensor or a mapping, or a tuple of forward's arguments."""


def as_args(example_input: Example) -> tuple[Any, ...]:
    """The positional arguments of the model's forward."""
    return tuple(example_input) if isinstance(example_input, (tuple, list)) else (example_input,)


def first_samples(args: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """The first samples of a batch; tensors whose first dimension is no batch are left whole."""
    batch = next((a.shape[0] for a in tensors_in(args) if a.dim()), None)

    def first(tensor: Tensor) -> Tensor:
        return tensor[:count] if tensor.dim() and tensor.shape[0] == batch else tensor

    found: tuple[Any, ...] = map_tensors(args, first)
    return found


def first_line(error: BaseException | None) -> str:
    """The kind of an error and the first line of its text."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
