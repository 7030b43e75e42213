"""Scaled dot-product attention, which torch computes as one operation."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pruning.structure.following.call import Call, rule
from pruning.structure.following.marks import Layer, narrow
from pruning.structure.following.pointwise import merge
from pruning.structure.following.products import contract, part, with_columns

KINDS = (
    "flash_attention_for_cpu flash_attention efficient_attention cudnn_attention attention_math "
    "fused_attention_overrideable"
)
ATTENTION = " ".join(f"_scaled_dot_product_{kind}" for kind in KINDS.split())


@rule(ATTENTION)
def _attention(call: Call) -> Sequence[Layer]:
    """Queries [..., heads, n, d], keys [..., heads, m, d], values [..., heads, m, e]."""
    query, key, value = (call.args[name] for name in ("query", "key", "value"))
    queries, keys, values = (_for_each_head(call, t, query) for t in (query, key, value))
    width = query.shape[-1]
    along, scores = part(queries, -1, width)
    read, _ = part(keys, -1, width)  # what else keys and values have lies along their places
    heads = contract(
        call, [x.transpose(-1, -2) for x in along], [x.transpose(-1, -2) for x in read]
    )
    if not heads:
        call.ledger.take_together(along)
        call.ledger.read(along)
    scores += heads
    values = [one for one in values if one.shape[-2] == 1]
    mask = call.args.get("attn_mask", call.args.get("attn_bias"))
    if isinstance(mask, Tensor):
        bias = [layer for layer in call.layers(mask) if max(layer.shape[:-2], default=1) > 1]
        if call.is_weight(mask):
            for layer in bias:
                call.ledger.play(layer, "norm")
        scores = merge(call.ledger, scores, bias)
    return merge(call.ledger, with_columns(call, scores), values)


def _for_each_head(call: Call, tensor: Tensor, query: Tensor) -> list[Layer]:
    """With grouped queries several heads read the same keys and values."""
    times = query.shape[-3] // tensor.shape[-3] if query.dim() > 2 else 1
    layers = call.layers(tensor)
    if times == 1:
        return layers
    return [
        narrow(layer.repeat_interleave(times, -3)) if layer.shape[-3] > 1 else layer
        for layer in layers
    ]
