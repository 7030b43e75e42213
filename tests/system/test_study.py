"""A search killed in the middle goes on with its study, which optuna-dashboard shows as it is."""

from __future__ import annotations

import re
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from browser import Sight, browser_page
from optuna.trial import TrialState
from processes import below, gone
from serving import serving
from sweeping import Sweeping, check_study, patient, results, studied, tracked

pytestmark = pytest.mark.timeout(900)

EPOCHS, TRIALS = 3, 9
WAYWARD = '''
from typing import ClassVar

from pruning import History, Policy, Prune


class Sometimes(Policy):
    """Fails after an epoch where its setting is large."""

    name: ClassVar[str] = "sometimes"
    level: float

    def decide(self, history: History) -> Prune | None:
        if history.epoch == 1 and self.level > 0.5:
            raise ArithmeticError("too large")
        return None


class Never(Policy):
    """Fails before there is a figure."""

    name: ClassVar[str] = "never"
    level: float

    def decide(self, history: History) -> Prune | None:
        raise KeyError("<b>nothing</b>")
'''
SWEEP: dict[str, Any] = {
    "name": "killed",
    "task": patient(EPOCHS, 0.04, train_limit=512),
    "seeds": [0, 1],
    "policies": [
        "dense",
        {"policy": "at_epoch", "epoch": 1, "ratio": {"uniform": [0.2, 0.8]}},
        {"policy": "wayward:Sometimes", "level": {"uniform": [0.0, 1.0]}},
        {"policy": "wayward:Never", "level": {"uniform": [0.0, 1.0]}},
    ],
    "search": {"sampler": "random", "trials": TRIALS, "seeds": "front", "seed": 1},
}


@pytest.fixture(scope="module")
def killed(
    start: Callable[..., Sweeping], tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    """Begun, killed with its Ray, and run again to the end."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "wayward.py").write_text(WAYWARD)
    storage, uri = folder / "storage", f"sqlite:///{folder}/mlflow.db"
    database = storage / "optuna.db"
    first = start(folder, SWEEP, storage, uri)
    while not (told := states(database))["COMPLETE"] or not told["RUNNING"]:
        assert first.running, first.said
        time.sleep(0.1)
    family = list(below(first.process.pid))
    first.kill()
    assert gone(family, 30)
    address = f"sqlite:///{database}"
    (name,) = optuna.get_all_study_names(address)
    before = studied(address, "killed")
    start(folder, SWEEP, storage, uri).finish(code=1)
    return SimpleNamespace(storage=storage, uri=uri, address=address, name=name, before=before)


def states(database: Path) -> Counter[str]:
    """How many trials the study has in each state; none before there is one."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return Counter(state for (state,) in connection.execute("SELECT state FROM trials"))
    except sqlite3.OperationalError:
        return Counter()


def test_it_goes_on_with_the_same_study(killed: SimpleNamespace) -> None:
    assert "RUNNING" in {trial.state.name for trial in killed.before}
    assert len(killed.before) < TRIALS
    assert optuna.get_all_study_names(killed.address) == [killed.name]
    trials = studied(killed.address, "killed")
    check_study(trials, results(killed.storage, "killed"), TRIALS)
    for old, new in zip(killed.before, trials, strict=False):
        assert (new.number, new.params) == (old.number, old.params)
        if old.state.is_finished():
            assert new == old
    failed = [t for t in trials if t.state is TrialState.FAIL and t.user_attrs["drawn"]]
    reasons = {trial.user_attrs["reason"] for trial in failed}
    assert len(reasons) == 2
    assert any("too large" in reason for reason in reasons)
    assert any("<b>nothing</b>" in reason for reason in reasons)


def test_mlflow_has_a_run_a_trial(killed: SimpleNamespace) -> None:
    runs, rows = tracked(killed.uri, "killed"), results(killed.storage, "killed")
    parent = runs.pop("the sweep")
    assert parent["status"] == "FINISHED"
    assert {"hypervolume", "saved_at_drop_0", "gained_at_share_1"} <= set(parent["metrics"])
    assert set(runs) == {row["trial"] for row in rows}
    for row in rows:
        run = runs[row["trial"]]
        assert run["status"] == ("FINISHED" if row["status"] == "finished" else "FAILED")
        points = run["curves"].get("val_accuracy", [])
        assert len(set(points)) == len({step for step, _ in points})
        if row["status"] == "finished":
            assert {step for step, _ in points} == set(range(1, EPOCHS + 1))


@pytest.fixture
def dashboard(killed: SimpleNamespace) -> Iterator[tuple[str, Sight]]:
    """The address of the study's pages, and a browser."""
    command = [str(Path(sys.executable).parent / "optuna-dashboard"), killed.address]
    with serving(command, "/dashboard/") as server, browser_page(height=1400, local=True) as sight:
        yield f"{server}/dashboard/studies/1", sight
        assert (sight.errors, sight.blocked, sight.dialogs) == ([], [], [])


def test_optuna_dashboard_shows_it(killed: SimpleNamespace, dashboard: tuple[str, Sight]) -> None:
    address, sight = dashboard
    page = sight.page
    page.goto(address)
    page.get_by_text(f"{killed.name} (id=1)").wait_for()
    page.get_by_text("Pareto Front").wait_for()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()

    trials = studied(killed.address, "killed")
    page.goto(f"{address}/trials")
    page.get_by_text(f"{len(trials)} Trials").wait_for()
    listed = page.locator(".MuiListItemButton-root", has_text=re.compile(r"Trial \d"))
    said = Counter(line for text in listed.all_inner_texts() for line in text.split("\n")[1:])
    assert said.pop("Best Trial")
    assert said == Counter(trial.state.name.capitalize() for trial in trials)
    assert "Running" not in page.locator("body").inner_text()
    for trial in trials:
        if trial.state is TrialState.FAIL:
            listed.nth(trial.number).click()
            page.get_by_role("heading", name=f"Trial {trial.number} ").wait_for()
            assert trial.user_attrs["reason"] in page.locator("body").inner_text()
