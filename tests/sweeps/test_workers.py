"""A sweep whose trials are trained by two processes each, on the real Ray Tune."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from sweep_files import changed

from pruning.training.trial import Trial
from sweeps.file.sweep import Sweep
from sweeps.results.rows import METRICS
from sweeps.running.run import run
from sweeps.storage.store import Origin, Store

AT_EPOCH = {"policy": "at_epoch", "epoch": 2, "ratio": 0.5, "saliency": "taylor"}
EXACT = ("prune_epochs", "sparsity", "unit_sparsity", "params", "macs", "train_flops")

CODE = '''
import os, signal
from pathlib import Path
from torch import nn
from pruning import Policy

def smooth(shape, classes):
    """Its gradients have no jumps: of other roundings come no other results."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Tanh(), nn.Flatten(), nn.Linear(288, classes)
    )

class KillsAFollower(Policy):
    """Kills, once, a process that trains along with its own."""
    name = "kills_a_follower"
    marker: str
    def decide(self, history):
        marker = Path(self.marker)
        if history.epoch == 2 and not marker.exists():
            own = [int(path.name) for path in Path("/proc").iterdir() if self.is_follower(path)]
            marker.write_text(" ".join(map(str, own)))
            os.kill(own[0], signal.SIGKILL)
    @staticmethod
    def is_follower(path):
        try:
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
            command = (path / "cmdline").read_bytes()
            return int(parent) == os.getpid() and b"pruning.parallel" in command
        except OSError:
            return False
'''


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, ray_here: Path) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("workers")
    (ray_here / "own_killing.py").write_text(CODE)
    killing = {"policy": "own_killing:KillsAFollower", "marker": str(folder / "killed")}
    content = changed(
        name="workers",
        task__model="own_killing:smooth",
        policies=["dense", AT_EPOCH, killing],
        seeds=[0],
        resources={"workers": 2},
        retries=1,
    )
    found = Sweep.parse(content)
    store = Store(folder / "runs")
    trials = found.trials()  # preflight would try in this process what kills
    outcome = run(found, trials, store, f"sqlite:///{folder}/mlflow.db", Console(quiet=True))
    return SimpleNamespace(trials=trials, rows=outcome.rows, store=store, killed=folder / "killed")


def test_results_are_those_of_one_process(sweep: SimpleNamespace) -> None:
    for spec, row in zip(sweep.trials[:2], sweep.rows[:2], strict=True):
        alone = Trial(spec.task, spec.policy, spec.seed).run()
        assert row["status"] == "finished"
        assert {name: row[name] for name in EXACT} == {name: alone[name] for name in EXACT}
        for name in ("val_accuracy", "test_accuracy"):
            assert row[name] == pytest.approx(alone[name], abs=1e-6)


def test_a_killed_process_changes_no_result(sweep: SimpleNamespace) -> None:
    assert len(sweep.killed.read_text().split()) == 1
    dense, survived = sweep.rows[0], sweep.rows[2]
    assert survived["status"] == "finished"
    for name in METRICS:
        if not name.endswith(("seconds", "gpu_hours", "gpu_hours_spent")):
            assert survived[name] == dense[name], name


def test_the_cost_counts_both(sweep: SimpleNamespace) -> None:
    trunk = Origin(sweep.trials[0].task, 0).address
    for epoch in range(5):
        stored = sweep.store.record(trunk, epoch)
        assert stored.devices == 2
        seconds = sum(stored.record.seconds.values())  # and those in which policies decided
        assert sum(stored.charges.values()) >= 2 * seconds * (1 - 1e-9)
