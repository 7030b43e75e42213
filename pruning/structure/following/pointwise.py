"""Operations that combine what stands at the same place."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pruning.structure.following.call import Call, rule
from pruning.structure.following.ledger import Ledger
from pruning.structure.following.marks import Layer, narrow, pairs, varies
from pruning.structure.units import Role

SAME = (
    "hardswish hardtanh leaky_relu elu celu selu mish silu gelu softplus log_sigmoid "
    "log_sigmoid_forward"
)
MORE = "logit dropout native_dropout rrelu_with_noise fill zero copy clone _to_copy alias detach"


@rule(f"pointwise {SAME} {MORE} where masked_fill addcmul addcdiv lerp bernoulli threshold")
def _pointwise(call: Call) -> Sequence[Layer]:
    if call.name in ("fill", "zero"):
        return call.layers(call.given[0])  # other values at the same places
    given = call.given[1:] if call.name == "copy" else call.given
    return combine(call, given, "norm")


@rule(
    "zeros_like ones_like full_like empty_like rand_like randn_like randint_like new_zeros new_ones"
)
@rule("new_empty new_full empty_strided new_empty_strided bernoulli_p affine_grid_generator")
def _made_alike(call: Call) -> Sequence[Layer]:
    """Only the shape, the type or the place of the tensor counts, which is no channel's value."""
    return []


@rule("glu")
def _gate(call: Call) -> Sequence[Layer]:
    """The halves along a dimension, column by column."""
    value = call.args["self"]
    dim = call.args["dim"] % value.dim()
    found: list[Layer] = []
    for layer in call.layers(value):
        halves = layer.chunk(2, dim) if layer.shape[dim] > 1 else (layer,)
        call.ledger.tie(halves[0], halves[-1])
        found.append(both(halves[0], halves[-1]))
    return found


@rule("_prelu_kernel")
def _prelu(call: Call) -> Sequence[Layer]:
    return combine(call, call.given, "produce")


def combine(call: Call, given: Sequence[Tensor], role: Role) -> Sequence[Layer]:
    """The layers of what is computed place for place. role: of weights that take part."""
    found: list[Layer] = []
    dims = call.out.dim()
    for tensor in given:
        layers = [spread(layer, dims) for layer in call.layers(tensor)]
        if call.is_weight(tensor):
            for layer in layers:
                call.ledger.play(layer, role)
        found = merge(call.ledger, found, layers)
    return found


def spread(layer: Layer, dims: int) -> Layer:
    """With dimensions in front, as torch's broadcasting adds them."""
    return layer.reshape((1,) * (dims - layer.dim()) + tuple(layer.shape))


def merge(ledger: Ledger, ones: Sequence[Layer], others: Sequence[Layer]) -> list[Layer]:
    """Layers of two tensors of the same shape: those that go along the same channels are tied."""
    merged = list(ones)
    free = list(range(len(merged)))
    for other in others:
        best = min(free, key=lambda k: _strangeness(merged[k], other), default=None)
        if best is None or _strangeness(merged[best], other) == float("inf"):
            merged.append(other)
            continue
        free.remove(best)
        ledger.tie(merged[best], other)
        merged[best] = both(merged[best], other)
    return merged


def both(one: Layer, other: Layer) -> Layer:
    """Each place's mark in the one layer, and where there is none that in the other."""
    if one.shape == other.shape and bool((one != 0).all()):
        return one
    return narrow(one.where(one != 0, other))


def _strangeness(one: Layer, other: Layer) -> float:
    """How many marks of one layer meet a mark of the other, infinite if they never belong together.

    A channel meets one channel. Where two layers lie along the same dimension for other reasons,
    as channels with a class token among them and positions do, each would meet all.
    """
    if one.shape == other.shape and len(varies(one)) <= 1:
        return 1.0
    if not varies(one) & varies(other):
        return 1.0 if one.numel() == other.numel() == 1 else float("inf")
    found = pairs(one, other)
    if not found.shape[1]:
        return 2.0
    most = max(len(side.unique()) for side in found)
    ratio = found.shape[1] / most
    return ratio if ratio < 2 else float("inf")
