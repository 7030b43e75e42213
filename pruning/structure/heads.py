"""Multi-head attention with as many heads as are left, of the width that they had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class HeadsAttention(nn.MultiheadAttention):
    """What ``nn.MultiheadAttention`` becomes when heads or inputs of it go.

    Torch's own takes the heads' width for that of its input divided by their number. Here it is
    what it was: with all heads there this computes the same. Made by `narrow_attention` alone.
    """

    @property
    def _qkv_same_embed_dim(self) -> bool:
        # torch's fused encoder layer asks, and would take the heads' width from the input's
        return False

    def _reset_parameters(self) -> None:
        packed = self.in_proj_weight is not None
        apart = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        for weight in (self.in_proj_weight,) if packed else apart:
            nn.init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            nn.init.zeros_(self.in_proj_bias)
            nn.init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                nn.init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As torch's; see there."""
        batched = query.dim() == 3
        q, k, v = self._projected(query, key, value)
        if not batched:
            q, k, v = (t.unsqueeze(0) for t in (q, k, v))
        elif not self.batch_first:
            q, k, v = (t.transpose(0, 1) for t in (q, k, v))
        if self.bias_k is not None and self.bias_v is not None:
            k = torch.cat([k, self.bias_k.expand(len(k), -1, -1)], 1)
            v = torch.cat([v, self.bias_v.expand(len(v), -1, -1)], 1)
        q, k, v = (t.view(*t.shape[:2], -1, self.head_dim).transpose(1, 2) for t in (q, k, v))
        if self.add_zero_attn:
            k, v = (F.pad(t, (0, 0, 0, 1)) for t in (k, v))
        mask = self._mask(q, k, attn_mask, key_padding_mask)
        drop = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = q @ k.transpose(-1, -2) / self.head_dim**0.5
            weights = (scores if mask is None else scores + mask).softmax(-1)
            out = F.dropout(weights, drop) @ v
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            out = F.scaled_dot_product_attention(q, k, v, mask, drop)
        out = F.linear(out.transpose(1, 2).flatten(2), self.out_proj.weight, self.out_proj.bias)
        if not batched:
            return out[0], None if weights is None else weights[0]
        return out if self.batch_first else out.transpose(0, 1), weights

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> Sequence[Tensor]:
        """Queries, keys and values, each [..., heads * width], in as few products as in torch's."""
        packed = self.in_proj_weight is not None
        if not packed:
            weights: list[Tensor] = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        elif query is key is value:
            return F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        else:
            weights = list(self.in_proj_weight.chunk(3))
        biases: list[Any] = [None] * 3
        if self.in_proj_bias is not None:
            biases = list(self.in_proj_bias.chunk(3))
        if packed and key is value:
            both = self.in_proj_weight[len(weights[0]) :]
            shift = None if self.in_proj_bias is None else self.in_proj_bias[len(biases[0]) :]
            q = F.linear(query, weights[0], biases[0])
            return (q, *F.linear(key, both, shift).chunk(2, -1))
        given = zip((query, key, value), weights, biases, strict=True)
        return [F.linear(t, weight, bias) for t, weight, bias in given]

    def _mask(
        self, q: Tensor, k: Tensor, attn_mask: Tensor | None, padding: Tensor | None
    ) -> Tensor | None:
        """Both masks as one to add, [n or 1, heads or 1, queries, keys]."""
        mask = None
        if attn_mask is not None:
            mask = _additive(attn_mask, q)
            mask = mask.view(len(q), -1, *mask.shape[1:]) if mask.dim() == 3 else mask[None, None]
        if padding is not None:
            if padding.dim() == 1:
                padding = padding[None]
            more = _additive(padding, q)[:, None, None]
            mask = more if mask is None else mask + more
        added = 0 if mask is None else k.shape[-2] - mask.shape[-1]
        return F.pad(mask, (0, added)) if mask is not None and added else mask


def _additive(mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))


def narrow_attention(module: nn.MultiheadAttention) -> None:
    """Make a module's attributes say what its tensors' shapes are."""
    packed = module.in_proj_weight is not None
    first = module.in_proj_weight if packed else module.q_proj_weight
    made = first.shape[0] // (3 if packed else 1)
    module.embed_dim, module.num_heads = first.shape[1], made // module.head_dim
    module.kdim, module.vdim = (
        (first.shape[1],) * 2
        if packed
        else (module.k_proj_weight.shape[1], module.v_proj_weight.shape[1])
    )
    # by what is left alone, not by the cuts before: one that is resumed computes the same
    if type(module) in (nn.MultiheadAttention, HeadsAttention):
        own = made != module.embed_dim
        module.__class__ = HeadsAttention if own else nn.MultiheadAttention
