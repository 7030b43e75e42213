"""Bayes-factor pruning against Table 1 of Mathew and Rowe.

Five sparsities, four methods, the unpruned network; 25 epochs of Adam at 1e-3 in batches of 64.
``held``: weights once pruned stay zero to the end. ``regrown``: they may grow again in the epoch
after each pruning, and what is judged has grown for an epoch.

    python -m benchmarks.fidelity bayes-factor --data mnist.npz --json FILE
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.fidelity.study import by_policy, keep, parser, train
from benchmarks.output import table
from pruning.policies.registry import policy

TABLE = Path(__file__).parent / "published" / "bayes_factor_table1.csv"
NETWORKS: dict[str, Any] = {
    "FCN": {"name": "small_mlp", "options": {"hidden": [256, 128]}},
    "CNN": {
        "name": "small_cnn",
        "options": {
            "widths": [32, 64],
            "pool_after": [0, 1],
            "batch_norm": False,
            "pooling": "flatten",
            "hidden": [128],
        },
    },
}
METHODS: dict[str, dict[str, Any]] = {
    "random": {"by": "random", "gate": "open"},
    "bayes_random": {"by": "random"},
    "magnitude": {"by": "magnitude", "gate": "open"},
    "bayes_magnitude": {"by": "magnitude"},
}
PROTOCOLS: dict[str, dict[str, Any]] = {
    "held": {},
    "regrown": {"hold": False, "ends_pruned": False},
}


def main(arguments: Sequence[str]) -> int:
    """The command."""
    given = _options().parse_args(arguments)
    cells = [
        {"protocol": protocol, "method": method, "sparsity": sparsity}
        for protocol in given.protocols
        for method in METHODS
        for sparsity in given.sparsities
    ]
    policies = [_policy(cell, given.likelihood) for cell in cells]
    name = f"bayes-factor-{given.name}-{given.network}"
    trials, rows = train(name, _task(given), ["dense", *policies], given)
    found = {
        one: [row["test_accuracy"] for row in seeds.values()]
        for one, seeds in by_policy(trials, rows).items()
    }

    dense = _summary(found[policy("dense")], _published(given, "unpruned"))
    for cell, setting in zip(cells, policies, strict=True):
        theirs = _published(given, cell["method"], cell["sparsity"])
        cell |= _summary(found[policy(setting)], theirs)
    print(f"{given.name} {given.network}, test accuracy in %, {given.seeds} seeds")
    print(f"unpruned: {_shown(dense)}")
    for protocol in given.protocols:
        print(f"\n{protocol}: ours +- standard deviation (theirs, difference)")
        print(_table([cell for cell in cells if cell["protocol"] == protocol]))
    ranks = _rank_correlations(cells)
    print("\nrank correlation of our means with theirs over the sparsities")
    for (protocol, method), value in ranks.items():
        print(f"  {protocol:8} {method:16} {value:5.2f}")
    content = {
        "study": "bayes-factor",
        "data": given.name,
        "network": given.network,
        "epochs": given.epochs,
        "seeds": given.seeds,
        "likelihood": given.likelihood,
        "unpruned": dense,
        "cells": cells,
        "rank_correlation": {" ".join(key): value for key, value in ranks.items()},
    }
    keep(given, "benchmarks.fidelity", content)
    return 0


def _options() -> argparse.ArgumentParser:
    options = parser("benchmarks.fidelity bayes-factor", __doc__)
    options.add_argument("--data", type=Path, required=True, help="an npz data set")
    options.add_argument("--name", default="MNIST", help="of the data set, as the paper has it")
    options.add_argument("--network", choices=tuple(NETWORKS), default="FCN")
    options.add_argument("--epochs", type=int, default=25)
    sparsities = [0.25, 0.5, 0.75, 0.9, 0.99]
    options.add_argument("--sparsities", type=float, nargs="+", default=sparsities)
    options.add_argument("--protocols", nargs="+", choices=tuple(PROTOCOLS), default=[*PROTOCOLS])
    options.add_argument("--likelihood", choices=("mean", "sum"), default="mean")
    return options


def _task(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "model": NETWORKS[given.network],
        "data": {"source": f"npz:{given.data}", "validation": 1 / 12},
        "epochs": given.epochs,
        "batch_size": 64,
        "optimizer": {"name": "adam", "lr": 1e-3},
        "schedule": {"name": "constant"},
        "sample_batches": 16,
    }


def _policy(cell: dict[str, Any], likelihood: str) -> dict[str, Any]:
    return {
        "policy": "bayes_factor",
        "sparsity": cell["sparsity"],
        "likelihood": likelihood,
        **METHODS[cell["method"]],
        **PROTOCOLS[cell["protocol"]],
    }


def _published(given: argparse.Namespace, column: str, sparsity: float | None = None) -> float:
    """A figure of their table; NaN if it has none of this data set, network or sparsity."""
    with TABLE.open(encoding="utf-8") as file:
        for line in csv.DictReader(file):
            fits = (line["dataset"], line["model"]) == (given.name, given.network)
            if fits and sparsity in (None, float(line["sparsity"])):
                return float(line[column])
    return float("nan")


def _summary(accuracies: Sequence[float], theirs: float) -> dict[str, Any]:
    ours = float(np.mean(accuracies))
    spread = float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None
    known = theirs == theirs
    return {
        "ours": ours,
        "sd": spread,
        "theirs": theirs if known else None,
        "difference": ours - theirs if known else None,
    }


def _shown(cell: dict[str, Any]) -> str:
    spread = "" if cell["sd"] is None else f" +-{100 * cell['sd']:.2f}"
    if cell["theirs"] is None:
        return f"{100 * cell['ours']:.2f}{spread}"
    theirs = f"{100 * cell['theirs']:.2f}, {100 * cell['difference']:+.2f}"
    return f"{100 * cell['ours']:.2f}{spread} ({theirs})"


def _table(cells: Sequence[dict[str, Any]]) -> str:
    sparsities = sorted({cell["sparsity"] for cell in cells})
    by_place = {(cell["method"], cell["sparsity"]): _shown(cell) for cell in cells}
    rows = [[method, *(by_place[method, s] for s in sparsities)] for method in METHODS]
    return table(["method", *(f"{s:g}" for s in sparsities)], rows)


def _rank_correlations(cells: Sequence[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """Spearman's, by protocol and method, where theirs are known for three sparsities or more."""
    series: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for cell in cells:
        if cell["theirs"] is not None:
            pair = (cell["ours"], cell["theirs"])
            series.setdefault((cell["protocol"], cell["method"]), []).append(pair)
    return {
        key: float(spearmanr(*zip(*pairs, strict=True)).statistic)
        for key, pairs in series.items()
        if len(pairs) > 2
    }
