"""The search as the driver sees it: which trials to begin next, and what their ends mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, Trial, TrialState

from pruning.errors import InputError
from sweeps.file.entries import TASK, Entry
from sweeps.file.sweep import Sweep
from sweeps.file.trials import TrialSpec
from sweeps.results.rows import describe
from sweeps.search.points import Outcomes, Point, mean, might_be_best
from sweeps.search.samplers import conditional
from sweeps.search.stopping import Stopping
from sweeps.search.study import AGAIN, Study, Told, resumed
from sweeps.sharing.rider import Rider

IN_VAIN = 100
"""After so many draws in a row of what is known already the space counts as exhausted."""


class Searcher:
    """Draws settings, gives them seeds, and tells the study how they ended.

    It neither trains nor waits: ``start`` and ``more`` say which trials to begin, ``ended`` takes
    in how they went and may say more. ``stopping`` is the tree's judge, if the sweep stops trials
    early.

    course: how a rider has come along, a point an epoch, the first after one epoch. slots: how many
    trials the cluster can train at once. spent: GPU-hours so far, of all the sweep.
    """

    def __init__(
        self,
        sweep: Sweep,
        study: Study,
        course: Callable[[Rider], Sequence[Mapping[str, float]]],
        slots: Callable[[], int] = lambda: 1,
        spent: Callable[[], float] = lambda: 0.0,
    ) -> None:
        assert sweep.search is not None
        self.sweep, self.search, self.study = sweep, sweep.search, study
        self.slots, self.spent = slots, spent
        self.objectives = sweep.objectives
        self.entries = labelled([entry for entry in sweep.entries if entry.spaces])
        self.names = parameter_names(self.entries)
        self.conditional = conditional(self.search.sampler)
        self._by_key: dict[str, list[Point]] = {}
        early = self.search.early_stopping
        self.stopping = Stopping(early, sweep.objectives, course, self._by_key) if early else None
        self.points: list[Point] = []
        self.exhausted = False
        self._in_vain = 0
        self._outcomes: dict[str, dict[int, Sequence[float]]] = {}  # by setting and seed
        self._over: dict[str, str] = {}  # the reason why a trial has no outcome, "" if it has

    # What the driver asks

    @property
    def done(self) -> bool:
        """Whether nothing more will be begun, whatever comes."""
        return self._full and not self._in_flight and not self._called_back()

    def start(self) -> list[TrialSpec]:
        """The trials of a study that was begun before; a new one is given what to try first."""
        known = self.study.trials()
        if not known:
            self._suggest_plain_ones()
        after_all = resumed(known)
        return [spec for trial in known for spec in self._known(trial, trial.number in after_all)]

    @property
    def resting(self) -> list[TrialSpec]:
        """The trials that are paused."""
        return [s for point in self.points for s in point.begun if s.address in point.paused]

    def more(self) -> list[TrialSpec]:
        """What there is room for now: paused trials that look better by now, then new ones."""
        found: list[TrialSpec] = []
        while self._in_flight < (self.search.parallel or self.slots()):
            back = self._called_back()
            if back:
                found += [spec for spec in back.begun if spec.address in back.paused]
                for key in list(back.paused):
                    self._wake(key)
            elif self._full or not self._ask(found):
                break
        return found

    def ended(self, spec: TrialSpec, result: Mapping[str, Any]) -> list[TrialSpec]:
        """How any trial of the sweep went; returns trials on more seeds."""
        # All objectives or none: told of some, Optuna refuses, and the trial would run for ever.
        summary = result.get("summary") or {}
        values = [summary.get(name) for name in self.objectives]
        lacking = [
            name
            for name, value in zip(self.objectives, values, strict=True)
            if value is None or not math.isfinite(value)
        ]
        if result["status"] != "finished":
            self._over[spec.address] = str(result["reason"]) or str(result["status"])
        elif lacking:
            self._over[spec.address] = f"it reported no {lacking[0]}"
        else:
            self._over[spec.address] = ""
            self._outcomes.setdefault(spec.group, {})[spec.seed] = [float(v or 0) for v in values]
        self._wake(spec.address)
        return [new for point in self._by_key.get(spec.address, ()) for new in self._settle(point)]

    def close(self) -> None:
        """Tell what is left to tell; paused trials end as pruned, and may be called back later."""
        for point in self.points:
            if point.paused and not point.ended:
                rungs = {key: self.stopping.rungs(key) for key in point.paused if self.stopping}
                self.study.tell(
                    point.number,
                    Told(TrialState.PRUNED, None, {**self._notes(point), "rungs": rungs}),
                )
        self.study.close()

    # Points

    def pause(self, key: str) -> None:
        """A trial was paused."""
        for point in self._by_key[key]:
            point.paused.add(key)

    def _wake(self, key: str) -> None:
        """A trial is paused no longer, for all points that have it."""
        for point in self._by_key.get(key, ()):
            point.paused.discard(key)

    @property
    def _full(self) -> bool:
        trials, hours = self.search.trials, self.search.gpu_hours
        used_up = hours is not None and self.spent() >= hours
        return self.exhausted or used_up or (trials is not None and len(self.points) >= trials)

    @property
    def _in_flight(self) -> int:
        return sum(not point.ended and not point.paused for point in self.points)

    def _called_back(self) -> Point | None:
        for point in self.points:
            if point.paused and not (self.stopping and any(map(self.stopping.out, point.paused))):
                return point
        return None

    def _ask(self, found: list[TrialSpec]) -> bool:
        """Begin a new point, if the study answers."""
        asked = self.study.ask(self._draw)
        if asked is None:
            return False
        number, drawn = asked
        point = Point(number, self.entries[drawn["policy"]], drawn["values"])
        self.points.append(point)
        every = self.search.seeds == "all"
        new = self._begin(point, self.sweep.seeds if every else self.sweep.seeds[:1])
        found += new
        self._in_vain = 0 if new else self._in_vain + 1
        self.exhausted = self._in_vain >= IN_VAIN
        return True

    def _draw(self, trial: Trial) -> dict[str, Any]:
        label = trial.suggest_categorical("policy", list(self.entries))
        values = {}
        for other, entry in self.entries.items():
            # Genetic and GP samplers learn only from parameters that every trial has.
            if other == label or not self.conditional:
                for place, space in entry.spaces.items():
                    value = space.suggest(trial, self.names[other, place])
                    if other == label:
                        values[place] = value
        return {"policy": label, "values": values}

    def _begin(self, point: Point, seeds: Sequence[int]) -> list[TrialSpec]:
        """The trials of these seeds that are new to the sweep."""
        try:
            specs = [point.entry.at(point.values, seed) for seed in seeds]
        except InputError as error:  # fields that do not go together
            self._tell(point, Told(TrialState.FAIL, None, {"reason": str(error)}))
            return []
        point.begun += specs
        new = []
        for spec in specs:
            if spec.address not in self._by_key and spec.address not in self._over:
                new.append(spec)
            others = self._by_key.setdefault(spec.address, [])
            if any(spec.address in other.paused for other in others):
                point.paused.add(spec.address)
            others.append(point)
        return new + self._settle(point)

    def _settle(self, point: Point) -> list[TrialSpec]:
        """Tell the study, or go on with another seed, once all of a point's trials have ended."""
        if point.ended or any(spec.address not in self._over for spec in point.begun):
            return []
        outcomes = self._outcomes.get(point.begun[0].group, {})
        left = [seed for seed in self.sweep.seeds if seed not in {s.seed for s in point.begun}]
        if left and outcomes and self._wants_more(point, outcomes):
            return self._begin(point, left[:1])
        if outcomes:
            self._tell(point, Told(TrialState.COMPLETE, mean(outcomes), self._notes(point)))
        else:
            reason = next(self._over[spec.address] for spec in point.begun)
            notes = {**self._notes(point), "reason": reason}
            self._tell(point, Told(TrialState.FAIL, None, notes))
        return []

    def _wants_more(self, point: Point, outcomes: Outcomes) -> bool:
        group = point.begun[0].group
        others = [found for name, found in self._outcomes.items() if name != group]
        return might_be_best(outcomes, others, self.objectives)

    def _tell(self, point: Point, told: Told) -> None:
        point.ended = True
        self.study.tell(point.number, told)

    def _notes(self, point: Point) -> dict[str, Any]:
        return {
            "settings": describe({"policy": "", **point.begun[0].shown}),
            "seeds": [spec.seed for spec in point.begun],
            "trials": [spec.id for spec in point.begun],
        }

    # A study that was begun before

    def _known(self, trial: FrozenTrial, after_all: bool) -> list[TrialSpec]:
        drawn = trial.user_attrs.get("drawn")
        if not drawn or AGAIN in trial.user_attrs or drawn["policy"] not in self.entries:
            return []
        point = Point(trial.number, self.entries[drawn["policy"]], drawn["values"])
        self.points.append(point)
        point.ended = after_all or trial.state in (TrialState.COMPLETE, TrialState.FAIL)
        self.study.adopt(trial.number)
        new = self._begin(point, trial.user_attrs.get("seeds") or self.sweep.seeds[:1])
        rungs: Mapping[str, Any] = trial.user_attrs.get("rungs", {})
        if trial.state is TrialState.PRUNED and self.stopping and not after_all:
            for key, values in rungs.items():
                point.paused.add(key)
                self.stopping.restore(key, values)
        return [spec for spec in new if spec.address not in point.paused]

    def _suggest_plain_ones(self) -> None:
        """Policies without spaces of their own, dense above all, are tried on the middle task."""
        for label, entry in self.entries.items():
            if all(place.startswith(TASK) for place in entry.spaces):
                values = {
                    self.names[label, place]: space.label(space.base)
                    for place, space in entry.spaces.items()
                }
                self.study.enqueue({"policy": label, **values})


def labelled(entries: Sequence[Entry]) -> dict[str, Entry]:
    """Entries by a name that tells them apart: the policy's, with what is fixed if need be."""
    found: dict[str, Entry] = {}
    for entry in entries:
        setting = {"policy": entry.policy} if isinstance(entry.policy, str) else entry.policy
        fixed = {k: v for k, v in {**setting, **entry.changes}.items() if _plain(v)}
        names = [str(setting["policy"])]
        names.append(f"{names[0]} {describe(fixed)}".strip())
        names += [f"{names[1]} #{number}" for number in range(2, len(entries) + 2)]
        found[next(name for name in names if name not in found)] = entry
    return found


def parameter_names(entries: Mapping[str, Entry]) -> dict[tuple[str, str], str]:
    """What the study calls each space: those of the task are one parameter for all policies."""
    names: dict[tuple[str, str], str] = {}
    for label, entry in entries.items():
        for place, space in entry.spaces.items():
            shared = place.startswith(TASK) and all(
                other.spaces.get(place) == space for other in entries.values()
            )
            plain = place.replace(TASK, "task.")
            names[label, place] = plain if shared else f"{label}.{plain}"
    return names


def _plain(value: Any) -> bool:
    return isinstance(value, bool | int | float | str)
