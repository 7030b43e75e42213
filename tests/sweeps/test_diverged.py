"""A training whose loss is no number has failed, and so have all who ride it from there on."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import here
import pytest
from mlflow import MlflowClient
from rich.console import Console
from sweep_files import changed

from pruning.parallel.team import Team
from pruning.policies import AtEpoch
from pruning.training.loop import Training
from pruning.training.task import Task
from pruning.training.trial import Trial
from sweeps.file.sweep import Sweep
from sweeps.running.run import Mode, Outcome, run
from sweeps.storage.store import Store

BREAKS = '''
import torch
from torch import nn


class Breaks(nn.Module):
    """Its outputs are no numbers from the ninth step on, as long as nothing is cut."""

    def __init__(self, shape, classes, value=float("nan"), judged=False):
        super().__init__()
        self.first, self.last = nn.Linear(64, 16), nn.Linear(16, classes)
        self.value, self.judged = value, judged
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        if self.training:
            self.steps += 1
        out = self.last(torch.relu(self.first(x.flatten(1))))
        late = int(self.steps) > (7 if self.judged else 8) and self.training != self.judged
        return out * self.value if late and self.first.out_features == 16 else out
'''
AT_1, AT_2, AT_3 = ({"policy": "at_epoch", "epoch": epoch, "ratio": 0.5} for epoch in (1, 2, 3))
REASON = "diverged: the training loss is nan in epoch 3"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "breaking.py").write_text(BREAKS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sweeps.running.run._train", here.train)
    yield tmp_path
    sys.modules.pop("breaking", None)


def swept(folder: Path, fields: dict[str, Any], storage: str = "s", **mode: bool) -> Outcome:
    sweep = Sweep.parse(changed(**{"seeds": [0], **fields}))
    store = Store(folder / storage)
    uri = f"sqlite:///{folder}/{storage}.db"
    return run(sweep, sweep.trials(), store, uri, Console(quiet=True), Mode(**mode))


def told(outcome: Outcome) -> dict[str, str]:
    """How each trial ended, by the epoch it cuts after."""
    rows = outcome.rows
    return {
        str(row["setting"].get("epoch", "dense")): row["reason"] or row["status"] for row in rows
    }


def model(**options: Any) -> dict[str, Any]:
    return {"task__model": {"name": "breaking:Breaks", "options": options}}


@pytest.mark.parametrize("backwards", [False, True])
def test_who_forked_before_goes_on(folder: Path, backwards: bool) -> None:
    policies = ["dense", AT_1, AT_2, AT_3][:: -1 if backwards else 1]
    outcome = swept(folder, {**model(), "policies": policies})
    assert told(outcome) == {"dense": REASON, "1": "finished", "2": "finished", "3": REASON}
    failed = [row for row in outcome.rows if row["status"] == "failed"]
    assert not any(row["pareto"] or row["val_accuracy"] is not None for row in failed)
    assert outcome.standing.savings == []
    assert {one["settings"].split()[0] for one in outcome.standing.front} <= {"ratio=0.5"}
    again = swept(folder, {**model(), "policies": policies})
    assert again.trained == 0
    assert told(again) == told(outcome)


def test_alone_it_fails_alike(folder: Path) -> None:
    fields = {**model(), "policies": ["dense", AT_1, AT_3]}
    shared, alone = swept(folder, fields), swept(folder, fields, "alone", independent=True)
    assert told(shared) == told(alone)
    assert shared.trained < alone.trained
    assert swept(folder, fields, "alone", independent=True).trained == 0


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"task__optimizer": {"lr": 1e20}}, "training loss is nan in epoch 1"),
        (model(judged=True), "validation loss is nan in epoch 2"),
        (model(value=1e38, judged=True), "validation loss is inf in epoch 2"),
    ],
    ids=["learning rate", "judged", "judged overflow"],
)
def test_whichever_loss_it_is(folder: Path, fields: dict[str, Any], reason: str) -> None:
    outcome = swept(folder, {**fields, "policies": ["dense", AT_3]})
    assert set(told(outcome).values()) == {f"diverged: the {reason}"}
    assert outcome.standing.front == []
    assert outcome.standing.hypervolume is None


def test_the_test_split_judges_nothing(folder: Path) -> None:
    task = Task.parse(changed(**model())["task"])
    training = Training(task)
    training.begin()
    record = training.epoch()
    assert not record.diverged
    assert not dataclasses.replace(record, test={"test_loss": math.nan}).diverged
    assert dataclasses.replace(record, metrics={"val_loss": math.nan}).diverged


def test_mlflow_is_told(folder: Path) -> None:
    swept(folder, {"task__optimizer": {"lr": 1e20}, "policies": ["dense"]})
    client = MlflowClient(f"sqlite:///{folder}/s.db")
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (trial,) = [found for found in runs if "earlyprune.trial" in found.data.tags]
    assert trial.info.status == "FAILED"
    assert trial.data.tags["reason"] == "diverged: the training loss is nan in epoch 1"


def test_one_trial_says_so_too() -> None:
    trial = Trial(Task.parse(changed(task__optimizer={"lr": 1e20})["task"]), AtEpoch(epoch=3))
    with pytest.raises(FloatingPointError, match="diverged: the training loss is nan in epoch 1"):
        trial.run()
    assert trial.records[0].probes
    assert not trial.records[1].probes


def test_a_team_finds_the_same_and_can_be_used_again() -> None:
    task = Task.parse(changed(task__optimizer={"lr": 1e20})["task"])
    team = Team(2)
    try:
        for _ in range(2):
            training = team.open(task, 0)
            training.begin()
            assert training.epoch().diverged == "diverged: the training loss is nan in epoch 1"
    finally:
        team.close()
