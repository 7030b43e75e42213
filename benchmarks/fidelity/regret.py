"""How far an indicator's choices end below the oracle's, seed by seed, in points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pruning.policies import Policy
from sweeps.judging import regret
from sweeps.judging.regret import spread
from sweeps.results.rows import Row

__all__ = ["Ends", "judged", "mean", "oracle", "spread"]

Ends = Mapping[Policy, Mapping[int, Row]]
"""How the trials of each policy ended, by seed."""

TO_THE_LAST_BIT = None
"""How the kept results compare means: where these are equal, rounding has chosen."""


def mean(rows: Iterable[Row], column: str) -> float:
    """The mean of a column."""
    return float(np.mean([row[column] for row in rows]))


def oracle(grid: Mapping[int, Policy], ends: Ends) -> int:
    """The epoch of the grid whose trials end with the best validation accuracy on average."""
    return regret.best({epoch: ends[one] for epoch, one in grid.items()}, TO_THE_LAST_BIT)


def judged(
    policies: Sequence[Policy], best: Policy, ends: Ends, seeds: Sequence[int]
) -> dict[str, Any]:
    """The regret of an indicator, in points of test accuracy, and what it chose.

    policies: the indicator at several thresholds, of which each seed gets the one that did best on
    the validation accuracy of the others.
    """
    candidates = {policy: ends[policy] for policy in policies}
    chosen = {seed: regret.best_on_others(candidates, seed, TO_THE_LAST_BIT) for seed in seeds}
    rows = {seed: ends[policy][seed] for seed, policy in chosen.items()}
    points = [100 * loss for loss in regret.regrets(ends[best], rows)]
    return {
        "thresholds": [getattr(chosen[seed], "threshold", None) for seed in seeds],
        "epochs": [rows[seed]["prune_epochs"][0] for seed in seeds],
        "never_crossed": sum(map(regret.never_crossed, rows.values())),
        "regret": float(np.mean(points)),
        "sd": spread(points),
    }
