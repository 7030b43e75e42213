"""Channels that code takes for rows of columns: split into equal parts, or seen as a matrix.

A view as [n, heads, width] or a split into two equal parts works on what a cut leaves only if every
row keeps as many columns, or whole rows go. Which of these, the network says itself: attention ties
a head's channels to each other, a gate ties the two halves column by column. Where it says neither,
as in a channel shuffle, columns go.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from pruning.structure.following.call import Call
from pruning.structure.following.ledger import Grid
from pruning.structure.following.marks import Layer, varies

VIEWS = frozenset("view _unsafe_view reshape unflatten _reshape_alias".split())
SPLITS = frozenset("split unsafe_split split_with_sizes unsafe_split_with_sizes chunk".split())

SHUFFLES = frozenset("channel_shuffle native_channel_shuffle".split())


def grids(call: Call) -> Iterator[Grid]:
    """Those that a view or a split makes of a tensor's channels, int32 [rows, ..., columns]."""
    if call.name in VIEWS:
        before = [len(varies(layer)) for layer in call.layers(call.given[0])]
        after = call.layers(call.out)
        if len(before) == len(after):
            yield from (
                layer.squeeze()
                for count, layer in zip(before, after, strict=True)
                if len(varies(layer)) > max(1, count)
            )
    elif call.name in SHUFFLES:
        rows = int(call.args["groups"])
        for layer in call.layers(call.given[0]):
            if layer.shape[1] > 1:
                yield layer.transpose(0, 1).reshape(layer.shape[1], -1)[:, 0].view(rows, -1)
    elif call.name in SPLITS or call.name == "slice":
        value = call.given[0]
        dim = call.args["dim"] % value.dim()
        size = call.out.shape[dim]
        even = all(part.shape[dim] == size for part in call.outs) and value.shape[dim] % size == 0
        if even and size < value.shape[dim] and _aligned(call, value, dim):
            yield from (_rows(one, dim, size) for one in call.layers(value) if one.shape[dim] > 1)


def _aligned(call: Call, value: Tensor, dim: int) -> bool:
    """Whether a slice is one of equal parts; other splits are."""
    if call.name != "slice":
        return True
    start = (call.out.storage_offset() - value.storage_offset()) // max(1, value.stride(dim))
    return bool(call.out.stride(dim) == value.stride(dim) and start % call.out.shape[dim] == 0)


def _rows(layer: Layer, dim: int, size: int) -> Grid:
    shape = (*layer.shape[:dim], -1, size, *layer.shape[dim + 1 :])
    rows: Grid = layer.reshape(shape).movedim(dim, 0).squeeze()
    return rows
