"""What replaying costs: many EPI riders on the stored history of a ResNet-50 (11,456 units).

The network is traced for real, its saliencies are drawn: noise that calms down a little. No rider
ever prunes, so that each decides after every epoch; reading the store is part of the time.

    python -m benchmarks.sharing.replay --json replay.json
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torchvision

from benchmarks.output import command, made, table, write_json
from pruning import EPI
from pruning.history import Record
from pruning.structure.layout import Layout
from pruning.structure.network import Network
from pruning.training.task import Task
from sweeps.sharing.library import Library
from sweeps.sharing.rider import Rider
from sweeps.sharing.tree import Tree
from sweeps.storage.store import Branching, Store, Stored

RATIOS = (0.3, 0.5, 0.7)


def resnet50() -> Layout:
    """The units of a ResNet-50."""
    model = torchvision.models.resnet50(weights=None)
    return Network(model, torch.zeros(1, 3, 64, 64)).layout


def write_history(store: Store, trunk: str, layout: Layout, epochs: int) -> None:
    """Records of dense training, as long as asked for."""
    draw = np.random.default_rng(0)
    final = draw.lognormal(size=layout.total)
    key = EPI().saliency.key
    for epoch in range(epochs + 1):
        noise = draw.normal(size=layout.total) * (0.3 + np.exp(-epoch / 10))
        scores = (final * np.exp(noise)).astype(np.float32)
        record = Record(epoch, np.ones(layout.total, dtype=np.bool_), {key: scores})
        stored = Stored(record, measured=frozenset({key}), layout=layout)
        store.write_record(trunk, stored if epoch == 0 else replace(stored, layout=None))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sharing.replay",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--epochs", type=int, default=90)
    parser.add_argument("--thresholds", type=int, default=50, help="riders of each ratio")
    parser.add_argument("--json", type=Path, help="file for the results")
    arguments = sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    layout = resnet50()
    task = Task.parse({"model": "torchvision:resnet50", "data": "digits", "epochs": given.epochs})
    trunk = Branching(task, 0)
    rows, figures = [], {}
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        write_history(Store(folder), Store(folder).know(trunk), layout, given.epochs)
        for count in (1, given.thresholds):
            tree = Tree(Library(Store(folder)))
            riders = [
                Rider(
                    f"{ratio}-{step}",
                    EPI(ratio=ratio, threshold=1 - 1e-9 * step, latest=None),
                    trunk,
                    given.epochs,
                )
                for ratio in RATIOS
                for step in range(count)
            ]
            began = time.perf_counter()
            for rider in riders:
                tree.join(rider)
            seconds = time.perf_counter() - began
            if not all(rider.finished and not rider.state.turns for rider in riders):
                raise RuntimeError("a rider has pruned or failed: nothing to measure")
            each = 1000 * seconds / len(riders) / given.epochs
            rows.append([str(len(riders)), str(given.epochs), f"{seconds:.2f}", f"{each:.3f}"])
            figures[f"ms_per_rider_epoch_of_{len(riders)}"] = each
    print(f"ResNet-50: {len(layout.names)} groups, {layout.total:,} units")
    print(table(["riders", "epochs", "s", "ms a rider and epoch"], rows))
    if given.json:
        where = made("CPU, 1 thread", command("benchmarks.sharing.replay", arguments))
        units = {"groups": len(layout.names), "units": layout.total}
        write_json(given.json, {"benchmark": "replay", **where, **units, **figures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
