"""A sweep's results as a table: its rows, the Pareto set among them marked."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from sweeps.judging.front import pareto
from sweeps.judging.learning import collapsed
from sweeps.results.quality import ACCURACY
from sweeps.results.rows import DIGITS, Row, by_setting, mean, row
from sweeps.storage.store import Store


def read_rows(store: Store, name: str) -> list[Row]:
    """The results of a sweep that has run, or is running. Raises InputError if there is none."""
    sweep = store.read_sweep(name)
    rows = []
    for trial in sweep["trials"]:
        result = store.trial(trial["key"]) or {"status": "unfinished"}
        metrics = sweep.get("metrics", ACCURACY)
        rows.append(row(trial["id"], trial["setting"], trial["seed"], result, metrics))
    return mark_pareto(rows, sweep["objectives"])


def mark_pareto(rows: list[Row], objectives: Mapping[str, str]) -> list[Row]:
    """Mark the settings whose means over seeds no other setting beats in every objective.

    Seeds are averaged first: else the set would be made of lucky seeds. What is cheap but ended at
    chance, where dense training learned, is no choice, and neither belongs nor beats.
    """
    groups = by_setting(rows)
    if groups:
        lost = {key for key, (count, seeds) in collapsed(rows).items() if count == seeds}
        means = [
            [math.nan if key in lost else mean(group, name) for name in objectives]
            for key, group in groups.items()
        ]
        points = np.round(means, DIGITS)
        for group, best in zip(groups.values(), pareto(points, objectives), strict=True):
            for found in group:
                found["pareto"] = bool(best)
    return rows
