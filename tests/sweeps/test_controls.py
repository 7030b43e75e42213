"""Controls: they wait for the policy they are compared with, and end as small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import here
import numpy as np
import pytest
from rich.console import Console
from sweep_files import changed

from pruning import History, Policy, Prune
from pruning.policies.registry import policy
from pruning.training.trial import Trial
from sweeps.file.sweep import Sweep
from sweeps.results.rows import METRICS, TIMES
from sweeps.running import preflight
from sweeps.running.run import Mode, Outcome, run
from sweeps.storage.store import Store

CUT = {"policy": "at_epoch", "epoch": 2, "ratio": 0.5}
SMALL_CONTROL = {"policy": "small_from_scratch", "of": CUT}
UNIFORM_CONTROL = {"policy": "uniform", "of": CUT}


class Fails(Policy):
    """Raises after an epoch."""

    name = "fails"

    def decide(self, history: History) -> Prune | None:
        """Not long."""
        if history.epoch:
            raise RuntimeError("no idea")
        return None


@pytest.fixture(autouse=True)
def _train_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.running.run._train", here.train)


def swept(folder: Path, mode: Mode | None = None, **fields: Any) -> Outcome:
    sweep = Sweep.parse(changed(**fields))
    uri = f"sqlite:///{folder}/mlflow.db"
    return run(
        sweep, preflight.check(sweep), Store(folder), uri, Console(quiet=True), mode or Mode()
    )


def figures(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in METRICS if name not in TIMES}


@pytest.mark.parametrize("independent", [False, True])
def test_a_control_is_as_small_as_what_it_is_compared_with(
    tmp_path: Path, independent: bool
) -> None:
    mode = Mode(independent)
    outcome = swept(tmp_path, mode, policies=[UNIFORM_CONTROL, SMALL_CONTROL, "dense"], seeds=[3])
    assert [row["policy"] for row in outcome.rows] == [
        "at_epoch",
        "uniform",
        "small_from_scratch",
        "dense",
    ]
    assert {row["status"] for row in outcome.rows} == {"finished"}
    cut, uniform, small, dense = outcome.rows
    for name in ("params", "macs", "sparsity", "unit_sparsity"):
        assert small[name] == cut[name]
    assert small["prune_epochs"] == uniform["prune_epochs"] == [0]
    assert small["train_flops"] < cut["train_flops"]
    assert abs(uniform["macs"] - cut["macs"]) < 0.1 * dense["macs"]
    assert small["val_accuracy"] != cut["val_accuracy"]

    again = swept(tmp_path, mode, policies=[SMALL_CONTROL, UNIFORM_CONTROL], seeds=[3])
    assert again.trained == 0
    alone = Trial(Sweep.parse(changed()).task, policy(SMALL_CONTROL), seed=3).run()
    assert {name: alone[name] for name in figures(small)} == figures(small)


def test_a_grid_reaches_into_the_policy_compared_with(tmp_path: Path) -> None:
    control = {"policy": "small_from_scratch", "of": {**CUT, "ratio": {"grid": [0.3, 0.6]}}}
    outcome = swept(tmp_path, policies=[control], seeds=[0])
    assert [row["policy"] for row in outcome.rows] == ["at_epoch", "small_from_scratch"] * 2
    first, second = outcome.rows[1], outcome.rows[3]
    assert first["params"] == outcome.rows[0]["params"]
    assert second["params"] == outcome.rows[2]["params"] < first["params"]


def test_where_nothing_was_removed_it_is_dense_training(tmp_path: Path) -> None:
    control = {"policy": "small_from_scratch", "of": "dense"}
    dense, small = swept(tmp_path, policies=[control], seeds=[0]).rows
    assert figures(dense) == figures(small)
    assert small["prune_epochs"] == []


def test_it_fails_with_what_it_is_compared_with(tmp_path: Path) -> None:
    control = {"policy": "uniform", "of": {"policy": f"{__name__}:Fails"}}
    outcome = swept(tmp_path, policies=[control, "dense"], seeds=[0])
    failed, uniform, dense = outcome.rows
    assert failed["reason"].startswith("RuntimeError: no idea, in test_controls.py, line ")
    assert uniform["reason"] == f"the policy it is compared with failed: {failed['reason']}"
    assert dense["status"] == "finished"


def test_a_bad_policy_within_is_refused_by_its_field() -> None:
    sweep = Sweep.parse(changed(policies=[{"policy": "uniform", "of": {"policy": "epii"}}]))
    with pytest.raises(Exception, match=r"policies\.0\.of: unknown policy 'epii'.*did you mean"):
        sweep.trials()
    late = {**CUT, "epoch": 9}
    sweep = Sweep.parse(changed(policies=[{"policy": "uniform", "of": late}]))
    with pytest.raises(Exception, match=r"policies\.0\.epoch: 9 is not allowed"):
        sweep.trials()


def test_new_weights_are_not_the_old_ones_cut() -> None:
    task = Sweep.parse(changed()).task
    reference = Trial(task, policy({**CUT, "epoch": 0}), seed=1)
    control = Trial(task, policy({"policy": "small_from_scratch", "of": {**CUT, "epoch": 0}}), 1)
    reference.step()
    control.step()
    ours, theirs = (trial.training.model.state_dict()["0.weight"] for trial in (control, reference))
    assert ours.shape == theirs.shape
    layout = control.history.layout
    assert np.array_equal(
        layout.counts(control.records[-1].alive), layout.counts(reference.records[-1].alive)
    )
    assert not np.allclose(ours, theirs, atol=0.05)
