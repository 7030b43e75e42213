"""What a report shows, gathered from a storage that is only read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from dashboards.measure import Measure
from pruning.errors import InputError
from pruning.policies import Policy
from pruning.policies.registry import policy as parse_policy
from pruning.structure.layout import Bools, Layout
from sweeps.judging.savings import family, is_control
from sweeps.judging.standing import Standing, standing
from sweeps.judging.table import read_rows
from sweeps.planning.plan import Reading
from sweeps.results.quality import Quality
from sweeps.results.rows import Row, by_setting, mean, metrics_of, short_names
from sweeps.sharing.rider import State
from sweeps.storage.store import Store

Group = list[Row]
"""The trials of one policy and settings: its seeds."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A trial: its row, where it went, and when it ended (seconds since 1970, None if unknown).

    state: None where nothing is remembered. summary: all figures it ended with.
    """

    row: Row
    state: State | None = None
    ended: float | None = None
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether it has come to the end of its training."""
        return bool(self.row["status"] == "finished")


@dataclass(frozen=True)
class Content:
    """A sweep as a report shows it.

    config: the sweep file. device: ``GPU`` or ``CPU``, whose hours are meant. made: when, UTC.
    """

    name: str
    objectives: dict[str, str]
    config: dict[str, Any]
    trials: list[Trial]
    store: Reading
    made: datetime

    @cached_property
    def rows(self) -> list[Row]:
        """A row a trial."""
        return [trial.row for trial in self.trials]

    @property
    def quality(self) -> Quality:
        """The task's first metric."""
        return Quality.among(self.rows)

    @property
    def val(self) -> Measure:
        """How its quality on the validation split is written."""
        return Measure(self.quality.val)

    @property
    def test(self) -> Measure:
        """On the test split."""
        return Measure(self.quality.test)

    @property
    def judged(self) -> list[Measure]:
        """All metrics of the task, on both splits."""
        names = metrics_of(self.rows)
        return [Measure(f"{split}_{name}") for split in ("val", "test") for name in names]

    @cached_property
    def groups(self) -> list[Group]:
        """The settings of which at least one seed has finished, each with those seeds."""
        quality = self.quality
        figures = {quality.val, quality.test, "gpu_hours", *self.objectives}
        done = [
            row
            for row in self.rows
            if row["status"] == "finished" and all(row[name] is not None for name in figures)
        ]
        return list(by_setting(done).values())

    @cached_property
    def families(self) -> dict[str, bool]:
        """The families of policies in the order of the sweep, and whether each is a control."""
        return {family(row): is_control(row) for row in self.rows}

    @property
    def dense(self) -> Group:
        """The seeds of dense training that have finished; of several variants the best."""
        found = [group for group in self.groups if group[0]["policy"] == "dense"]
        return best_setting(found) if found else []

    @cached_property
    def short(self) -> dict[tuple[str, str], str]:
        """A setting in a few words: its policy and those settings in which the policy's differ."""
        return short_names(self.rows)

    @cached_property
    def standing(self) -> Standing:
        """Its front, hypervolume, savings and gains."""
        return standing(self.rows, self.objectives, self.config.get("reference"))

    @property
    def device(self) -> str:
        """Whose hours are meant."""
        return "GPU" if (self.config.get("resources") or {}).get("gpus") else "CPU"

    def layout(self, trial: Trial) -> Layout | None:
        """The layers of a trial's dense network; None if the untrained network's record is gone."""
        line = self._line(trial)
        if not line:
            return None
        trunk = line[0][0]
        if trunk not in self._layouts:
            stored = self.store.record(trunk, 0)
            self._layouts[trunk] = stored.layout if stored else None
        return self._layouts[trunk]

    @cached_property
    def class_names(self) -> tuple[str, ...] | None:
        """What the outputs of its networks stand for, as far as that is stored and one for all."""
        trunks = {line[0][0] for trial in self.trials if (line := self._line(trial))}
        found = {stored.class_names for path in trunks if (stored := self.store.record(path, 0))}
        return found.pop() if len(found) == 1 else None

    @cached_property
    def _layouts(self) -> dict[str, Layout | None]:
        return {}

    def places(self, trials: Iterable[Trial]) -> set[tuple[str, int]]:
        """The distinct epochs of training that these trials stand on, as far as that is known."""
        found: set[tuple[str, int]] = set()
        for trial in trials:
            found |= {place for place in self._course(trial) if place[1] > 0}
        return found

    def alive(self, trial: Trial) -> list[tuple[int, Bools]] | None:
        """From which epoch on which units were there, bool [units]; None if that is gone.

        What is alive changes at cuts alone, so only the epochs after them are read.
        """
        course = self._course(trial)
        if not course or trial.state is None:
            return None
        found: list[tuple[int, Bools]] = []
        after = [turn.epoch + 1 for turn in trial.state.turns]
        for epoch in [0, *(epoch for epoch in after if epoch < len(course))]:
            stored = self.store.record(*course[epoch])
            if stored is None:
                return None
            found.append((epoch, stored.record.alive))
        return found

    def _course(self, trial: Trial) -> list[tuple[str, int]]:
        """The path that holds each epoch from 0 to the last; empty if that is not known."""
        places: list[tuple[str, int]] = []
        for owner, end in self._line(trial):
            last = trial.state.epoch if trial.state and end < 0 else end
            places += [(owner, epoch) for epoch in range(len(places), last + 1)]
        return places

    def _line(self, trial: Trial) -> list[tuple[str, int]]:
        """The paths it went along; empty if they are not known, or of a version not read here."""
        with suppress(InputError):
            return (self.store.line(trial.state.path) if trial.state else None) or []
        return []


def gather(store: Store, name: str) -> Content:
    """All that a sweep's report is made of. Raises InputError if there is no such sweep."""
    reading = Reading(store.files)
    sweep = reading.read_sweep(name)
    trials = []
    for described, row in zip(sweep["trials"], read_rows(reading, name), strict=True):
        known = reading.trial(described["key"]) or {}
        state = State.from_json(known["state"]) if "state" in known else None
        trials.append(Trial(row, state, known.get("ended"), known.get("summary") or {}))
    return Content(
        sweep["name"], sweep["objectives"], sweep["config"], trials, reading, datetime.now(UTC)
    )


def policy_of(row: Row) -> Policy | None:
    """A row's policy; None where it is one of the user's own that cannot be imported here."""
    own = {key: part for key, part in row["setting"].items() if not key.startswith("task.")}
    with suppress(Exception):
        return parse_policy(own)
    return None


def best_setting(groups: Iterable[Group]) -> Group:
    """Of some settings that with the best quality on the validation split."""

    def goodness(group: Group) -> float:
        quality = Quality.among(group)
        found = quality.sign * mean(group, quality.val)
        return -math.inf if math.isnan(found) else found

    return max(groups, key=goodness)


def versions() -> dict[str, str]:
    """Of what makes the report; the trainings may have been made by others."""
    found = {}
    for package in ("earlyprune", "torch", "plotly"):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
