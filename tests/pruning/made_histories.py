"""Histories made up by hand, for tests of policies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from pruning.history import History, Record
from pruning.policies import Policy
from pruning.saliency import Probe, Saliency
from pruning.structure.layout import Layout

Values = npt.NDArray[np.floating]

LAYOUT = Layout(("first", "second", "third"), (8, 24, 40))
NUMBERS = {"weight_change": 1, "log_posterior": 2, "uniform_macs": 64}
"""How many numbers a probe that is no saliency gives."""


def record(
    epoch: int, layout: Layout, probes: dict[str, Values], gone: Sequence[int] = ()
) -> Record:
    """A record of an epoch; units that are gone have no scores."""
    alive = np.ones(layout.total, dtype=bool)
    alive[list(gone)] = False

    def known(values: Values) -> Values:
        if values.shape != alive.shape:
            return values
        return np.where(alive, values, np.nan).astype(np.float32)

    return Record(
        epoch=epoch,
        alive=alive,
        probes={name: known(values) for name, values in probes.items()},
        metrics={"val_accuracy": 0.1 * epoch, "train_loss": 1.0 / (1 + epoch)},
        test={"test_accuracy": 0.5},
        costs={"params": 100, "macs": 1000, "units": int(alive.sum()), "samples": 64},
        seconds={"train": 1.0},
    )


def noise(policy: Policy, draw: np.random.Generator) -> dict[str, Values]:
    """Random measurements for each probe of a policy."""
    return {probe.key: draw.normal(size=_size(probe)) for probe in policy.probes()}


def _size(probe: Probe) -> int:
    return LAYOUT.total if isinstance(probe, Saliency) else NUMBERS[probe.name]


def settling(policy: Policy, epochs: int, seed: int = 0) -> list[dict[str, Values]]:
    """Scores per epoch for each probe of a policy: noise that dies out as training goes on."""
    draw = np.random.default_rng(seed)
    final = {probe.key: draw.random(_size(probe)) for probe in policy.probes()}
    return [
        {
            key: (values + draw.normal(size=len(values)) / (1 + epoch) ** 2).astype(np.float32)
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
