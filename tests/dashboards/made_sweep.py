"""A sweep as a storage keeps it, made without training: a report can be made of it at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pruning.actions import Prune
from pruning.history import Record
from pruning.structure.layout import Layout
from sweeps.file.sweep import Sweep
from sweeps.file.trials import TrialSpec
from sweeps.results.rows import METRICS
from sweeps.sharing.rider import State, Turn
from sweeps.storage.store import Origin, Store, Stored

GRID = [0, 2, 4]
POLICIES: list[Any] = [
    "dense",
    {"policy": "at_epoch", "epoch": {"grid": GRID}, "ratio": 0.5},
    {"policy": "epi", "threshold": {"grid": [0.8, 0.9]}, "ratio": 0.5},
    {"policy": "uniform", "of": {"policy": "at_epoch", "epoch": 2, "ratio": 0.5}},
]
COSTS = {"dense": 1.0, "at_epoch": 0.7, "epi": 0.75, "uniform": 0.6}


def make(
    folder: Path,
    policies: Sequence[Any] = POLICIES,
    seeds: Sequence[int] = (0, 1, 2),
    failing: Sequence[str] = (),
    unfinished: Sequence[str] = (),
    reason: str = "ValueError: no",
    layers: Sequence[str] = ("conv1", "conv2"),
    **fields: Any,
) -> Store:
    """A storage with a sweep. failing, unfinished: policies of which no trial finishes."""
    content = {
        "name": "made",
        "task": {"model": "small_cnn", "data": "digits", "epochs": 6},
        "seeds": list(seeds),
        "policies": list(policies),
        **fields,
    }
    sweep, store = Sweep.parse(content), Store(folder)
    trials = sweep.trials()
    for order, spec in enumerate(trials):
        name = spec.policy.name
        if name in failing:
            state = State(Origin(spec.task, spec.seed).address, 1, failure=reason)
            result = {"status": "failed", "reason": reason, "summary": {"gpu_hours_spent": 0.001}}
            store.write_trial(spec.address, {**result, "state": state.to_json()})
        elif name not in unfinished:
            _finish(store, spec, order, Layout(tuple(layers), (4,) * len(layers)))
    described = [
        {"id": spec.id, "key": spec.address, "setting": spec.shown, "seed": spec.seed}
        for spec in trials
    ]
    kept = {"name": sweep.name, "objectives": sweep.objectives, "trials": described}
    store.write_sweep(sweep.name, {**kept, "config": sweep.model_dump(mode="json")})
    return store


def _finish(store: Store, spec: TrialSpec, order: int, layout: Layout) -> None:
    """Keep a trial, the path it took and what its epochs left behind."""
    name, epochs = spec.policy.name, spec.task.epochs
    cut = {"dense": None, "at_epoch": getattr(spec.policy, "epoch", None), "epi": 3, "uniform": 0}
    after = cut[name]
    trunk = path = store.know(Origin(spec.task, spec.seed))
    alive = np.ones(layout.total, dtype=bool)
    _records(store, trunk, range(epochs + 1), alive, layout)
    turns = []
    if after is not None:
        gone = np.arange(0, layout.total, 2)
        path = store.fork(trunk, after, Prune.of(gone))
        left = alive.copy()
        left[gone] = False
        _records(store, path, range(after + 1, epochs + 1), left, None)
        turns.append(Turn(after, path))
    indicator = [
        0.3 * epoch if name == "epi" and epoch < 4 else None for epoch in range(epochs + 1)
    ]
    state = State(path, epochs, [(0.01, value) for value in indicator], turns)
    accuracy = 0.95 + 0.001 * spec.seed - (0.002 * (4 - after) if after is not None else 0)
    summary = {
        **dict.fromkeys(METRICS, 1.0),
        "sparsity": 0.5 if turns else 0.0,
        "unit_sparsity": 0.5 if turns else 0.0,
        "prune_epochs": [turn.epoch for turn in turns],
        "val_accuracy": accuracy,
        "test_accuracy": accuracy - 0.01,
        "gpu_hours": COSTS[name] * (1 + 0.01 * spec.seed),
        "gpu_hours_spent": 0.5 * COSTS[name],
        "total_seconds": 3600.0,
        "warnings": ["layer 'conv1' stands on its floor"] if turns else [],
    }
    known = {"state": state.to_json(), "ended": 1e9 + order}
    result = {"status": "finished", "reason": "", "summary": summary}
    store.write_trial(spec.address, {**result, **known})


def _records(
    store: Store, path: str, epochs: range, alive: np.ndarray, layout: Layout | None
) -> None:
    for epoch in epochs:
        first = layout if epoch == 0 else None
        store.write_record(path, Stored(Record(epoch, alive, {}), layout=first))
