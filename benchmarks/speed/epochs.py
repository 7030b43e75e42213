"""Whether a pruned epoch is really faster: seconds and MACs of dense and pruned epochs.

For the quick start's network on the digits, and the CNN of paper 4 (Mathew, Rowe: Pruning a neural
network using Bayesian inference) on MNIST. A dense training and its pruned copies take turns,
epoch by epoch, in one process and on one thread; a pruned epoch is compared with the dense one of
its round, so that what slows the machine down slows both.

    python -m benchmarks.speed epochs --mnist mnist.npz --json epochs.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml

from benchmarks.output import command, made, table, write_json
from pruning import AtEpoch, Magnitude
from pruning.policies.selection import Scope
from pruning.training.loop import Training
from pruning.training.task import Task

QUICKSTART = Path(__file__).parents[2] / "sweeps/configs/quickstart.yaml"
RATIOS = (0.5, 0.7)
SALIENCY = Magnitude(normalize="none")


@dataclass(frozen=True)
class Case:
    """A network to measure.

    scope: whether layers are ranked together, as AtEpoch has it. cut_after: so many epochs, which
    are not counted; nor is the first after the cut.
    """

    name: str
    task: dict[str, Any]
    scope: Scope
    cut_after: int


def quickstart() -> Case:
    """The quick start's network and task, cut where its network has settled."""
    task = yaml.safe_load(QUICKSTART.read_text(encoding="utf-8"))["task"]
    return Case("quick start's network, digits", task, "global", cut_after=5)


def paper_cnn(mnist: Path) -> Case:
    """32 and 64 3x3 filters, each with max-pooling, two dense layers; 4,096 digits an epoch.

    Every layer loses the same share: ranked together, plain norms would empty the first layer.
    """
    cnn = {"widths": [32, 64], "pool_after": [0, 1], "batch_norm": False}
    file = {"path": str(mnist), "train": 4608, "test": 512}
    task = {
        "model": {"name": "small_cnn", "options": cnn | {"pooling": "flatten", "hidden": [128]}},
        "epochs": 1,
        "data": {"source": "benchmarks.pictures:load", "options": file, "validation": 1 / 9},
        "batch_size": 64,
        "optimizer": {"name": "adam", "lr": 1e-3},
        "schedule": "constant",
    }
    return Case("CNN of paper 4, MNIST", task, "layer", cut_after=1)


def prepared(case: Case, ratio: float, repeats: int) -> Training:
    """A training that is warm, and pruned unless ``ratio`` is 0; ready to be measured."""
    needed = case.cut_after + 1 + repeats
    task = Task.parse(case.task | {"epochs": max(case.task["epochs"], needed)})
    training = Training(task, probes=[SALIENCY])
    training.begin()
    for _ in range(case.cut_after):
        training.epoch()
    if ratio:
        policy = AtEpoch(epoch=case.cut_after, ratio=ratio, saliency=SALIENCY, scope=case.scope)
        action = policy.decide(training.pruner.history)
        if action is None:
            raise RuntimeError(f"{case.name}: nothing to prune at ratio {ratio}")
        training.apply(action)
    training.epoch()
    return training


def measured(case: Case, repeats: int) -> list[dict[str, Any]]:
    """A row a ratio, the dense network first."""
    ratios = (0.0, *RATIOS)
    trainings = [prepared(case, ratio, repeats) for ratio in ratios]
    rounds = [[training.epoch().seconds["train"] for training in trainings] for _ in range(repeats)]
    dense = trainings[0].pruner.network.cost()
    rows = []
    for place, (ratio, training) in enumerate(zip(ratios, trainings, strict=True)):
        cost = training.pruner.network.cost()
        shares = [seconds[place] / seconds[0] for seconds in rounds]
        seconds = [seconds[place] for seconds in rounds]
        rows.append(
            {
                "network": case.name,
                "ratio": ratio,
                "scope": case.scope,
                "cut_after": case.cut_after,
                "samples": training.pruner.records[-1].costs["samples"],
                "params": cost.params,
                "macs": cost.macs,
                "macs_share": cost.macs / dense.macs,
                "seconds_median": median(seconds),
                "time_share_median": median(shares),
                "time_share_min": min(shares),
                "time_share_max": max(shares),
                "seconds": seconds,
            }
        )
    return rows


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows, dense and pruned side by side."""
    header = ["network", "ratio", "params", "MACs", "of dense", "s/epoch", "of dense", "min..max"]
    return table(
        header,
        [
            [
                row["network"],
                f"{row['ratio']:.1f}" if row["ratio"] else "dense",
                f"{row['params']:,}",
                f"{row['macs']:,}",
                f"{row['macs_share']:.2f}",
                f"{row['seconds_median']:.3f}",
                f"{row['time_share_median']:.2f}",
                f"{row['time_share_min']:.2f}..{row['time_share_max']:.2f}",
            ]
            for row in rows
        ],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed epochs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mnist", type=Path, help="MNIST as npz; without it paper 4 is left out")
    parser.add_argument("--repeats", type=int, default=9, help="epochs to measure of each network")
    parser.add_argument("--json", type=Path, help="file for the results")
    arguments = sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(arguments)
    if given.mnist and not given.mnist.is_file():
        parser.error(f"--mnist: file {str(given.mnist)!r} does not exist")
    if given.repeats < 1:
        parser.error(f"--repeats: {given.repeats} is not allowed (allowed: 1 and more)")
    torch.set_num_threads(1)
    cases = [quickstart(), *([paper_cnn(given.mnist)] if given.mnist else [])]
    left_out = (
        [] if given.mnist else ["CNN of paper 4, MNIST: left out, --mnist PATH was not given"]
    )
    rows = [row for case in cases for row in measured(case, given.repeats)]
    print(as_table(rows))
    for line in left_out:
        print(line)
    if given.json:
        where = made("CPU, 1 thread", command("benchmarks.speed", ["epochs", *arguments]))
        write_json(given.json, {"benchmark": "epochs", **where, "left_out": left_out, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
