"""Sums over channels of products: what one factor has along them, the other reads."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pruning.structure.following.call import Call, rule
from pruning.structure.following.marks import Layer, lies_along, narrow
from pruning.structure.following.pointwise import merge, spread

SUMMED = "it is summed over channels with numbers that are no weights"

WHOLE = "it is of one of the heads, which stay: its code ties their width to that of others"


PRODUCTS = "mm bmm mv dot vdot addmm baddbmm addmv"


@rule(PRODUCTS)
def _matrix_product(call: Call) -> Sequence[Layer]:
    sides = [t for name, t in call.args.items() if isinstance(t, Tensor)]
    bias = sides[0] if call.name.startswith(("add", "badd")) else None
    one, other = sides[-2:]
    dims = call.out.dim()
    found = product(call, one, other)
    if bias is not None:
        layers = [spread(layer, dims) for layer in call.weight_layers(bias, -1)]
        if call.is_weight(bias):
            for layer in layers:
                call.ledger.play(layer, "produce")
        found = merge(call.ledger, found, layers)
    return found


def product(call: Call, one: Tensor, other: Tensor) -> list[Layer]:
    """[..., n, k] times [..., k, m], or vectors where torch takes those."""
    size = one.shape[-1]
    left = [layer if layer.dim() > 1 else layer[None] for layer in call.layers(one)]
    right = [layer if layer.dim() > 1 else layer[:, None] for layer in call.layers(other)]
    read_left, left = part(left, -1, size)
    read_right, right = part(right, -2, size)
    fixed = [call.is_weight(one), call.is_weight(other)]
    if fixed[1] and other.dim() == 2:  # a dense layer's weight, [out, in], lies the other way here
        if other.shape[-1] == 1:
            right = call.weight_layers(other, -1, own=0)
        if size == 1:
            read_right = call.weight_layers(other, -2, own=1)
    # of two weights the second one is that of a layer: the first are learned queries, or such
    for layers, free, weight in (
        (read_left, left, fixed[0] and not fixed[1]),
        (read_right, right, fixed[1]),
    ):
        if weight:
            for layer in layers:
                call.ledger.play(layer, "consume")
            for layer in free:
                call.ledger.play(layer, "produce")
    if not call.layers(other if fixed[0] else one) and any(fixed):
        passed = []  # data: the network's input
    else:
        passed = contract(call, [x.transpose(-1, -2) for x in read_left], read_right)
        if not any(fixed) and not passed:
            call.ledger.take_together(read_left)
            call.ledger.read(read_left)
    both = merge(call.ledger, with_columns(call, [*left, *passed]), with_columns(call, right))
    if one.dim() == 1:
        both = [layer.squeeze(-2) for layer in both]
    if other.dim() == 1:
        both = [layer.squeeze(-1) for layer in both]
    return both


def contract(call: Call, ones: Sequence[Layer], others: Sequence[Layer]) -> list[Layer]:
    """Tie what is summed over, along dimension -2; the layers of what is left of it."""
    rest: list[Layer] = []
    left = list(others)
    for one in ones:
        k = next((k for k, other in enumerate(left) if _meet(one, other)), None)
        if k is None:
            call.taint([one], SUMMED)
        else:
            rest += _heads(call, one, left.pop(k))
    call.taint(left, SUMMED)
    return rest


def _meet(one: Layer, other: Layer) -> bool:
    return one.shape[-2] == other.shape[-2]


def _heads(call: Call, one: Layer, other: Layer) -> list[Layer]:
    """One channel of this, one of that; where a product is made for each head, heads go whole.

    Or else one channel of each, of which the products know nothing any more.
    """
    sides = [layer.amax(-1, keepdim=True) for layer in (one, other)]
    for layer, side in zip((one, other), sides, strict=True):
        call.ledger.tie(layer, side)
    call.ledger.tie(*sides)
    if any(max(side.shape[:-2], default=1) == 1 for side in sides):
        return []
    call.ledger.headed.add(call.module)
    if call.ledger.in_columns():
        return []
    heads = sides[0].amax(-2, keepdim=True)
    call.ledger.tie(sides[0], heads)
    return [narrow(heads)]


def with_columns(call: Call, layers: Sequence[Layer]) -> Sequence[Layer]:
    """Without those that are of whole heads, as a bias for each, where columns of them go."""
    if not call.ledger.in_columns():
        return layers
    whole = [layer for layer in layers if max(layer.shape[:-2], default=1) == layer.numel() > 1]
    call.taint(whole, WHOLE)
    return [layer for layer in layers if all(layer is not one for one in whole)]


def part(layers: Sequence[Layer], dim: int, size: int) -> tuple[list[Layer], list[Layer]]:
    """Those that lie along a dimension, and the others."""
    read = [layer for layer in layers if lies_along(layer, dim, size)]
    return read, [layer for layer in layers if not lies_along(layer, dim, size)]
