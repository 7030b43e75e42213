"""Results: rows, means over seeds, the Pareto set, formats."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from typing import Any

import pytest

from sweeps.judging.table import mark_pareto
from sweeps.results.rows import COLUMNS, Row, count_warnings, row, to_csv, to_json

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
