"""Regret: how far a choice ends behind the best of a grid, seed by seed.

Choices see the task's quality on the validation split only, and regret is of that on the test
split. A candidate stands here as the rows of its trials by seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np

from sweeps.results.quality import Quality
from sweeps.results.rows import DIGITS, Row

K = TypeVar("K")
Candidates = Mapping[K, Mapping[int, Row]]
"""What one may choose among: the rows of each, by seed."""


def ended(row: Row) -> bool:
    """Whether a trial has finished with figures to compare."""
    quality = Quality.among([row])
    figures = row[quality.val], row[quality.test]
    return row["status"] == "finished" and all(f is not None and math.isfinite(f) for f in figures)


def complete(candidates: Mapping[K, Iterable[Row]]) -> dict[K, dict[int, Row]]:
    """The candidates that ended on any seed, each on the seeds on which all of these ended.

    So that no candidate looks good because the seed that is hard for all is missing of it.
    """
    found = {key: {r["seed"]: r for r in rows if ended(r)} for key, rows in candidates.items()}
    found = {key: rows for key, rows in found.items() if rows}
    common = sorted(set[int]().union(*found.values()).intersection(*found.values()))
    return {key: {seed: rows[seed] for seed in common} for key, rows in found.items()}


def best(candidates: Candidates[K], digits: int | None = DIGITS) -> K:
    """The one with the best mean on the validation split; of equals the first.

    digits: after the point that count; None: to the last bit, which breaks ties by chance.
    """
    return max(candidates, key=lambda key: _score(candidates[key].values(), digits))


def best_on_others(candidates: Candidates[K], seed: int, digits: int | None = DIGITS) -> K:
    """The best on all seeds but this one, so that nothing is tuned on what it is judged by."""

    def score(key: K) -> float:
        others = (row for other, row in candidates[key].items() if other != seed)
        return _score(others, digits)

    return max(candidates, key=score)


def regrets(oracle: Mapping[int, Row], chosen: Mapping[int, Row]) -> list[float]:
    """For each seed of ``chosen`` by how much the oracle is better on the test split."""
    quality = Quality.among(chosen.values())
    return [
        quality.sign * (oracle[seed][quality.test] - row[quality.test])
        for seed, row in chosen.items()
    ]


def never_crossed(row: Row) -> bool:
    """Whether an indicator pruned because of ``latest``, or not at all."""
    return not row["prune_epochs"] or any("never" in warning for warning in row["warnings"])


def spread(values: Iterable[float]) -> float | None:
    """The sample standard deviation; None for fewer than two values."""
    found = list(values)
    return float(np.std(found, ddof=1)) if len(found) > 1 else None


def _score(rows: Iterable[Row], digits: int | None) -> float:
    """The mean on the validation split; more is better."""
    rows = list(rows)
    quality = Quality.among(rows)
    mean = quality.sign * float(np.mean([row[quality.val] for row in rows])) if rows else 0.0
    return mean if digits is None else round(mean, digits)
