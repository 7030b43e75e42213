"""A sweep's results as a table: its rows, the Pareto set among them marked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sweeps.judging.front import pareto
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

    Seeds are averaged first: else the set would be made of lucky seeds.
    """
    groups = list(by_setting(rows).values())
    if groups:
        means = [[mean(group, name) for name in objectives] for group in groups]
        points = np.round(means, DIGITS)
        for group, best in zip(groups, pareto(points, objectives), strict=True):
            for found in group:
                found["pareto"] = bool(best)
    return rows
