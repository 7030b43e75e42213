"""An entry of a sweep file, its grids walked: one policy on one task, with what is left to draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pruning.errors import InputError, one_line
from pruning.foreign import foreign
from pruning.training.task import Task
from sweeps.file.grid import expand
from sweeps.file.spaces import Space, filled, kind_of, spaces
from sweeps.file.trials import TrialSpec

if TYPE_CHECKING:
    from pruning.policies import Policy

TASK = "task:"
"""How the places of the task's spaces begin, among those of a policy."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A policy with what its spaces stand for.

    where: its name in the sweep file. policy: as written, grids walked. task: the sweep's. changes:
    of the task, by dotted name, a value or a space. place: which of the task's grid it is on.
    """

    where: str
    policy: Any
    task: Task
    changes: Mapping[str, Any] = field(default_factory=dict)
    place: int = 0
    spaces: Mapping[str, Space] = field(default_factory=dict)

    @classmethod
    def of(
        cls, where: str, policy: Any, task: Task, changes: Mapping[str, Any], place: int
    ) -> Entry:
        """Raises InputError for a space that is none."""
        try:
            found = spaces(policy, where)
            for name, part in changes.items():
                found |= {TASK + key: one for key, one in _of_task(name, part).items()}
        except ValueError as error:
            raise InputError(str(error)) from None
        return cls(where, policy, task, changes, place, found)

    @property
    def base(self) -> dict[str, Any]:
        """A value for each space."""
        return {place: space.base for place, space in self.spaces.items()}

    def outside(self) -> Iterator[dict[str, Any]]:
        """Values such that a trial which takes them takes all others, but for rules on several."""
        for place, space in self.spaces.items():
            for value in space.extremes:
                yield {**self.base, place: value}
        yield self.base

    def at(self, values: Mapping[str, Any], seed: int) -> TrialSpec:
        """The trial with these values in the place of the spaces. Raises InputError."""
        chosen = self._policy(filled(self.policy, values))
        drawn = {name: filled(part, values, TASK + name) for name, part in self.changes.items()}
        task = self._task(drawn) if drawn else self.task
        self._check(chosen, task.epochs)
        return TrialSpec(task, chosen, seed, drawn)

    def _check(self, policy: Policy, epochs: int) -> None:
        from pruning.policies.questions import ask_beforehand  # with torch: not before here

        refusal = ""
        try:
            with foreign(f"check({epochs}) fails"):
                try:
                    policy.check(epochs)
                except ValueError as error:  # as it is to refuse
                    refusal = one_line(error)
            ask_beforehand(policy, epochs)
        except ValueError as error:
            raise InputError(f"{self.where}: {error}") from None
        if refusal:
            raise InputError(f"{self.where}.{refusal}")

    def _policy(self, given: Any) -> Policy:
        from pruning.policies.registry import policy as parse_policy

        try:
            return parse_policy(given, self.where)
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"{self.where}: {error}") from None

    def _task(self, drawn: Mapping[str, Any]) -> Task:
        content = self.task.model_dump(mode="json")
        for name, value in drawn.items():
            *parents, last = name.split(".")
            place = content
            for parent in parents:
                place = place[parent]
            place[last] = value
        return Task.parse(content, "task")


def take_out(task: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The task with a value in place of each space and grid, and these by their dotted names.

    Raises ValueError for a malformed one.
    """
    varied = dict(_varied(task))
    base = {name: _first(name, part) for name, part in varied.items()}
    return filled(task, base), varied


def walk(task: Task, varied: Mapping[str, Any], policies: Sequence[Any]) -> list[Entry]:
    """Every policy, grids walked, on every task of the grid. Raises InputError."""
    try:
        tasks = expand(dict(varied), "task")
    except ValueError as error:
        raise InputError(str(error)) from None
    found = []
    for index, given in enumerate(policies):
        where = f"policies.{index}"
        try:
            options = expand(given)
        except ValueError as error:
            raise InputError(f"{where}.{error}") from None
        found += [
            Entry.of(where, option, task, changes, place)
            for place, changes in enumerate(tasks)
            for option in options
        ]
    for entry in found:
        for values in entry.outside():
            entry.at(values, 0)
    return found


def _varied(template: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, part in template.items():
        name = f"{place}.{key}" if place else str(key)
        if kind_of(part):
            yield name, part
        elif isinstance(part, Mapping):
            yield from _varied(part, name)


def _first(name: str, part: Any) -> Any:
    first = expand(part, f"task.{name}")[0]
    return filled(
        first, {place: space.base for place, space in _of_task(name, first).items()}, name
    )


def _of_task(name: str, part: Any) -> dict[str, Space]:
    """The spaces of a changed field, by dotted name."""
    return spaces({name: part}, "task")
