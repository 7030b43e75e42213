"""Continues trainings in a process of its own; everything comes and goes through files.

Usage: python continue_training.py FOLDER... ; each folder holds task.json, snapshot, records.*
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from pruning.history import Record
from pruning.policies import Prune
from pruning.saliency import saliency
from pruning.training import snapshot
from pruning.training.task import Task


def continue_in(folder: Path) -> None:
    settings = json.loads((folder / "task.json").read_text())
    task = Task.parse(settings["task"])
    paths = sorted(folder.glob("record.*"))
    training = snapshot.resume(
        (folder / "snapshot").read_bytes(),
        task,
        settings["seed"],
        [Record.from_bytes(path.read_bytes()) for path in paths],
        tuple(saliency(name) for name in settings["probes"]),
    )
    while training.epoch_number < task.epochs:
        if training.epoch_number == settings["prune_at"]:
            training.apply(Prune.of(settings["units"]))
        training.epoch()
    (folder / "end").write_bytes(snapshot.take(training))
    for record in training.pruner.records:
        (folder / f"end.record.{record.epoch}").write_bytes(record.to_bytes())


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(12345)  # whatever this process drew before does not matter
    for name in sys.argv[1:]:
        continue_in(Path(name))
