"""Which entries of which tensors go together: connected components over numbered entries."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from pruning.structure.layout import Ints


class Ties:
    """Entries live on named axes; `tie` joins two lists of them, pair by pair."""

    def __init__(self) -> None:
        self._axes: dict[Hashable, Ints] = {}
        self._edges: list[tuple[Ints, Ints]] = []
        self._size = 0

    def axis(self, name: Hashable, size: int) -> Ints:
        """The entries of an axis, int64 [size]; made when first asked for."""
        if name not in self._axes:
            self._axes[name] = np.arange(self._size, self._size + size, dtype=np.int64)
            self._size += size
        return self._axes[name]

    def __len__(self) -> int:
        return self._size

    def __contains__(self, name: Hashable) -> bool:
        return name in self._axes

    def tie(self, a: Ints, b: Ints) -> None:
        """Entry `a[i]` goes together with entry `b[i]`."""
        self._edges.append((a, b))

    def labels(self) -> Ints:
        """Of every entry the smallest entry it is joined with, int64 [number of entries]."""
        labels = np.arange(self._size, dtype=np.int64)
        if not self._edges:
            return labels
        a, b = (np.concatenate(side) for side in zip(*self._edges, strict=True))
        while (labels[a] != labels[b]).any():
            low = np.minimum(labels[a], labels[b])
            np.minimum.at(labels, labels[a], low)
            np.minimum.at(labels, labels[b], low)
            np.minimum.at(labels, a, low)
            np.minimum.at(labels, b, low)
            labels = labels[labels]
        return labels
