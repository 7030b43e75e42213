"""The sweep file: a task, seeds and policies; read, checked and turned into trials."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, field_validator

from pruning.errors import InputError, unknown
from pruning.policies import Policy
from pruning.policies.registry import policy as parse_policy
from pruning.policies.registry import specify
from pruning.settings import Settings, digest
from pruning.training.task import Task
from sweeps.grid import expand
from sweeps.results import OBJECTIVES


class Resources(Settings):
    """What one trial holds while it runs; fractions of a GPU let several trials share it."""

    cpus: Annotated[float, Field(gt=0)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0

    @property
    def devices(self) -> float:
        """Devices a trial is charged for: GPUs, or CPUs where it uses none."""
        return self.gpus or self.cpus


@dataclass(frozen=True)
class TrialSpec:
    """One policy with its settings, on one task and one seed."""

    task: Task
    policy: Policy
    seed: int

    @cached_property
    def address(self) -> str:
        """Where its results are stored: the digest of everything that determines them."""
        parts = {"task": self.task.identity(), "policy": self.setting, "seed": self.seed}
        return digest(parts)

    @cached_property
    def setting(self) -> dict[str, Any]:
        """The policy as a sweep file writes it, defaults left out."""
        return specify(self.policy)

    @property
    def shown(self) -> dict[str, Any]:
        """The policy as results show it: its ratio even where that is the default."""
        ratio = getattr(self.policy, "ratio", None)
        shown = {"policy": self.setting["policy"], "ratio": ratio, **self.setting}
        return {key: value for key, value in shown.items() if value is not None}

    @property
    def id(self) -> str:
        """A name to read and to copy: policy, address, seed."""
        name = re.sub(r"[^A-Za-z0-9_]+", "_", self.setting["policy"])
        return f"{name}-{self.address[:8]}-s{self.seed}"

    @property
    def reference(self) -> TrialSpec | None:
        """The trial that this one, a control, is compared with."""
        policy = self.policy.reference()
        return TrialSpec(self.task, policy, self.seed) if policy else None

    def to_json(self) -> dict[str, Any]:
        """What another process needs to run it."""
        task = self.task.model_dump(mode="json")
        return {"task": task, "policy": self.setting, "seed": self.seed}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrialSpec:
        """The inverse of ``to_json``."""
        return cls(Task.parse(data["task"]), parse_policy(data["policy"]), data["seed"])


class Sweep(Settings):
    """A sweep file.

    policies: each a name or a mapping ``{policy: name, field: value or {grid: [...]}}``.
    objectives: what the Pareto set is about. retries: how often in a row training that was lost
    with its worker is tried again without getting further. snapshots: which are kept: ``all``,
    those of dense training (``trunk``), ``forks`` only, or every n-th; what is missing is trained
    again when it is needed.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    task: Task
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    policies: Annotated[tuple[Any, ...], Field(min_length=1)]
    objectives: Annotated[dict[str, Literal["max", "min"]], Field(min_length=1)] = {
        "val_accuracy": "max",
        "gpu_hours": "min",
    }
    resources: Resources = Resources()
    retries: Annotated[int, Field(ge=0)] = 2
    snapshots: Literal["all", "trunk", "forks"] | Annotated[int, Field(ge=1)] = "trunk"

    @field_validator("objectives")
    @classmethod
    def _known_objectives(cls, given: dict[str, str]) -> dict[str, str]:
        for name in given:
            if name not in OBJECTIVES:
                raise ValueError(unknown("objective", name, OBJECTIVES))
        return given

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, given: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(given)) < len(given):
            raise ValueError(f"{list(given)} names a seed twice")
        return given

    def trials(self) -> list[TrialSpec]:
        """Every trial once, seed by seed, those that controls refer to before them.

        Raises InputError for a policy that does not fit.
        """
        chosen = self.chosen()
        return [TrialSpec(self.task, policy, s) for s in self.seeds for _, policy in chosen]

    def chosen(self) -> list[tuple[str, Policy]]:
        """Every policy once, with the first entry of the sweep file that asks for it.

        Raises InputError for a policy that does not fit.
        """
        chosen: dict[str, tuple[str, Policy]] = {}
        for index, entry in enumerate(self.policies):
            field = f"policies.{index}"
            for policy in self._policies(field, entry):
                for one in (*_references(policy), policy):
                    chosen.setdefault(digest(specify(one)), (field, one))
        return list(chosen.values())

    def _policies(self, field: str, entry: Any) -> list[Policy]:
        try:
            options = expand(entry)
        except ValueError as error:
            raise InputError(f"{field}.{error}") from None
        return [self._policy(field, option) for option in options]

    def _policy(self, field: str, option: Any) -> Policy:
        try:
            policy = parse_policy(option, field)
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"{field}: {error}") from None
        try:
            policy.check(self.task.epochs)
        except ValueError as error:
            raise InputError(f"{field}.{error}") from None
        return policy


def _references(policy: Policy) -> list[Policy]:
    """The policies that must have ended before this one begins, the first first."""
    reference = policy.reference()
    return [*_references(reference), reference] if reference else []


def read(path: Path, changes: Sequence[str] = ()) -> Sweep:
    """A sweep file with ``key=value`` changes applied. Raises InputError."""
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: a sweep file is a mapping with name, task and policies")
    for change in changes:
        _set(data, change)
    return Sweep.parse(data)


def _set(data: dict[str, Any], change: str) -> None:
    """Apply ``task.epochs=5`` or ``policies.1.ratio=0.3``; the value is YAML."""
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise InputError(f"--set: {change!r} is not allowed: key=value is needed")
    *parents, last = key.split(".")
    place: Any = data
    try:
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        if isinstance(place, list):
            place[int(last)] = yaml.safe_load(text)
        else:
            place[last] = yaml.safe_load(text)
    except (ValueError, IndexError, TypeError, AttributeError, yaml.YAMLError):
        raise InputError(f"--set: {change!r} leads nowhere in the sweep file") from None
