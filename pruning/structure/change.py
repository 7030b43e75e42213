"""Whether a network without some of its units computes what it did with zeros in their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pruning.structure.copies import named_tensors, tensors_in
from pruning.structure.cut import Cut
from pruning.structure.following.left_out import left_out
from pruning.structure.following.numbers import Owner
from pruning.structure.layer_outputs import LayerOutputs, Place
from pruning.structure.layout import Bools
from pruning.structure.reasons import COUNTED, RESHAPED, Reason
from pruning.structure.shrink import cuts_of, shrink
from pruning.structure.units import Units

_Call = tuple[Place, int]
"""A layer's output, the first, second, ... from there. Attention that has lost heads shows what
torch's own computes unseen: only what both networks show is compared."""


def change(
    model: nn.Module,
    args: tuple[Any, ...],
    units: Units,
    alive: Bools,
    keep: Bools,
    shared: bool = False,
) -> Reason | None:
    """Remove the units in `alive` (bool [U]) and not in `keep`; how that changes what is computed.

    None if the network's outputs, and what each layer puts out for the units that stay, are those
    of the network before with zeros where the others are read, and without them where units are
    taken together (``left_out``). Raises whatever the forward pass without them does.

    shared: whether the tensors of the model are another one's too, which stays as it is.
    """
    cuts = cuts_of(units, alive, keep, named_tensors(model))
    with torch.no_grad():
        numbers = {Owner(c.module, c.attribute, c.entry): n for c, n in units.numbers(keep).items()}
        leave_out = left_out(model, cuts, numbers) if units.taken_together else nullcontext()
        with _ignored(model, units, cuts, shared), leave_out:
            layers, outputs = _computed(model, args, cuts)
        shrink(model, None, units, alive, keep)
        small_layers, small_outputs = _computed(model, args, {})
    if [t.shape for t in outputs] != [t.shape for t in small_outputs]:
        return RESHAPED
    both = [key for key in layers if key in small_layers]
    pairs = [(layers[key], small_layers[key]) for key in both]
    pairs += zip(outputs, small_outputs, strict=True)
    return None if all(_alike(*pair) for pair in pairs) else COUNTED


def ignore(model: nn.Module, units: Units, removed: Bools) -> None:
    """Zero the weights that read the removed units (bool [U]): what shrinking must equal."""
    cuts = cuts_of(units, removed | True, ~removed, named_tensors(model))
    with torch.no_grad():
        for tensor, dim, gone in _readers(model, units, cuts):
            _set_to_zero(tensor, dim, gone)


def _set_to_zero(tensor: Tensor, dim: int, gone: Tensor) -> None:
    # by a product: to fill a last dimension here and there takes four times as long
    stay = torch.ones(tensor.shape[dim], dtype=tensor.dtype, device=tensor.device)
    tensor.mul_(
        stay.index_fill_(0, gone, 0).view([-1 if d == dim else 1 for d in range(tensor.dim())])
    )


@contextmanager
def _ignored(
    model: nn.Module, units: Units, cuts: dict[str, Cut], put_back: bool
) -> Iterator[None]:
    """The weights that read what is cut are zero in here, and from then on if not put back."""
    # not a copy of the network with zeros: of large ones, memory holds the half that is cut
    readers = _readers(model, units, cuts)
    before = [tensor.index_select(dim, gone) for tensor, dim, gone in readers if put_back]
    try:
        for tensor, dim, gone in readers:
            _set_to_zero(tensor, dim, gone)
        yield
    finally:
        for (tensor, dim, gone), values in zip(readers, before, strict=False):
            tensor.index_copy_(dim, gone, values)


def _readers(
    model: nn.Module, units: Units, cuts: dict[str, Cut]
) -> list[tuple[Tensor, int, Tensor]]:
    """(tensor, dim, positions that go) of the weights that read what is cut."""
    tensors = named_tensors(model)
    axes = {(s.tensor, s.dim) for g in units.groups for s in g.slices if s.role == "consume"}
    return [
        (tensors[name], dim, _others(stay, tensors[name].shape[dim]))
        for name, cut in cuts.items()
        for dim, stay in cut.items()
        if (name, dim) in axes
    ]


def _others(stay: Tensor, size: int) -> Tensor:
    return torch.from_numpy(np.delete(np.arange(size), stay.numpy()))


def _computed(
    model: nn.Module, args: tuple[Any, ...], cuts: dict[str, Cut]
) -> tuple[dict[_Call, Tensor], list[Tensor]]:
    """What the layers put out, only for what stays, and what the network does."""
    layers: dict[_Call, Tensor] = {}
    calls: Counter[Place] = Counter()

    def keep(place: Place, out: Tensor) -> Tensor:
        stay = cuts.get(place.weight or "", {}).get(place.axis)
        # a copy: it may be overwritten
        calls[place] += 1
        kept = out.clone() if stay is None else out.index_select(place.dim, stay)
        layers[place, calls[place]] = kept
        return out

    with LayerOutputs(model, keep):
        outputs = list(tensors_in(model(*args)))
    return layers, outputs


def _alike(expected: Tensor, actual: Tensor) -> bool:
    # where channels lie elsewhere too, a layer's output cannot be matched; what reads it can
    if expected.shape != actual.shape or not expected.is_floating_point():
        return True
    tolerance = 1e-7 if expected.dtype == torch.float64 else 1e-3
    # "<=", not "not >": a network whose outputs are NaN has proven nothing
    return bool((expected - actual).abs().max() <= tolerance * expected.abs().max())
