"""How near EPI, Early-Bird and OCSPruner's rule come to the oracle over pruning epochs.

Per task, ratio and saliency the oracle is the epoch with the best validation accuracy at the end,
as a mean over seeds. Regret: the oracle's test accuracy less the indicator's, in points. Each
indicator is judged with its published settings, and with the threshold that did best on the other
seeds. Beside them stand the controls.

    python -m benchmarks.fidelity epi --pictures cifar10.npz --json FILE
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean as mean_of
from typing import Any

from benchmarks.fidelity.regret import Ends, judged, mean, oracle, spread
from benchmarks.fidelity.study import by_policy, keep, parser, train
from benchmarks.fidelity.tasks import chosen
from benchmarks.output import table
from pruning.policies import Policy, policy

RATIOS = (0.5, 0.7)
SALIENCIES: dict[str, Any] = {
    "magnitude": {"name": "magnitude", "normalize": "none"},
    "taylor": "taylor",
}
SHORT = {"earliest": 5, "latest": 0.5}
"""Warm-up plus a window of 3, and half of the training: as short trainings want it."""

THRESHOLDS = [0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.96]
INDICATORS: dict[tuple[str, str], dict[str, Any]] = {
    ("epi", "published"): {"window": [5], "threshold": [None]},
    ("epi", "window 5, other seeds'"): {"window": [5], "threshold": THRESHOLDS},
    ("epi", "window 3, other seeds'"): {"window": [3], "threshold": THRESHOLDS},
    ("early_bird", "published"): {"threshold": [0.1]},
    ("early_bird", "other seeds'"): {"threshold": [0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2]},
    ("ocspruner", "published"): {"threshold": [0.999]},
    ("ocspruner", "other seeds'"): {"threshold": [0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98]},
}
USUAL = {"policy": "epi", "threshold": 0.9, "window": 3, **SHORT}
"""What the controls are as small as."""


def main(arguments: Sequence[str]) -> int:
    """The command."""
    options = parser("benchmarks.fidelity epi", __doc__)
    options.add_argument("--pictures", type=Path, help="an npz data set, for a second task")
    options.add_argument("--grid", type=int, nargs="+", default=list(range(10)))
    given = options.parse_args(arguments)
    tasks = chosen(given.pictures, Path(given.storage))
    cuts = [(ratio, saliency) for ratio in RATIOS for saliency in SALIENCIES]
    everything = [policy("dense")]
    for cut in cuts:
        everything += [*_grid(given.grid, *cut).values(), *_controls(*cut).values()]
        everything += [one for kind in INDICATORS for one in _indicator(kind, *cut)]

    cases: list[dict[str, Any]] = []
    losses: dict[str, list[float]] = {}
    controls: list[dict[str, Any]] = []
    for task, content in tasks.items():
        ends = by_policy(*train(f"epi-{task}", content, everything, given))
        for cut in cuts:
            cases += _cases(task, given.grid, cut, ends)
            controls += _beside(task, cut, ends)
            for setting, loss in _losses(given.grid, cut, ends).items():
                losses.setdefault(setting, []).append(loss)
    calibration = {setting: mean_of(found) for setting, found in losses.items()}
    _print(cases, controls, calibration)
    content = {"cases": cases, "controls": controls, "calibration": calibration}
    keep(given, "benchmarks.fidelity", {"study": "epi", **content})
    return 0


def _grid(epochs: Sequence[int], ratio: float, saliency: str) -> dict[int, Policy]:
    cut = {"ratio": ratio, "saliency": SALIENCIES[saliency]}
    return {epoch: policy({"policy": "at_epoch", "epoch": epoch, **cut}) for epoch in epochs}


def _indicator(kind: tuple[str, str], ratio: float, saliency: str) -> list[Policy]:
    name, _ = kind
    cut = {**SHORT, "ratio": ratio, "saliency": SALIENCIES[saliency]}
    fields = INDICATORS[kind]
    fixed = {key: values[0] for key, values in fields.items() if key != "threshold"}
    return [
        policy({"policy": name, **cut, **fixed, "threshold": threshold})
        for threshold in fields["threshold"]
    ]


def _controls(ratio: float, saliency: str) -> dict[str, Policy]:
    cut = {"ratio": ratio, "saliency": SALIENCIES[saliency]}
    usual = {**USUAL, **cut}
    return {
        "EPI": policy(usual),
        "small from scratch": policy({"policy": "small_from_scratch", "of": usual}),
        "uniform": policy({"policy": "uniform", "of": usual}),
        "random": policy({**cut, "policy": "at_epoch", "epoch": 5, "saliency": "random"}),
    }


def _cases(
    task: str, epochs: Sequence[int], cut: tuple[float, str], ends: Ends
) -> list[dict[str, Any]]:
    grid = _grid(epochs, *cut)
    best = oracle(grid, ends)
    common = {
        "task": task,
        "ratio": cut[0],
        "saliency": cut[1],
        "oracle_epoch": best,
        "oracle_accuracy": mean(ends[grid[best]].values(), "test_accuracy"),
        "oracle_at_the_edge": best in (min(grid), max(grid)),
        "accuracy_by_epoch": [
            [epoch, mean(ends[one].values(), "test_accuracy")] for epoch, one in grid.items()
        ],
    }
    seeds = sorted(ends[grid[best]])
    return [
        {
            **common,
            "indicator": kind[0],
            "settings": kind[1],
            **judged(_indicator(kind, *cut), grid[best], ends, seeds),
        }
        for kind in INDICATORS
    ]


def _losses(epochs: Sequence[int], cut: tuple[float, str], ends: Ends) -> dict[str, float]:
    """By EPI's window and threshold: points of validation accuracy below the oracle's."""
    grid = _grid(epochs, *cut)
    best = mean(ends[grid[oracle(grid, ends)]].values(), "val_accuracy")
    return {
        f"window {fields['window'][0]}, threshold {threshold}": 100
        * (best - mean(ends[one].values(), "val_accuracy"))
        for kind, fields in INDICATORS.items()
        if kind[0] == "epi" and kind[1] != "published"
        for threshold, one in zip(fields["threshold"], _indicator(kind, *cut), strict=True)
    }


def _beside(task: str, cut: tuple[float, str], ends: Ends) -> list[dict[str, Any]]:
    networks = {"dense": policy("dense"), **_controls(*cut)}
    return [
        {
            "task": task,
            "ratio": cut[0],
            "saliency": cut[1],
            "network": name,
            "accuracy": mean(ends[one].values(), "test_accuracy"),
            "sd": spread([row["test_accuracy"] for row in ends[one].values()]),
            "macs": mean(ends[one].values(), "macs"),
            "params": mean(ends[one].values(), "params"),
        }
        for name, one in networks.items()
    ]


def _print(
    cases: Sequence[dict[str, Any]],
    controls: Sequence[dict[str, Any]],
    calibration: Mapping[str, float],
) -> None:
    heads = ["task, ratio, saliency", "oracle", "indicator", "settings", "epochs", "never crossed"]
    rows = [
        [
            f"{case['task']} {case['ratio']} {case['saliency']}",
            f"{case['oracle_epoch']} ({100 * case['oracle_accuracy']:.1f} %)",
            case["indicator"],
            case["settings"],
            " ".join(map(str, case["epochs"])),
            str(case["never_crossed"]),
            f"{case['regret']:+.2f} +-{case['sd'] or 0:.2f}",
        ]
        for case in cases
    ]
    print(table([*heads, "regret, points"], rows), end="\n\n")
    heads = ["task, ratio, saliency", "network", "test accuracy, %", "MACs", "parameters"]
    rows = [
        [
            f"{line['task']} {line['ratio']} {line['saliency']}",
            line["network"],
            f"{100 * line['accuracy']:.2f} +-{100 * (line['sd'] or 0):.2f}",
            f"{line['macs'] / 1e3:.0f}k",
            f"{line['params'] / 1e3:.1f}k",
        ]
        for line in controls
    ]
    print(table(heads, rows), end="\n\n")
    heads = ["EPI's settings", "below the oracle, points of validation accuracy"]
    print(table(heads, [[setting, f"{loss:.2f}"] for setting, loss in calibration.items()]))
