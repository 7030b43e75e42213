"""Results: rows, means over seeds, the Pareto set, formats."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from typing import Any

import numpy as np
import pytest

from pruning.history import Record
from pruning.policies import Dense
from pruning.training.task import Task
from sweeps.judging.table import mark_pareto
from sweeps.results.prices import Prices
from sweeps.results.rows import COLUMNS, Row, count_warnings, row, to_csv, to_json
from sweeps.sharing.rider import Rider
from sweeps.storage.store import Origin, Stored

BOTH = {"val_accuracy": "max", "gpu_hours": "min"}


def finished(ratio: float, seed: int, accuracy: float, hours: float) -> Row:
    summary: dict[str, Any] = {"val_accuracy": accuracy, "gpu_hours": hours, "prune_epochs": [2]}
    setting = {"policy": "at_epoch", "ratio": ratio}
    return row(f"r{ratio}s{seed}", setting, seed, {"status": "finished", "summary": summary})


def test_the_set_is_of_settings_not_of_lucky_seeds() -> None:
    rows = [
        finished(0.5, 0, 0.99, 1.0),  # one lucky seed
        finished(0.5, 1, 0.51, 1.0),
        finished(0.3, 0, 0.90, 1.0),
        finished(0.3, 1, 0.90, 1.0),
    ]
    mark_pareto(rows, BOTH)
    assert [found["pareto"] for found in rows] == [False, False, True, True]


def test_a_failed_trial_is_a_row_with_its_reason_and_never_on_the_front() -> None:
    failed = row("x", {"policy": "epi"}, 0, {"status": "failed", "reason": "ValueError: no"})
    mark_pareto([failed], BOTH)
    assert (failed["status"], failed["reason"], failed["pareto"]) == (
        "failed",
        "ValueError: no",
        False,
    )
    assert failed["val_accuracy"] is None


def test_csv_and_json_have_all_columns() -> None:
    rows = [finished(0.5, 0, 0.9, 1.0), finished(0.3, 0, math.nan, 1.0)]
    (first, _) = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert list(first) == list(COLUMNS)
    assert json.loads(first["prune_epochs"]) == [2]
    loaded = json.loads(to_json(rows))
    assert set(loaded[0]) == set(COLUMNS)
    assert loaded[1]["val_accuracy"] is None


def test_warnings_are_counted_by_trial() -> None:
    summary = {"warnings": ["on its floor", "on its floor", "never crossed"]}
    rows = [
        row("a", {"policy": "epi"}, 0, {"status": "finished", "summary": summary}),
        row("b", {"policy": "epi"}, 1, {"status": "failed", "reason": "lost"}),
    ]
    assert count_warnings(rows) == {"on its floor": 1, "never crossed": 1}


@pytest.mark.parametrize("count", [0, 1])
def test_no_or_one_trial(count: int) -> None:
    rows = [finished(0.5, seed, 0.9, 1.0) for seed in itertools.repeat(0, count)]
    assert [found["pareto"] for found in mark_pareto(rows, BOTH)] == [True] * count


def test_epochs_of_a_shape_have_one_price() -> None:
    """Of three epochs one was disturbed; of the other shape there is one."""
    wide, narrow = {"params": 4, "macs": 8, "units": 2, "masked": 0}, {"params": 2, "macs": 4}
    took = [(wide, 1.0), (wide, 9.0), (wide, 2.0), ({**wide, **narrow}, 0.5)]
    task = Task.parse({"model": "small_cnn", "data": "digits", "epochs": 4})
    rider = Rider("one", Dense(), Origin(task, 0), 4, 0)
    rider.state.decided = [(0.25, None)] * len(took)
    epochs = [
        Stored(Record(k, np.ones(2, np.bool_), {}, costs=costs, seconds={"train": s, "other": 5}))
        for k, (costs, s) in enumerate(took)
    ]
    prices = Prices()
    for _ in range(2):  # an epoch that others ride as well counts once
        bill = prices.bill(rider, [("path", k) for k in range(4)], epochs)
    (figures,) = prices.figures([bill])
    assert figures == {"train_seconds": 6.5, "probe_seconds": 0, "gpu_hours": 7.5 / 3600}
