"""How well the saliency at the end of training is forecast from its first 10, 20 and 40 %.

Dense trainings, whose saliencies are stored after every epoch. Of every layer: the rank correlation
of forecast and true end, and the share of the truly best half that the forecast has in its best
half (top-B recall); means over layers, weighted by units, and seeds.

    python -m benchmarks.fidelity forecast --pictures cifar10.npz --json FILE
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from benchmarks.fidelity.regret import spread
from benchmarks.fidelity.study import keep, parser
from benchmarks.fidelity.tasks import chosen
from benchmarks.output import table
from pruning.forecast.kinds import Kind, forecast
from pruning.history import Record
from pruning.saliency.registry import saliency
from pruning.structure.layout import Layout
from pruning.training.loop import Training
from pruning.training.task import Task

SHARES = (0.1, 0.2, 0.4)
SALIENCIES: dict[str, Any] = {
    "feature_taylor": "feature_taylor",
    "taylor": "taylor",
    "magnitude": {"name": "magnitude", "normalize": "none"},
}
KINDS: tuple[Kind, ...] = get_args(Kind)


def main(arguments: Sequence[str]) -> int:
    """The command."""
    options = parser("benchmarks.fidelity forecast", __doc__)
    options.add_argument("--pictures", type=Path, help="an npz data set, for a second task")
    options.add_argument("--epochs", type=int, default=30)
    given = options.parse_args(arguments)
    tasks = chosen(given.pictures, Path(given.storage))
    lines = [
        {"task": name, "saliency": asked, "share": share, **_judge(histories, asked, share)}
        for name, fields in tasks.items()
        for histories in [_histories(name, {**fields, "epochs": given.epochs}, given)]
        for asked in SALIENCIES
        for share in SHARES
    ]
    _print(lines)
    content = {"study": "forecast", "epochs": given.epochs, "seeds": given.seeds, "cases": lines}
    keep(given, "benchmarks.fidelity", content)
    return 0


def _histories(
    name: str, fields: Mapping[str, Any], given: argparse.Namespace
) -> list[tuple[Layout, list[Record]]]:
    """The stored trainings of a task, one a seed; trained where they are not stored yet."""
    task = Task.parse(dict(fields))
    probes = [saliency(asked) for asked in SALIENCIES.values()]
    found = []
    for seed in range(given.seeds):
        training = Training(task, seed, probes, "cuda" if given.gpus else "cpu")
        folder = Path(given.storage) / "histories" / f"{name}-{task.address()}-{seed}"
        if not folder.exists():
            training.begin()
            while training.epoch_number < task.epochs:
                training.epoch()
            unfinished = folder.with_suffix(".part")
            unfinished.mkdir(parents=True, exist_ok=True)
            for record in training.pruner.records:
                (unfinished / f"{record.epoch:04d}").write_bytes(record.to_bytes())
            unfinished.rename(folder)
        files = sorted(folder.iterdir())
        records = [Record.from_bytes(file.read_bytes()) for file in files]
        found.append((training.layout, records))
    return found


def _judge(
    histories: Sequence[tuple[Layout, list[Record]]], asked: str, share: float
) -> dict[str, Any]:
    """Rank correlation and recall of each forecaster, mean and deviation over seeds."""
    key = saliency(SALIENCIES[asked]).key
    scores: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for layout, records in histories:
        end = len(records) - 1
        seen = records[1 : max(2, round(share * end) + 1)]
        times = np.array([record.epoch / end for record in seen])
        truth = layout.split(records[-1].probes[key])
        measured = [layout.split(record.probes[key]) for record in seen]
        for kind in KINDS:
            layers = [
                _scores(forecast(times, np.stack([m[n] for m in measured]), 1.0, kind).mean, true)
                for n, true in truth.items()
            ]
            weights = np.array([len(true) for true in truth.values()])
            scores[kind].append(tuple(np.average(layers, axis=0, weights=weights)))
    return {
        kind: {
            "rank_correlation": float(np.mean([rank for rank, _ in found])),
            "rank_correlation_sd": spread([rank for rank, _ in found]),
            "recall": float(np.mean([recall for _, recall in found])),
            "recall_sd": spread([recall for _, recall in found]),
        }
        for kind, found in scores.items()
    }


def _scores(mean: npt.NDArray[np.float64], truth: npt.NDArray[np.floating]) -> tuple[float, float]:
    half = len(truth) // 2
    best = set(np.argsort(-truth, kind="stable")[:half])
    chosen = set(np.argsort(-mean, kind="stable")[:half])
    rank = float(spearmanr(mean, truth).statistic)
    return (0.0 if np.isnan(rank) else rank), len(best & chosen) / max(1, half)


def _print(lines: Sequence[dict[str, Any]]) -> None:
    for measure in ("rank_correlation", "recall"):
        print(f"{measure.replace('_', ' ')} of forecast and end, by forecaster")
        rows = [
            [
                f"{line['task']} {line['saliency']} {line['share']:.0%}",
                *(
                    f"{line[kind][measure]:.3f} +-{line[kind][f'{measure}_sd'] or 0:.3f}"
                    for kind in KINDS
                ),
            ]
            for line in lines
        ]
        print(table(["task, saliency, seen", *KINDS], rows), end="\n\n")
