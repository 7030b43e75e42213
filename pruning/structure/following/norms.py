"""Normalisations: of each channel by itself, of all together, or of groups of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pruning.structure.following.call import Call, rule
from pruning.structure.following.marks import Layer, varies
from pruning.structure.following.pointwise import both

BATCH = (
    "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
    "cudnn_batch_norm miopen_batch_norm _batch_norm_no_update batch_norm instance_norm"
)


@rule(BATCH)
def _batch_norm(call: Call) -> Sequence[Layer]:
    """Each channel, [n, channels, ...], by itself: of a weight, over the channels that it reads."""
    layers = scaled(call, 1, ("weight", "bias", "running_mean", "running_var"))
    call.ledger.take_together(one for one in layers if varies(one) - {0, 1})
    return layers


@rule("native_layer_norm layer_norm _fused_rms_norm")
def _layer_norm(call: Call) -> Sequence[Layer]:
    """Over the last dimensions: what lies along those is taken together."""
    first = call.out.dim() - len(call.args["normalized_shape"])
    layers = scaled(call, first, ("weight", "bias"))
    call.ledger.take_together(one for one in layers if max(varies(one), default=-1) >= first)
    return layers


@rule("native_group_norm group_norm")
def _group_norm(call: Call) -> Sequence[Layer]:
    """Over groups of channels, [n, channels, ...]: a group goes whole, or all is taken together."""
    layers = scaled(call, 1, ("weight", "bias"))
    groups = int(call.args.get("group", call.args.get("num_groups", 1)))
    along = [one for one in layers if 1 in varies(one)]
    if groups == 1:
        call.ledger.take_together(along)
    for one in along if groups > 1 else ():
        rows = one.transpose(0, 1).reshape(groups, -1)
        call.ledger.tie(rows, rows.amax(1, keepdim=True))
    return layers


def scaled(call: Call, first: int, names: Sequence[str]) -> list[Layer]:
    """The layers of what weights of these names scale and shift, along dimensions from `first`."""
    layers = list(call.layers(call.args["input"]))
    dims = call.out.dim()
    for tensor in (call.args.get(name) for name in names):
        if not isinstance(tensor, Tensor):
            continue
        for own in call.layers(tensor):
            call.ledger.play(own, "norm")
            scale = own.reshape((1,) * first + tuple(own.shape) + (1,) * (dims - first - own.dim()))
            _scale(call, layers, scale)
    return layers


def _scale(call: Call, layers: list[Layer], scale: Layer) -> None:
    for k, one in enumerate(layers):
        if varies(one) & varies(scale) or one.numel() == scale.numel() == 1:
            call.ledger.tie(one, scale)
            layers[k] = both(one, scale)
            return
    layers.append(scale)


@rule("_weight_norm_interface _weight_norm")
def _weight_norm(call: Call) -> Sequence[Layer]:
    """A direction [out, ...] and a length a row: zeros in a row leave its length as it was."""
    direction, length = call.args["v"], call.args["g"]
    layers = list(call.layers(direction))
    for own in call.layers(length):
        call.ledger.play(own, "produce")
        _scale(call, layers, own)
    return layers
