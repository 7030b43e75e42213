"""The sweep file: a task, seeds and policies; read, checked and turned into trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationInfo, field_validator, model_validator

from pruning.errors import InputError, unknown
from pruning.names import import_from
from pruning.settings import Settings, digest
from pruning.training.task import Task
from sweeps.file.entries import Entry, take_out, walk
from sweeps.file.search import Search
from sweeps.file.trials import TrialSpec
from sweeps.results.rows import curves, objectives
from sweeps.sharing.resources import Resources

if TYPE_CHECKING:
    from pruning.policies import Policy


def usual_objectives(task: Task) -> dict[str, Literal["max", "min"]]:
    """The task's first metric on the validation split, and the cost."""
    name, way = next(iter(task.measured.items()))
    return {f"val_{name}": way, "gpu_hours": "min"}


class Sweep(Settings):
    """A sweep file.

    policies: each a name or a mapping ``{policy: name, field: value or space}``. In place of
    any value in them and in ``task`` may stand ``{grid: [...]}`` or a space that ``search``
    samples. objectives: what the Pareto set is about, by default the task's first metric and
    the cost. reference: the point that the hypervolume is measured from, a value an objective;
    by default the worst of each. retries: how often in a row training that was lost with its
    worker is tried again without getting further. snapshots: which are kept: ``all``, those of
    dense training (``trunk``), ``forks`` only, or every n-th; what is missing is trained again
    when it is needed. varied: the spaces that stood in ``task``, by dotted name; the task has a
    middle value in their place.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    task: Task
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    policies: Annotated[tuple[Any, ...], Field(min_length=1)]
    search: Search | None = None
    objectives: Annotated[dict[str, Literal["max", "min"]], Field(min_length=1)] = Field(
        default_factory=lambda known: usual_objectives(known["task"])
    )
    reference: dict[str, float] | None = None
    resources: Resources = Resources()
    retries: Annotated[int, Field(ge=0)] = 2
    snapshots: Literal["all", "trunk", "forks"] | Annotated[int, Field(ge=1)] = "trunk"
    varied: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _take_out_spaces(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or not isinstance(data.get("task"), Mapping):
            return data
        task, varied = take_out(data["task"])
        return {**data, "task": task, "varied": varied} if varied else data

    @field_validator("objectives")
    @classmethod
    def _known_objectives(cls, given: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if "task" not in info.data:  # which is told first
            return given
        allowed = objectives(info.data["task"].measured)
        for name in given:
            if name not in allowed:
                raise ValueError(unknown("objective", name, allowed))
        return given

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, given: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(given)) < len(given):
            raise ValueError(f"{list(given)} names a seed twice")
        return given

    @field_validator("policies", mode="before")
    @classmethod
    def _a_list(cls, given: Any) -> Any:
        if isinstance(given, list | tuple) and given:
            return given
        raise ValueError(f"{given!r} is not allowed: a list of policies is needed, as [dense, epi]")

    @model_validator(mode="after")
    def _reference_fits(self) -> Sweep:
        if self.reference is not None and set(self.reference) != set(self.objectives):
            raise ValueError(
                f"reference: {self.reference} is not allowed: a value for each objective "
                f"({', '.join(self.objectives)})"
            )
        return self

    @model_validator(mode="after")
    def _early_stopping_has_figures(self) -> Sweep:
        if self.search and self.search.early_stopping:
            known = curves(self.task.measured)
            for name in self.objectives:
                if name not in known:
                    raise ValueError(
                        f"search.early_stopping: objective {name!r} is known only at the end of a "
                        f"training (allowed: {', '.join(known)})"
                    )
        return self

    @cached_property
    def entries(self) -> list[Entry]:
        """Every policy of the file on every task of the file, grids walked.

        Raises InputError for what does not fit, and for spaces without a search or a search without
        spaces.
        """
        found = walk(self.task, self.varied, self.policies)
        sampled = [f"{entry.where}.{place}" for entry in found for place in entry.spaces]
        for entry in found:
            if entry.changes:
                self._has_the_metrics_of(entry)
        if sampled and self.search is None:
            place = sampled[0].replace("task:", "task.")
            raise InputError(
                f"search: missing; {place} is to be sampled, which needs for example "
                "search: {sampler: tpe, trials: 50}"
            )
        if self.search and not sampled:
            raise InputError(
                "search: nothing in task or policies is to be sampled (allowed: {choice: [...]}, "
                "{uniform: [low, high]}, {log_uniform: [low, high]}, {int: [low, high]})"
            )
        return found

    def _has_the_metrics_of(self, entry: Entry) -> None:
        for values in entry.outside():
            if entry.at(values, 0).task.measured != self.task.measured:
                raise InputError(
                    "task.metrics: differ within the sweep, so that its trials cannot be compared; "
                    "name them where the loss varies"
                )

    def kept_in(self, study: str) -> Sweep:
        """This sweep with its search in another database. Raises InputError if it has none."""
        if self.search is None:
            raise InputError("--study: is for a sweep with a search, which this file has not")
        search = self.search.model_copy(update={"study": study})
        return self.model_copy(update={"search": search})

    def trials(self) -> list[TrialSpec]:
        """Every trial that is known beforehand once: task by task, seed by seed.

        Those that controls refer to stand before them. Raises InputError for what does not fit.
        """
        found: dict[str, TrialSpec] = {}
        fixed = [entry for entry in self.entries if not entry.spaces]
        tasks = dict.fromkeys(entry.place for entry in fixed)
        for place in tasks:
            for seed in self.seeds:
                for entry in fixed:
                    if entry.place == place:
                        for spec in entry.at({}, seed).line():
                            found.setdefault(spec.address, spec)
        return list(found.values())

    def examples(self) -> list[tuple[str, Task, Policy]]:
        """For each entry of the file the tasks and policies it may come to at the outside.

        Raises InputError for the first that does not fit.
        """
        found: dict[str, tuple[str, Task, Policy]] = {}
        for entry in self.entries:
            for values in entry.outside():
                for spec in entry.at(values, self.seeds[0]).line():
                    name = digest([spec.task.identity(), spec.setting])
                    found.setdefault(name, (entry.where, spec.task, spec.policy))
        return list(found.values())


def read(path: Path, changes: Sequence[str] = ()) -> Sweep:
    """A sweep file with ``key=value`` changes applied. Raises InputError.

    Its folder is searched for code that it names, as that of a script is.
    """
    try:
        text = path.read_text()
        _no_name_twice(yaml.compose(text, yaml.SafeLoader))
        data = yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: a sweep file is a mapping with name, task and policies")
    for change in changes:
        _set(data, change)
    import_from(str(path.resolve().parent))
    return Sweep.parse(data)


def _no_name_twice(node: yaml.Node | None, place: str = "") -> None:
    """YAML itself would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        known: set[str] = set()
        for key, value in node.value:
            name = f"{place}.{key.value}" if place else str(key.value)
            if name in known:
                line = key.start_mark.line + 1
                raise InputError(f"{name}: stands here twice (the second time in line {line})")
            known.add(name)
            _no_name_twice(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _no_name_twice(value, f"{place}.{index}")


_FIRST = {
    **dict.fromkeys("model optimizer schedule loss matrices filters vectors".split(), "name"),
    **dict.fromkeys("metrics saliency sampler".split(), "name"),
    **{"data": "source", "augment": "transform", "policies": "policy", "of": "policy"},
}
"""What a name alone stands for, in a field or in a list of it."""


def _written_out(given: Any, field: str) -> dict[str, Any]:
    """A short form as the mapping that it is short for. Raises ValueError for what is none."""
    if given is None or (field == "early_stopping" and isinstance(given, bool)):
        return {}
    if isinstance(given, str) and field in _FIRST:
        return {_FIRST[field]: given}
    raise ValueError(f"{field} has no fields")


def _set(data: dict[str, Any], change: str) -> None:
    """Apply ``task.epochs=5`` or ``policies.1.ratio=0.3``; the value is YAML.

    A short form on the way is written out: ``data: digits`` becomes ``data: {source: digits}``.
    """
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise InputError(f"--set: {change!r} is not allowed: key=value is needed")
    *parents, last = key.split(".")
    place: Any = data
    above = ""
    try:
        for part in parents:
            inner = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
            if not isinstance(inner, dict | list):
                inner = _written_out(inner, above if part.isdecimal() else part)
                place[int(part) if isinstance(place, list) else part] = inner
            place, above = inner, part
        if isinstance(place, list):
            place[int(last)] = yaml.safe_load(text)
        else:
            place[last] = yaml.safe_load(text)
    except (ValueError, IndexError, TypeError, AttributeError, yaml.YAMLError):
        raise InputError(f"--set: {change!r} leads nowhere in the sweep file") from None
