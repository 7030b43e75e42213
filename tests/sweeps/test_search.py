"""The search: what is asked for, told, and gone on with. Only the trainings are made up."""

from __future__ import annotations

import math
import random
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from sweep_files import changed

from sweeps.file.sweep import Sweep
from sweeps.file.trials import TrialSpec
from sweeps.search.points import might_be_best
from sweeps.search.searcher import IN_VAIN, Searcher
from sweeps.search.study import Study, Told

Result = dict[str, Any]
POLICIES = [
    "dense",
    {"policy": "at_epoch", "epoch": {"int": [0, 3]}, "ratio": {"uniform": [0.1, 0.9]}},
    {"policy": "gradual", "ratio": {"uniform": [0.1, 0.9]}, "end": {"choice": [0.3, 0.5]}},
]


def sweep(policies: list[Any] = POLICIES, **search: Any) -> Sweep:
    fields = {"trials": 20, "sampler": "random", **search}
    return Sweep.parse(changed(policies=policies, search=fields, seeds=[0, 1, 2]))


def study(of: Sweep, folder: Path) -> Study:
    assert of.search is not None
    search = of.search
    database = f"sqlite:///{folder}/optuna.db"
    return Study(database, "s", of.objectives, search.sampler, search.seed, search.trials)


def finished(accuracy: float, hours: float) -> Result:
    summary = {"val_accuracy": accuracy, "gpu_hours": hours}
    return {"status": "finished", "reason": "", "summary": summary}


def trade(spec: TrialSpec) -> Result:
    """The more is pruned, the cheaper and the worse; late is a bit better and dearer."""
    setting = spec.policy.model_dump()
    ratio, epoch = setting.get("ratio", 0.0), setting.get("epoch", 0)
    noise = random.Random(f"{spec.group}{spec.seed}").gauss(0, 0.005)
    return finished(0.9 - 0.3 * ratio**2 + 0.01 * epoch + noise, 2 - ratio + 0.1 * epoch)


class Play:
    """Drives a searcher as the driver does, with results at hand."""

    def __init__(
        self, of: Sweep, folder: Path, result: Callable[[TrialSpec], Result] = trade, slots: int = 3
    ) -> None:
        self.study, self.result, self.hours = study(of, folder), result, 0.0
        self.searcher = Searcher(of, self.study, lambda _: (), lambda: slots, lambda: self.hours)
        self.pending: list[TrialSpec] = [*of.trials(), *self.searcher.start()]
        self.began = [spec.address for spec in self.pending]
        self.draw = random.Random(1)
        self.widest = 0

    def run(self, ends: int = 10**6) -> int:
        """Until the search is done, or so many trials have ended; returns how many have."""
        for count in range(ends):
            self._take(self.searcher.more())
            self.widest = max(self.widest, len(self.pending))
            if not self.pending:
                assert self.searcher.done
                self.searcher.close()
                return count
            spec = self.pending.pop(self.draw.randrange(len(self.pending)))
            found = self.result(spec)
            self.hours += found["summary"].get("gpu_hours", 0.0)
            self._take(self.searcher.ended(spec, found))
        return ends

    def _take(self, new: list[TrialSpec]) -> None:
        assert not {spec.address for spec in new} & set(self.began), "begun twice"
        self.began += [spec.address for spec in new]
        self.pending += new

    @property
    def states(self) -> list[TrialState]:
        return [trial.state for trial in self.study.trials()]


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2", "nsga3", "gp"])
def test_every_sampler_is_told_of_every_trial(sampler: str, tmp_path: Path) -> None:
    play = Play(sweep(sampler=sampler, trials=14), tmp_path)
    play.run()
    assert play.states == [TrialState.COMPLETE] * 14
    for trial in play.study.trials():
        policy = trial.user_attrs["drawn"]["policy"]
        assert policy in ("at_epoch", "gradual")
        assert set(trial.user_attrs["drawn"]["values"]) == (
            {"epoch", "ratio"} if policy == "at_epoch" else {"ratio", "end"}
        )
        flat = sampler in ("nsga2", "nsga3", "gp")
        assert len(trial.params) == (5 if flat else 3)
        assert all(math.isfinite(value) for value in trial.values)


def test_the_values_told_are_means_over_seeds(tmp_path: Path) -> None:
    play = Play(sweep(seeds="all", trials=5), tmp_path)
    play.run()
    for point in play.searcher.points:
        assert [spec.seed for spec in point.begun] == [0, 1, 2]
        results = [trade(spec)["summary"] for spec in point.begun]
        told = play.study.trials()[point.number].values
        assert told == [
            pytest.approx(sum(r[name] for r in results) / 3)
            for name in ("val_accuracy", "gpu_hours")
        ]


def test_seeds_go_to_those_that_might_be_on_the_front(tmp_path: Path) -> None:
    def result(spec: TrialSpec) -> Result:
        bad = getattr(spec.policy, "ratio", 0) > 0.5  # dear and wrong
        noise = random.Random(spec.address).gauss(0, 1e-4)
        return finished(0.5 + noise, 9) if bad else trade(spec)

    play = Play(sweep(trials=24), tmp_path, result)
    play.run()
    seeds = {True: [], False: []}  # type: dict[bool, list[int]]
    for point in play.searcher.points:
        seeds[point.begun[0].policy.model_dump()["ratio"] > 0.5].append(len(point.begun))
    assert seeds[True] == [1] * len(seeds[True])
    assert seeds[True]
    assert 3 in seeds[False]


def test_a_place_is_as_sure_as_its_seeds() -> None:
    ways = {"val_accuracy": "max", "gpu_hours": "min"}
    front = {seed: [0.9 + 0.01 * seed, 1.0] for seed in (-1, 0, 1)}
    near, far = {0: [0.89, 1.0]}, {0: [0.88, 1.0]}
    assert might_be_best(near, [front], ways)  # spread 0.01, one seed: up to 0.9064
    assert not might_be_best(far, [front], ways)
    surer = {seed: [0.89 + 0.01 * seed, 1.0] for seed in (-1, 0, 1)}
    assert not might_be_best(surer, [front], ways)  # three seeds: up to 0.8995
    assert might_be_best({0: [0.1, 0.5]}, [front], ways)
    assert might_be_best(far, [], ways)


def test_no_more_at_once_than_there_is_room_for(tmp_path: Path) -> None:
    play = Play(sweep(trials=15), tmp_path, slots=4)
    play.pending.clear()
    play.run()
    assert play.widest == 4
    (tmp_path / "b").mkdir()
    play = Play(sweep(trials=8, parallel=2), tmp_path / "b", slots=7)
    play.pending.clear()
    play.run()
    assert play.widest == 2


def test_the_budget_ends_it(tmp_path: Path) -> None:
    play = Play(sweep(trials=None, gpu_hours=30.0), tmp_path)
    play.run()
    dearest = 3 * (2 + 0.3)  # what was in flight still ends, and a setting may need its seeds
    assert 30 <= play.hours < 30 + 3 * dearest
    assert set(play.states) == {TrialState.COMPLETE}


def test_a_space_that_is_used_up_ends_it(tmp_path: Path) -> None:
    only = {"policy": "at_epoch", "epoch": {"choice": [0, 1, 2]}, "ratio": 0.5}
    play = Play(sweep([only], trials=None, gpu_hours=1e6), tmp_path)
    play.run()
    assert len(set(play.began)) <= 9
    assert 3 + IN_VAIN <= len(play.states) <= 10 + IN_VAIN


def test_what_fails_or_reports_nothing_is_told_as_failed(tmp_path: Path) -> None:
    def result(spec: TrialSpec) -> Result:
        kind = random.Random(spec.group).randrange(4)
        if kind == 0:
            return {"status": "failed", "reason": "it broke", "summary": {"gpu_hours_spent": 1.0}}
        return finished(math.nan, 1.0) if kind == 1 else trade(spec)

    play = Play(sweep(trials=30), tmp_path, result)
    play.run()
    reasons = [trial.user_attrs.get("reason") for trial in play.study.trials()]
    failed = [state is TrialState.FAIL for state in play.states]
    assert set(play.states) == {TrialState.FAIL, TrialState.COMPLETE}
    assert failed == [reason is not None for reason in reasons]
    assert {"it broke", "it reported no val_accuracy"} <= set(reasons)


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2"])
def test_killed_and_begun_again_it_goes_on(sampler: str, tmp_path: Path) -> None:
    of, total, numbers = sweep(sampler=sampler), 0, []
    for ends in (7, 1, 0, 9, 10**6):
        play = Play(of, tmp_path)  # the one before is gone in the middle of what it did
        total += play.run(ends)
        numbers.append(len(play.states))
    assert play.states == [TrialState.COMPLETE] * 20
    assert numbers == sorted(numbers)
    drawn = [str(trial.user_attrs["drawn"]) for trial in play.study.trials()]
    assert len(set(drawn)) > 12, "a sampler that begins anew would draw the same again"
    assert Play(of, tmp_path).run() <= 60 + 3, "all is known: nothing is asked for"
    assert len(play.states) == 20


def test_more_trials_go_on_where_fewer_ended(tmp_path: Path) -> None:
    Play(sweep(trials=6), tmp_path).run()
    play = Play(sweep(trials=9), tmp_path)
    play.run()
    assert play.states == [TrialState.COMPLETE] * 9


def test_fields_that_do_not_go_together_fail_alone(tmp_path: Path) -> None:
    late = {"policy": "gradual", "begin": {"uniform": [0.1, 0.45]}, "end": {"uniform": [0.3, 0.7]}}
    play = Play(sweep([late], trials=25), tmp_path)
    play.run()
    reasons = [t.user_attrs["reason"] for t in play.study.trials() if "reason" in t.user_attrs]
    assert reasons
    assert all(reason.startswith("policies.0") for reason in reasons)
    assert play.states.count(TrialState.COMPLETE) == 25 - len(reasons)


def test_on_a_task_that_varies_dense_is_tried_first(tmp_path: Path) -> None:
    content = changed(policies=POLICIES, search={"trials": 12, "sampler": "tpe"})
    content["task"]["optimizer"] = {"lr": {"log_uniform": [0.01, 1.0]}}
    content["task"]["batch_size"] = {"choice": [32, 64]}
    of = Sweep.parse(content)
    assert of.trials() == []
    play = Play(of, tmp_path)
    play.run()
    first = play.study.trials()[0]
    assert first.params == {"policy": "dense", "task.optimizer.lr": 0.1, "task.batch_size": 32}
    (spec, *_) = play.searcher.points[0].begun
    assert (spec.task.optimizer.lr, spec.task.batch_size) == (0.1, 32)
    assert spec.shown == {"policy": "dense", "task.optimizer.lr": 0.1, "task.batch_size": 32}
    lrs = {point.begun[0].task.optimizer.lr for point in play.searcher.points}
    assert len(lrs) > 6
    assert Sweep.parse(of.model_dump(mode="json")).entries[0].spaces == of.entries[0].spaces


def test_a_grid_of_the_task_is_walked_whole() -> None:
    of = Sweep.parse(changed(task__batch_size={"grid": [16, 32]}, task__epochs={"grid": [4, 5]}))
    trials = of.trials()
    assert len(trials) == 4 * 2 * 4
    assert {(spec.task.batch_size, spec.task.epochs) for spec in trials} == {
        (16, 4), (16, 5), (32, 4), (32, 5)
    }  # fmt: skip
    assert len({spec.address for spec in trials}) == len(trials)


def test_while_the_database_is_away_nothing_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    play = Play(sweep(trials=8), tmp_path)
    play.run(4)
    before = [trial.state for trial in play.study.trials()]
    other = sqlite3.connect(tmp_path / "optuna.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    number = before.index(TrialState.RUNNING)
    assert play.study.ask(lambda trial: {}) is None
    assert play.study.away
    assert "training goes on" in caplog.text
    assert "database is locked" in caplog.text
    play.study.tell(number, Told(TrialState.COMPLETE, [0.5, 1.0], {"note": 1}))
    assert play.study.untold == 1
    other.execute("ROLLBACK")
    play.study.close()
    assert play.study.untold == 0
    trial = play.study.trials()[number]
    assert trial.values == [0.5, 1.0]
    assert trial.user_attrs["note"] == 1


def test_an_answer_that_was_lost_leaves_no_trial_running(tmp_path: Path) -> None:
    of = sweep(trials=5)

    def dies(trial: Any) -> Mapping[str, Any]:
        trial.suggest_float("at_epoch.ratio", 0.1, 0.9)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(of, tmp_path).ask(dies)
    play = Play(of, tmp_path)
    play.run()
    assert play.states == [TrialState.FAIL] + [TrialState.COMPLETE] * 5


def test_a_draw_whose_answer_was_lost_is_never_trained(tmp_path: Path) -> None:
    of, database = sweep(trials=6), tmp_path / "optuna.db"
    play = Play(of, tmp_path)
    play.run(2)
    asked = study(of, tmp_path).ask(play.searcher._draw)  # as if by play, then the database went
    assert asked
    database.rename(tmp_path / "elsewhere")
    assert play.study.ask(play.searcher._draw) is None
    assert play.study.away
    (tmp_path / "elsewhere").rename(database)
    time.sleep(1.1)
    play.run()
    assert play.states.count(TrialState.COMPLETE) == 6
    lost = play.study.trials()[asked[0]]
    assert lost.state is TrialState.FAIL
    assert "lost" in lost.user_attrs["reason"]
    again = Play(of, tmp_path)
    again.run()
    assert set(again.began) == set(play.began)
    assert len(again.states) == 7
