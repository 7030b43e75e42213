"""Histories made up by hand, for tests of policies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from pruning.history import History, Record
from pruning.policies import Policy
from pruning.structure.layout import Layout

LAYOUT = Layout(("first", "second", "third"), (8, 24, 40))


def record(
    epoch: int, layout: Layout, probes: dict[str, npt.NDArray[np.float32]], gone: Sequence[int] = ()
) -> Record:
    """A record of an epoch; units that are gone have no probes."""
    alive = np.ones(layout.total, dtype=bool)
    alive[list(gone)] = False
    known = {name: np.where(alive, values, np.nan) for name, values in probes.items()}
    return Record(
        epoch=epoch,
        alive=alive,
        probes={name: values.astype(np.float32) for name, values in known.items()},
        metrics={"val_accuracy": 0.1 * epoch, "train_loss": 1.0 / (1 + epoch)},
        test={"test_accuracy": 0.5},
        costs={"params": 100, "macs": 1000, "units": int(alive.sum()), "samples": 64},
        seconds={"train": 1.0},
    )


def settling(
    policy: Policy, epochs: int, seed: int = 0
) -> list[dict[str, npt.NDArray[np.float32]]]:
    """Scores per epoch for each probe of a policy: noise that dies out as training goes on."""
    draw = np.random.default_rng(seed)
    total = LAYOUT.total
    final = {probe.key: draw.random(total) for probe in policy.probes()}
    return [
        {
            key: (values + draw.normal(size=total) / (1 + epoch) ** 2).astype(np.float32)
            for key, values in final.items()
        }
        for epoch in range(epochs + 1)
    ]


def counted(counts: Iterable[Sequence[int]], layout: Layout, key: str) -> list[Record]:
    """Records whose top units are so many a layer: those score 1, the others 0."""
    records = []
    for epoch, per_layer in enumerate(counts):
        scores = np.zeros(layout.total, dtype=np.float32)
        for start, count in zip(layout.offsets[:-1], per_layer, strict=True):
            scores[start : start + count] = 1
        records.append(record(epoch, layout, {key: scores}))
    return records


def history(
    records: Sequence[Record], epochs: int | None = None, layout: Layout = LAYOUT
) -> History:
    return History.of(layout, records, epochs, seed=0)
