"""Operations that only move entries about: done to the marks as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from pruning.structure.following.call import Call, rule
from pruning.structure.following.marks import Layer, narrow, varies

MOVES = (
    "index index_select gather repeat flip roll im2col pixel_shuffle pixel_unshuffle "
    "channel_shuffle native_channel_shuffle unfold take_along_dim rot90 tril triu "
    "_unsafe_index repeat_interleave split_copy slice_copy view_copy permute_copy expand_copy"
)


@rule(MOVES)
def _move(call: Call) -> Sequence[Layer]:
    value = call.given[0]
    return [_again(call, layer.expand(value.shape)) for layer in call.layers(value)]


@rule("constant_pad_nd")
def _pad(call: Call) -> Sequence[Layer]:
    """Along positions nothing is added to a channel; along channels some without a mark are."""
    value, pad = call.args["self"], call.args["pad"]
    added = {value.dim() - 1 - k // 2 for k, number in enumerate(pad) if number}
    return [
        _padded(layer, value, pad) if varies(layer) & added else layer
        for layer in call.layers(value)
    ]


def _padded(layer: Layer, value: Tensor, pad: Sequence[int]) -> Layer:
    return narrow(torch.nn.functional.pad(layer.expand(value.shape), pad))


JOINED = {
    "cat": ["tensors"],
    "stack": ["tensors"],
    "slice_scatter": ["self", "src"],
    "select_scatter": ["self", "src"],
    "index_put": ["self", "values"],
    "_index_put_impl": ["self", "values"],
    "scatter": ["self", "src"],
    "masked_scatter": ["self", "source"],
}
"""Of the operations that put tensors into one, which arguments those are."""


@rule(" ".join(JOINED))
def _join(call: Call) -> Sequence[Layer]:
    """Layer by layer: the first ones of all that is joined, the second ones, ..."""
    joined = [one for name in JOINED[call.name] for one in _listed(call.args[name])]
    along = call.args["dim"] % joined[0].dim() if call.name == "cat" and joined else None
    sets = [dict(_in_slots(call.layers(tensor), along)) for tensor in joined]
    found = []
    for slot in dict.fromkeys(slot for layers in sets for slot in layers):
        swapped = {
            id(tensor): layers[slot].expand(tensor.shape).contiguous()
            if slot in layers
            else torch.zeros(tensor.shape, dtype=torch.int32)
            for tensor, layers in zip(joined, sets, strict=True)
        }
        found.append(narrow(call.run(**_exchange(call.args, swapped))))
    return found


def _in_slots(layers: Sequence[Layer], along: int | None) -> Iterator[tuple[Hashable, Layer]]:
    """Each layer with what tells which ones of others it goes on in: those that lie alike."""
    seen: Counter[frozenset[int]] = Counter()
    for layer in layers:
        lies = varies(layer) - {along}
        yield (lies, seen[lies]), layer
        seen[lies] += 1


def _listed(value: Any) -> Sequence[Tensor]:
    return [value] if isinstance(value, Tensor) else value


def _again(call: Call, layer: Layer) -> Layer:
    # in double: not every operation moves whole numbers
    return narrow(_as_marks(call.run(**_exchange(call.args, {id(call.given[0]): layer.double()}))))


def _as_marks(out: Any) -> Tensor:
    first: Tensor = out[0] if isinstance(out, (tuple, list)) else out
    return first.int()


def _exchange(args: dict[str, Any], new: dict[int, Tensor]) -> dict[str, Any]:
    def swap(value: Any) -> Any:
        if isinstance(value, Tensor):
            return new.get(id(value), value)
        if isinstance(value, (list, tuple)):
            return [swap(one) for one in value]
        return value

    return {name: swap(value) for name, value in args.items()}
