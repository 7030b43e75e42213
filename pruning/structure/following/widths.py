"""Which channels the numbers in a model's code count, noted while it is followed.

A number that a module holds is set anew when channels go. One that is read off a tensor follows by
itself: where it is the width of another tensor, channels of both go together, position by position,
as in ``x.reshape(b, n, c)`` behind attention. A part of it counts rows, and they go whole: with
``c // heads`` columns, one channel of each head with as many of the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from pruning.structure.following.equals import Equal
from pruning.structure.following.ledger import Ledger
from pruning.structure.following.marks import Layer
from pruning.structure.following.numbers import Number, Owned, Size
from pruning.structure.following.sizes import Sizes, counted, rows_of
from pruning.structure.reasons import Reason

PARTLY = "its code computes a width of another one that does not follow from it"


class Widths(Sizes):
    """Notes them in a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(self, ledger.memory)
        self._ledger = ledger

    def called(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> Any:
        """Its result; noted is what the numbers count."""
        out = func(*args, **kwargs)
        for number, layer in counted(self._memory, func, args, kwargs, out):
            if isinstance(number, Owned):
                once = layer.reshape(number.times, -1, *layer.shape[1:]).transpose(0, 1)
                self._ledger.count(number.owner, once)
            elif isinstance(number, Size):
                self._follow(number, layer.reshape(len(layer), -1))
        if func is scaled_dot_product_attention and kwargs.get("scale") is None:
            query: Tensor = args[0] if args else kwargs["query"]
            if self._ledger.in_columns():
                self.amount(Size.of(query, query.dim() - 1, self))
        return out

    def amount(self, number: Number) -> int:
        """As it is; computed with it is something over all that it counts."""
        if isinstance(number, Size):
            self._ledger.take_together(rows_of(number, self._memory))
        elif isinstance(number, Owned) and self._ledger.in_columns():
            self._ledger.amounts.add(number.owner)
        return int(number)

    def _follow(self, size: Size, rows: Layer) -> None:
        """rows: marks of what the size counts, int32 [size, ...]."""
        for source in rows_of(size, self._memory):
            if bool(torch.isin(rows[rows != 0], source).any()):
                if size.parts > 1:
                    self._ledger.tie(rows, rows.amax(1, keepdim=True))
                return
        for source in rows_of(size, self._memory):
            self._ledger.sized.add(self._ledger.running[-1])
            if len(source) % size.parts:
                self._ledger.taint([rows], Reason(PARTLY, self._ledger.running[-1]))
            else:
                self._ledger.equals.append(Equal(rows, source, size.times, size.parts))
