"""Normalisations."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pruning.structure.following.call import Call, rule
from pruning.structure.following.marks import Layer, varies
from pruning.structure.following.pointwise import both

BATCH = "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training"


@rule(f"{BATCH} cudnn_batch_norm miopen_batch_norm _batch_norm_no_update batch_norm instance_norm")
def _batch_norm(call: Call) -> Sequence[Layer]:
    """Each channel, [n, channels, ...], by itself."""
    layers = call.layers(call.args["input"])
    dims = call.out.dim()
    names = ("weight", "bias", "running_mean", "running_var")
    for tensor in (call.args.get(name) for name in names):
        if not isinstance(tensor, Tensor):
            continue
        for own in call.layers(tensor):
            call.ledger.play(own, "norm")
            scale = own.reshape(1, -1, *(1,) * (dims - 2))
            found = next((k for k, one in enumerate(layers) if one.shape[1] == len(own)), None)
            if found is None:
                layers.append(scale)
            else:
                call.ledger.tie(layers[found], scale)
                layers[found] = both(layers[found], scale)
    return layers


@rule("native_layer_norm _fused_rms_norm rms_norm layer_norm")
def _layer_norm(call: Call) -> Sequence[Layer]:
    """Over the last dimensions: what lies along those stays."""
    over = len(call.args["normalized_shape"])
    dims = call.out.dim()
    last = set(range(dims - over, dims))
    mixed = [one for one in call.layers(call.args["input"]) if varies(one) & last]
    kind = "an RMSNorm" if "rms" in call.name else "a LayerNorm"
    call.taint(mixed, f"{kind} averages over all of its units")
    for name in ("weight", "bias"):
        for own in call.layers(call.args.get(name)):
            call.ledger.play(own, "norm")
    return [one for one in call.layers(call.args["input"]) if not varies(one) & last]


@rule("native_group_norm group_norm")
def _group_norm(call: Call) -> Sequence[Layer]:
    """Over groups of channels, [n, channels, ...]: what lies along those stays."""
    mixed = [one for one in call.layers(call.args["input"]) if varies(one) - {0}]
    call.taint(mixed, "a GroupNorm averages over groups of its units")
    for name in ("weight", "bias"):
        for own in call.layers(call.args.get(name)):
            call.ledger.play(own, "norm")
    return [one for one in call.layers(call.args["input"]) if not varies(one) - {0}]
