"""The knapsack over layers: how many units of each, so that what stays is worth most.

After Shen et al., Structural Pruning via Latency-Saliency Knapsack (HALP), NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BINS = 4096
"""Capacities that are told apart. Weights that are whole numbers are exact up to here."""


def knapsack(values: Sequence[Floats], weights: Sequence[Ints], capacity: int) -> Ints:
    """One option of each layer, of the largest value in sum whose weights fit in the capacity.

    values, weights: of each layer's options, the weights whole numbers in rising order. The first
    options fit together. Of equal values the first option. Returns the options' numbers, [layers].
    """
    scale = max(1.0, capacity / BINS)
    room = round(capacity / scale)
    best = np.zeros(room + 1)  # of the layers so far, by the room they may take
    chosen = np.zeros((len(values), room + 1), np.int32)
    sizes = [np.rint(one / scale).astype(np.int64) for one in weights]
    for layer, (worth, size) in enumerate(zip(values, sizes, strict=True)):
        found = np.full(room + 1, -np.inf)
        for option in range(int(np.searchsorted(size, room, side="right"))):
            start = int(size[option])
            with_it = best[: room + 1 - start] + worth[option]
            better = with_it > found[start:]
            np.copyto(found[start:], with_it, where=better)
            np.copyto(chosen[layer, start:], option, where=better)
        best = found
    return _back(chosen, sizes, room)


def _back(chosen: npt.NDArray[np.int32], sizes: Sequence[Ints], room: int) -> Ints:
    """The options on the best way, from the last layer to the first."""
    options = np.zeros(len(sizes), np.int64)
    for layer in reversed(range(len(sizes))):
        options[layer] = chosen[layer, room]
        room -= int(sizes[layer][options[layer]])
    return options
