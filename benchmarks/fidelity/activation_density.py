"""Activation density: training complexity, parameters and accuracy beside dense, and the controls.

Training complexity is the paper's: the sum over rounds of epochs_i * MACs_i / MACs_0; the gain is
the dense network's epochs over that.

    python -m benchmarks.fidelity activation-density --pictures cifar10.npz --json FILE
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.fidelity.regret import mean, spread
from benchmarks.fidelity.study import by_policy, keep, parser, train
from benchmarks.fidelity.tasks import chosen
from benchmarks.output import table
from pruning.policies import policy
from sweeps.results.rows import Row

_KEEP = {"policy": "activation_density"}
NETWORKS: dict[str, Any] = {
    "dense": "dense",
    "activation density": _KEEP,
    "activation density, new weights": {**_KEEP, "weights": "reinit"},
    "activation density, 1 round": {**_KEEP, "rounds": 1},
    "activation density, 2 rounds": {**_KEEP, "rounds": 2},
    "small from scratch": {"policy": "small_from_scratch", "of": _KEEP},
    "uniform": {"policy": "uniform", "of": _KEEP},
    "1 round, small from scratch": {"policy": "small_from_scratch", "of": {**_KEEP, "rounds": 1}},
    "1 round, uniform": {"policy": "uniform", "of": {**_KEEP, "rounds": 1}},
}


def main(arguments: Sequence[str]) -> int:
    """The command."""
    options = parser("benchmarks.fidelity activation-density", __doc__)
    options.add_argument("--pictures", type=Path, help="an npz data set, for a second task")
    given = options.parse_args(arguments)
    tasks = chosen(given.pictures, Path(given.storage))
    lines: list[dict[str, Any]] = []
    for task, content in tasks.items():
        name = f"activation-density-{task}"
        ends = by_policy(*train(name, content, list(NETWORKS.values()), given))
        dense = ends[policy("dense")]
        for network, setting in NETWORKS.items():
            lines.append({"task": task, **_line(network, ends[policy(setting)], dense, content)})
    _print(lines)
    keep(given, "benchmarks.fidelity", {"study": "activation-density", "networks": lines})
    return 0


def _line(
    name: str, rows: Mapping[int, Row], dense: Mapping[int, Row], task: Mapping[str, Any]
) -> dict[str, Any]:
    """Every epoch has as many samples, so train_flops counts epochs times MACs."""
    gains = [dense[seed]["train_flops"] / row["train_flops"] for seed, row in rows.items()]
    accuracies = [row["test_accuracy"] for row in rows.values()]
    return {
        "network": name,
        "rounds": [row["prune_epochs"] for row in rows.values()],
        "training_complexity": fmean(task["epochs"] / gain for gain in gains),
        "gain": fmean(gains),
        "params_x": mean(dense.values(), "params") / mean(rows.values(), "params"),
        "macs_x": mean(dense.values(), "macs") / mean(rows.values(), "macs"),
        "train_seconds_x": mean(dense.values(), "train_seconds")
        / mean(rows.values(), "train_seconds"),
        "accuracy": mean(rows.values(), "test_accuracy"),
        "sd": spread(accuracies),
    }


def _print(lines: Sequence[dict[str, Any]]) -> None:
    heads = ["task, network", "pruned after", "training complexity", "gain", "parameters"]
    rows = [
        [
            f"{line['task']} {line['network']}",
            " ".join(",".join(map(str, epochs)) or "-" for epochs in line["rounds"]),
            f"{line['training_complexity']:.1f} epochs",
            f"{line['gain']:.2f}x",
            f"{line['params_x']:.1f}x fewer",
            f"{line['macs_x']:.1f}x fewer",
            f"{line['train_seconds_x']:.2f}x",
            f"{100 * line['accuracy']:.2f} +-{100 * (line['sd'] or 0):.2f}",
        ]
        for line in lines
    ]
    print(table([*heads, "MACs", "training time", "test accuracy, %"], rows))
