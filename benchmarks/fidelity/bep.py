"""BEP: training cost against accuracy as lambda goes over seven decades.

Beside each lambda stand cuts by magnitude and by Taylor saliency at the same training cost, read
off their curves over the pruning epoch by linear interpolation. Cost is counted in FLOPs, as a
share of dense training's, and measured in device-seconds, probes and decisions included.

    python -m benchmarks.fidelity bep --pictures cifar10.npz --json FILE
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.fidelity.regret import Ends, mean, spread
from benchmarks.fidelity.study import by_policy, keep, parser, train
from benchmarks.fidelity.tasks import chosen
from benchmarks.output import table
from pruning.policies import Policy, policy
from sweeps.results.rows import Row

PENALTIES = [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
RATIO = 0.5
BESIDE: dict[str, Any] = {
    "magnitude": {"name": "magnitude", "normalize": "none"},
    "taylor": "taylor",
}


def main(arguments: Sequence[str]) -> int:
    """The command."""
    options = parser("benchmarks.fidelity bep", __doc__)
    options.add_argument("--pictures", type=Path, help="an npz data set, for a second task")
    options.add_argument("--end", type=float, default=1.0, help="BEP's setting of that name")
    given = options.parse_args(arguments)
    tasks = chosen(given.pictures, Path(given.storage))
    content: list[dict[str, Any]] = []
    for task, fields in tasks.items():
        beps = {
            one: policy({"policy": "bep", "penalty": one, "ratio": RATIO, "end": given.end})
            for one in PENALTIES
        }
        curves = {name: _cuts(saliency, fields["epochs"]) for name, saliency in BESIDE.items()}
        controls = _controls(beps[1e-4])
        everything = [
            policy("dense"),
            *beps.values(),
            *(cut for curve in curves.values() for cut in curve),
            *controls.values(),
        ]
        ends = by_policy(*train(f"bep-{task}", fields, everything, given))
        lines = [_line(one, beps[one], curves, ends) for one in PENALTIES]
        found = {
            "task": task,
            "ratio": RATIO,
            "end": given.end,
            "penalties": lines,
            "rank_correlation": {
                "penalty, cost": _correlation(PENALTIES, [line["cost"] for line in lines]),
                "penalty, accuracy": _correlation(PENALTIES, [line["accuracy"] for line in lines]),
            },
            "controls": {name: _end(ends[one], ends) for name, one in controls.items()},
        }
        content.append(found)
        _print(found)
    keep(given, "benchmarks.fidelity", {"study": "bep", "tasks": content})
    return 0


def _cuts(saliency: Any, epochs: int) -> list[Policy]:
    """One cut of the layers each for itself, as BEP cuts, at every second epoch."""
    fields = {"ratio": RATIO, "saliency": saliency, "scope": "layer"}
    return [policy({"policy": "at_epoch", "epoch": e, **fields}) for e in range(0, epochs, 2)]


def _controls(bep: Policy) -> dict[str, Policy]:
    from pruning.policies.registry import specify

    return {
        "dense": policy("dense"),
        "small from scratch": policy({"policy": "small_from_scratch", "of": specify(bep)}),
        "uniform": policy({"policy": "uniform", "of": specify(bep)}),
    }


def _line(
    penalty: float, bep: Policy, curves: Mapping[str, Sequence[Policy]], ends: Ends
) -> dict[str, Any]:
    end = _end(ends[bep], ends)
    matched = {}
    for name, cuts in curves.items():
        points = sorted((_cost(ends[cut], ends), _accuracy(ends[cut])) for cut in cuts)
        costs, accuracies = zip(*points, strict=True)
        inside = costs[0] <= end["cost"] <= costs[-1]
        matched[name] = float(np.interp(end["cost"], costs, accuracies)) if inside else None
    return {"penalty": penalty, **end, "at_the_same_cost": matched}


def _end(rows: Mapping[int, Row], ends: Ends) -> dict[str, Any]:
    dense = ends[policy("dense")]
    return {
        "cost": _cost(rows, ends),
        "time": mean(rows.values(), "gpu_hours") / mean(dense.values(), "gpu_hours"),
        "accuracy": _accuracy(rows),
        "sd": spread([row["test_accuracy"] for row in rows.values()]),
        "macs": mean(rows.values(), "macs"),
        "prunes": mean([{"n": len(row["prune_epochs"])} for row in rows.values()], "n"),
        "decide_seconds": mean(rows.values(), "decide_seconds"),
    }


def _cost(rows: Mapping[int, Row], ends: Ends) -> float:
    dense = ends[policy("dense")]
    return mean(rows.values(), "train_flops") / mean(dense.values(), "train_flops")


def _accuracy(rows: Mapping[int, Row]) -> float:
    return mean(rows.values(), "test_accuracy")


def _correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's; lambda counts from the first value that leads elsewhere than the one before."""
    return float(spearmanr(a, b).statistic)


def _print(found: dict[str, Any]) -> None:
    def percent(value: float | None) -> str:
        return "n/a" if value is None else f"{100 * value:.2f}"

    heads = ["lambda", "FLOPs of dense, %", "time of dense, %", "cuts", "accuracy, %"]
    rows = [
        [
            f"{line['penalty']:.0e}",
            percent(line["cost"]),
            percent(line["time"]),
            f"{line['prunes']:.1f}",
            f"{percent(line['accuracy'])} +-{percent(line['sd'] or 0)}",
            *(percent(line["at_the_same_cost"][name]) for name in BESIDE),
        ]
        for line in found["penalties"]
    ]
    print(f"{found['task']}, ratio {found['ratio']}; magnitude and Taylor at the same FLOPs")
    print(table([*heads, *BESIDE], rows))
    for name, value in found["rank_correlation"].items():
        print(f"rank correlation of {name}: {value:.2f}")
    for name, line in found["controls"].items():
        spent = f"{percent(line['cost'])} % of the FLOPs, {line['macs'] / 1e3:.0f}k MACs"
        print(f"{name}: {percent(line['accuracy'])} +-{percent(line['sd'] or 0)}, {spent}")
    print()
