"""Convolutions and linear layers: their weights, their channels, and which of them are outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from benchmarks.reach.values import tensors, tensors_in

_WEIGHTS = (
    "weight",
    "in_proj_weight",
    "parametrizations.weight.original1",
    "parametrizations.weight.original",
    "weight_orig",  # of a spectral norm too, whose weight_v is a vector
    "weight_v",
)
"""What the weight of a layer is called: plain, of an attention, normed, masked."""


def is_layer(module: nn.Module) -> bool:
    return isinstance(module, (_ConvNd, nn.Linear))


def weight_name(name: str, module: nn.Module) -> str:
    """The full name of a layer's weight; "" if it has none of its own."""
    own = tensors(module) if is_layer(module) or isinstance(module, nn.MultiheadAttention) else {}
    found = next((weight for weight in _WEIGHTS if weight in own), "")
    return f"{name}.{found}" if name and found else found


def channels(module: nn.Module, shape: torch.Size, left: Tensor) -> Tensor:
    """Which output channels of a dense layer are left, ascending.

    shape: of its dense weight. left: numbers of the weight's entries that are left.
    """
    flat = left.flatten()
    row, width = flat // (shape.numel() // shape[0]), shape[0]
    if isinstance(module, _ConvTransposeNd):
        within = flat // (shape.numel() // shape[0] // shape[1]) % shape[1]
        row = row // (shape[0] // module.groups) * shape[1] + within
        width = shape[1] * module.groups
    there = torch.zeros(width, dtype=torch.bool)
    there[row] = True  # sorts nothing: weights have up to a hundred million entries
    return there.nonzero().flatten()


def dense_channels(model: nn.Module) -> Iterator[tuple[str, str, nn.Module, int]]:
    """(layer, its weight, module, output channels), a shared weight once."""
    seen: set[int] = set()
    for name, module in model.named_modules():
        weight = weight_name(name, module)
        if not weight:
            continue
        tensor = tensors(module)[weight.removeprefix(f"{name}.") if name else weight]
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        swapped = isinstance(module, _ConvTransposeNd)
        width = tensor.shape[1] * module.groups if swapped else tensor.shape[0]
        yield name, weight, module, int(width)


def output_layers(model: nn.Module, args: tuple[Any, ...]) -> list[str]:
    """Layers whose results reach the outputs through no other layer: found by autograd's graph."""
    made: dict[Any, str] = {}

    def note(name: str) -> Any:
        def hook(_: nn.Module, __: object, out: Any) -> None:
            if isinstance(out, Tensor) and out.grad_fn is not None:
                made[out.grad_fn] = name

        return hook

    modules = [(n, m) for n, m in model.named_modules() if is_layer(m)]
    handles = [module.register_forward_hook(note(name)) for name, module in modules]
    with torch.enable_grad():
        out = model(*args)
    for handle in handles:
        handle.remove()
    todo: list[Any] = [t.grad_fn for t in tensors_in(out) if t.grad_fn is not None]
    seen: set[Any] = set()
    found: dict[str, None] = {}
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in made:
            found[made[node]] = None
        else:
            todo += [parent for parent, _ in node.next_functions if parent is not None]
    return list(found)
