"""Copies of a model without its hooks and gradients, and the exchange of single tensors in one."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def copy_model(model: nn.Module, tensor: Callable[[Tensor], Tensor]) -> nn.Module:
    """A copy in eval mode whose parameters and buffers are `tensor(old)`, shared where they were.

    No memory is copied unless `tensor` does. Hooks are left behind, so running the copy has no side
    effects. Parameters of the copy do not require gradients.
    """
    # deepcopy takes what stands in its memo, by id, instead of copying: our tensors, and no hooks,
    # as running the copy would call the user's.
    memo: dict[int, Any] = {}
    for p in model.parameters():
        memo[id(p)] = nn.Parameter(tensor(p.detach()), requires_grad=False)
    for b in model.buffers():
        memo[id(b)] = tensor(b.detach())
    for module in model.modules():
        for hooks in _HOOKS:
            if (held := getattr(module, hooks, None)) is not None:
                memo[id(held)] = OrderedDict()
    return copy.deepcopy(model, memo).eval()


def scrambled_copy(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy on the CPU with random weights and statistics, from a generator of its own.

    Fresh networks hide mistakes: a zero head or a zero-gamma block lets nothing through, and equal
    statistics look alike in any order. The scale of the activations stays roughly what it was.
    """
    rng = torch.Generator().manual_seed(0)

    def moved(t: Tensor) -> Tensor:
        return t.to("cpu", dtype, copy=True) if t.is_floating_point() else t.to("cpu", copy=True)

    twin = copy_model(model, moved)
    with torch.no_grad():
        for p in filter(torch.is_floating_point, twin.parameters()):
            if p.dim() < 2:
                p.uniform_(0.5, 1.5, generator=rng)
            else:
                bound = (6 * p.shape[0] / max(p.numel(), 1)) ** 0.5
                p.uniform_(-bound, bound, generator=rng)
        for name, b in twin.named_buffers():
            if name.endswith("running_mean"):
                b.uniform_(-0.5, 0.5, generator=rng)
            elif name.endswith("running_var"):
                b.uniform_(0.5, 1.5, generator=rng)
    return twin


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


def tensors_in(value: object) -> Iterator[Tensor]:
    """All tensors in nested sequences and mappings, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)


def as_args(example_input: Tensor | tuple[Any, ...]) -> tuple[Any, ...]:
    """The positional arguments of the model's forward."""
    return tuple(example_input) if isinstance(example_input, (tuple, list)) else (example_input,)


def first_samples(args: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """The first samples of a batch; arguments whose first dimension is no batch are left whole."""
    batch = next((a.shape[0] for a in args if isinstance(a, Tensor) and a.dim()), None)
    return tuple(
        a[:count] if isinstance(a, Tensor) and a.dim() and a.shape[0] == batch else a for a in args
    )


def first_line(error: BaseException | None) -> str:
    """The kind of an error and the first line of its text."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
