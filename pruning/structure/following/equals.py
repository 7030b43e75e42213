"""Two widths that are one number in the code: which of their channels go with which.

Only their number counts, so that any pairing would do. Those are taken that tie least: where heads
are columns in the one place, ``[n, heads, d]``, and rows in another, ``[n, d, heads]``, the wrong
one would tie all channels to each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pruning.structure.following.marks import Layer, pairs
from pruning.structure.layout import Ints
from pruning.structure.ties import Ties


@dataclass(frozen=True, eq=False)
class Equal:
    """``len(rows) == times * len(source) / parts``: marks, int32 [width, ...], of both."""

    rows: Layer
    source: Layer
    times: int
    parts: int

    def pairings(self) -> Iterator[tuple[Layer, Layer]]:
        """The ways to tie them: marks that go together, of the one and the other."""
        channels = self.source.amax(1)
        bundled = bool(((self.source != 0) & (self.source != channels[:, None])).any())
        rows = self.rows.amax(1, keepdim=True) if bundled else self.rows
        if self.parts == 1:
            yield rows, channels.repeat(self.times)[:, None]
        else:
            for partners in (channels.view(self.parts, -1).T, channels.view(-1, self.parts)):
                yield rows[:, None], partners.repeat(self.times, 1)[..., None]


def settle(equals: Iterable[Equal], ties: Ties) -> None:
    """Tie what they say."""
    left = [(one, list(one.pairings())) for one in equals]
    for _, ways in left:
        if len(ways) == 1:
            _tie(ties, *ways[0])
    left = [(one, ways) for one, ways in left if len(ways) == 2]
    for last in (False, True):
        labels = ties.labels() if left else np.empty(0, np.int64)
        undecided = []
        for one, ways in left:
            costs = [_cost(labels, *way) for way in ways]
            if costs[0] == costs[1] and not last:
                undecided.append((one, ways))
            else:
                _tie(ties, *ways[int(costs[1] < costs[0])])
        left = undecided


def _tie(ties: Ties, one: Tensor, other: Tensor) -> None:
    first, second = pairs(one, other).numpy()
    ties.tie(first - 1, second - 1)


def _cost(labels: Ints, one: Tensor, other: Tensor) -> int:
    """How many units are to be tied."""
    first, second = labels[pairs(one, other).numpy() - 1]
    fresh = Ties()
    known, edges = np.unique(np.stack([first, second]), return_inverse=True)
    fresh.axis("units", len(known))
    fresh.tie(*edges.reshape(2, -1))
    return len(known) - len(np.unique(fresh.labels()))
