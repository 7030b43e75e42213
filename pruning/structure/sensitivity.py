"""Of which units a disturbance can be seen in what the proof compares.

Something is added to what every layer puts out, behind the place where it is compared. One backward
pass says whether anything that is compared later would change with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from pruning.structure.copies import copy_model, named_tensors, tensors_in
from pruning.structure.layer_outputs import LayerOutputs, Place
from pruning.structure.layout import Bools
from pruning.structure.units import Units

_Reactions = Iterator[tuple[tuple[str, int], Tensor]]
"""(tensor, dim), and of each entry along it how strongly what is compared reacts."""

_FLOOR = {torch.float64: 1e-6, torch.float32: 1e-2}
"""Ten times the tolerance of the comparison: what reacts less could hide a fault."""


def seen_units(model: nn.Module, args: tuple[Any, ...], units: Units, alive: Bools) -> Bools:
    """Of which units a disturbance is seen: bool [U]; of none that is gone from the model."""
    seen = np.zeros(units.layout.total, dtype=np.bool_)
    for axis, reaction in _reactions(model, args, units):
        if axis in units.axes:
            unit, index = units.axes[axis]
            here = alive[unit]
            now = index[here] - np.searchsorted(np.sort(index[~here]), index[here])
            if now.size and now.max() < len(reaction):
                # not ">": a gradient that is no number is seen, and is told of when it trains
                strong = ~(reaction <= _FLOOR.get(reaction.dtype, 1e-2))
                seen[unit[here][strong.numpy()[now]]] = True
    return seen


def _reactions(model: nn.Module, args: tuple[Any, ...], units: Units) -> _Reactions:
    twin = copy_model(model, lambda t: t)
    tensors = named_tensors(twin)
    # what scales units acts behind the layers too, so that it tells of layers that go unseen
    scales = {
        (s.tensor, s.dim)
        for g in units.groups
        for s in g.slices
        if s.role == "norm" or (s.role == "produce" and not _of_layer(twin, s.tensor))
    }
    for name, _ in scales:
        tensors[name].requires_grad_(isinstance(tensors[name], nn.Parameter))
    rng = torch.Generator().manual_seed(0)
    added: list[tuple[Place, Tensor]] = []
    losses: list[Tensor] = []

    def compare(out: Tensor) -> None:
        if out.requires_grad and out.is_floating_point():
            weights = torch.randn(out.shape, generator=rng, dtype=out.dtype)
            losses.append((weights * out).sum() / out.detach().abs().max().clamp(min=1e-30))

    def disturb(place: Place, out: Tensor) -> Tensor:
        compare(out)
        disturbance = torch.zeros_like(out, requires_grad=True)
        added.append((place, disturbance))
        return out + disturbance

    with torch.enable_grad(), LayerOutputs(twin, disturb):
        for out in tensors_in(twin(*args)):
            compare(out)
    if losses:
        torch.autograd.backward(losses)
    for place, disturbance in added:
        if place.weight is not None and disturbance.grad is not None:
            # uneven over positions: a norm of each channel takes an even one away
            uneven = torch.rand(disturbance.shape, generator=rng, dtype=disturbance.dtype)
            along = (disturbance.grad * uneven).movedim(place.dim, 0)
            yield (place.weight, place.axis), along.reshape(len(along), -1).sum(1).abs()
    for name, dim in scales:
        if (gradient := tensors[name].grad) is not None:
            yield (
                (name, dim),
                gradient.abs().movedim(dim, 0).reshape(gradient.shape[dim], -1).sum(1),
            )


def _of_layer(model: nn.Module, tensor: str) -> bool:
    """Whether it is a weight of a layer whose output is seen."""
    holder = model.get_submodule(tensor.rpartition(".")[0])
    if isinstance(holder, NonDynamicallyQuantizableLinear):
        return False  # an attention's, inside of which torch shows nothing
    return isinstance(holder, (_ConvNd, nn.Linear, nn.Embedding))
