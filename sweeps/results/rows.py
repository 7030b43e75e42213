"""Results: a row a trial, under names that MLflow's metrics and parameters bear too."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from sweeps.results.quality import ACCURACY, Metrics

_OF_NETWORKS = "sparsity unit_sparsity weight_sparsity params macs".split()
TIMES = "train_seconds probe_seconds decide_seconds wall_seconds gpu_hours gpu_hours_spent".split()


def _judged(metrics: Metrics) -> list[str]:
    """The columns of a task's metrics."""
    return [f"{split}_{name}" for split in ("val", "test") for name in metrics]


def columns(metrics: Metrics = ACCURACY) -> list[str]:
    """The columns of the results of a task with these metrics."""
    names = "trial policy settings seed status prune_epochs".split()
    return [*names, *figures(metrics), "pareto", "reason"]


def figures(metrics: Metrics = ACCURACY) -> list[str]:
    """The columns that are figures."""
    return [*_OF_NETWORKS, "train_flops", *_judged(metrics), *TIMES]


def objectives(metrics: Metrics = ACCURACY) -> list[str]:
    """What a sweep may be judged on: never the test split."""
    return [name for name in figures(metrics) if not name.startswith("test_")]


def curves(metrics: Metrics = ACCURACY) -> list[str]:
    """Objectives that have a value after every epoch."""
    judged = [f"val_{name}" for name in metrics]
    return [*judged, *_OF_NETWORKS, "train_seconds", "gpu_hours"]


COLUMNS, METRICS = columns(), figures()
"""Those of classes."""

DIGITS = 12
"""Of means that are compared: further ones are rounding, and would make equal means differ."""

Row = dict[str, Any]


def row(
    trial: str,
    setting: Mapping[str, Any],
    seed: int,
    result: Mapping[str, Any],
    metrics: Metrics = ACCURACY,
) -> Row:
    """The row of one trial from what its store holds; figures are None where it failed.

    Beside the columns it has ``setting``, the policy as a sweep file writes it, ``warnings``, and
    ``metrics``, the task's; ``chance``: how well a network does on the validation split that has
    learned nothing.
    """
    summary = result.get("summary") or {}
    return {
        **dict.fromkeys(columns(metrics)),
        "trial": trial,
        "policy": setting["policy"],
        "settings": describe(setting),
        "seed": seed,
        "status": result["status"],
        **{name: summary.get(name) for name in ("prune_epochs", *figures(metrics))},
        "pareto": False,
        "reason": result.get("reason", ""),
        "setting": dict(setting),
        "warnings": list(summary.get("warnings", ())),
        "metrics": dict(metrics),
        "chance": dict(summary.get("chance", {})),
    }


def metrics_of(rows: Iterable[Row]) -> Metrics:
    """A sweep's metrics, from its rows."""
    found: Metrics = next((row.get("metrics", ACCURACY) for row in rows), ACCURACY)
    return found


def describe(setting: Mapping[str, Any]) -> str:
    """A policy's settings in one line: ``ratio=0.5 saliency=taylor``."""

    def shown(value: Any) -> str:
        if not isinstance(value, Mapping):
            return str(value)
        if not value.keys() & {"name", "policy"}:
            return ",".join(f"{key}:{shown(part)}" for key, part in value.items())
        kind, *parts = sorted(value, key=lambda key: key not in ("name", "policy"))
        rest = ",".join(f"{key}={shown(value[key])}" for key in parts)
        return f"{value[kind]}({rest})" if rest else str(value[kind])

    return " ".join(f"{key}={shown(part)}" for key, part in setting.items() if key != "policy")


def short_names(rows: Iterable[Row]) -> dict[tuple[str, str], str]:
    """Settings in a few words: the policy, how much goes, and in what else the policy's differ."""
    policies: dict[str, dict[str, Mapping[str, Any]]] = {}
    for found in rows:
        policies.setdefault(found["policy"], {})[found["settings"]] = found["setting"]
    return {
        (policy, text): f"{policy} {describe(_differing(setting, own.values()))}".strip()
        for policy, own in policies.items()
        for text, setting in own.items()
    }


def _differing(
    setting: Mapping[str, Any], others: Iterable[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The ratio or the aim, and what is not the same in all."""
    return {
        key: part
        for key, part in setting.items()
        if key in ("ratio", "aim") or any(one.get(key) != part for one in others)
    }


def by_setting(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Rows of the same policy and settings together, the seeds of each."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for found in rows:
        groups.setdefault((found["policy"], found["settings"]), []).append(found)
    return groups


def mean(rows: Iterable[Row], column: str) -> float:
    """The mean of a column over the trials that finished; NaN if none did."""
    values = [found[column] for found in rows if found[column] is not None]
    return math.fsum(values) / len(values) if values else math.nan


def deviation(rows: Iterable[Row], column: str) -> float:
    """The sample standard deviation of a column over seeds; NaN for fewer than two."""
    values = [found[column] for found in rows if found[column] is not None]
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def count_warnings(rows: Iterable[Row]) -> Counter[str]:
    """Each warning and how many trials have it."""
    return Counter(warning for found in rows for warning in set(found["warnings"]))


def to_csv(rows: Iterable[Row]) -> str:
    """All columns, comma-separated; lists are JSON."""
    out = io.StringIO()
    found_rows = list(rows)
    names = columns(metrics_of(found_rows))
    writer = csv.DictWriter(out, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for found in found_rows:
        writer.writerow({**found, "prune_epochs": json.dumps(found["prune_epochs"])})
    return out.getvalue()


def to_json(rows: Iterable[Row]) -> str:
    """All columns, a list of objects; what is not a number becomes null."""
    safe = [
        {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in found.items()
            if key in columns(metrics_of([found]))
        }
        for found in rows
    ]
    return json.dumps(safe, indent=1, allow_nan=False)
