"""How far an indicator's choices end below the oracle's, seed by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pruning.policies import Policy
from sweeps.results import Row

Ends = Mapping[Policy, Mapping[int, Row]]
"""How the trials of each policy ended, by seed."""


def mean(rows: Iterable[Row], column: str) -> float:
    """The mean of a column."""
    return float(np.mean([row[column] for row in rows]))


def spread(values: Sequence[float]) -> float | None:
    """The sample standard deviation; None for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def oracle(grid: Mapping[int, Policy], ends: Ends) -> int:
    """The epoch of the grid whose trials end with the best validation accuracy on average."""
    return max(grid, key=lambda epoch: mean(ends[grid[epoch]].values(), "val_accuracy"))


def judged(
    policies: Sequence[Policy], best: Policy, ends: Ends, seeds: Sequence[int]
) -> dict[str, Any]:
    """The regret of an indicator, in points of test accuracy, and what it chose.

    policies: the indicator at several thresholds, of which each seed gets the one that did best on
    the validation accuracy of the others; nothing is tuned on what it is judged by.
    """
    chosen = {seed: _best_on_others(policies, ends, seed) for seed in seeds}
    rows = {seed: ends[policy][seed] for seed, policy in chosen.items()}
    regrets = [
        100 * (ends[best][seed]["test_accuracy"] - rows[seed]["test_accuracy"]) for seed in seeds
    ]
    return {
        "thresholds": [getattr(chosen[seed], "threshold", None) for seed in seeds],
        "epochs": [rows[seed]["prune_epochs"][0] for seed in seeds],
        "never_crossed": sum(
            any("never" in warning for warning in row["warnings"]) for row in rows.values()
        ),
        "regret": float(np.mean(regrets)),
        "sd": spread(regrets),
    }


def _best_on_others(policies: Sequence[Policy], ends: Ends, seed: int) -> Policy:
    def score(policy: Policy) -> float:
        others = [row for s, row in ends[policy].items() if s != seed]
        return mean(others, "val_accuracy") if others else 0.0

    return max(policies, key=score) if len(policies) > 1 else policies[0]
