"""Training complexity: what a training cost, counted in epochs of the dense network.

Foldy-Porto, Venkatesha, Panda: Activation Density driven Energy-Efficient Pruning in Training,
arXiv 2002.02949.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pruning.history import Record


def training_complexity(records: Sequence[Record]) -> float:
    """Sum over rounds of epochs_i * MACs_i / MACs_0 [L], in epochs of the dense network.

    records: of one path from the untrained network on, whose MACs are MACs_0. Raises ValueError if
    they begin later.
    """
    if not records or records[0].epoch != 0:
        raise ValueError("records must begin with that of the untrained network")
    dense = records[0].costs["macs"]
    return math.fsum(record.costs["macs"] / dense for record in records[1:])


def complexity_gain(records: Sequence[Record], dense_epochs: int | None = None) -> float:
    """How many times cheaper than the dense network's training [L].

    dense_epochs: how long that takes; by default as many epochs. Raises ValueError as above, or if
    nothing was trained.
    """
    if len(records) < 2:
        raise ValueError("no epoch was trained")
    epochs = len(records) - 1 if dense_epochs is None else dense_epochs
    return epochs / training_complexity(records)
