"""A trial: what a user compares. One MLflow run, one row of the results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pruning.settings import digest
from pruning.training.task import Task

if TYPE_CHECKING:  # torch takes seconds to import, and a file may be refused before
    from pruning.policies import Policy


@dataclass(frozen=True)
class TrialSpec:
    """One policy with its settings, on one task and one seed.

    drawn: fields of the task that differ between the sweep's trials, by dotted name.
    """

    task: Task
    policy: Policy
    seed: int
    drawn: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @cached_property
    def address(self) -> str:
        """Where its results are stored: the digest of everything that determines them."""
        parts = {"task": self.task.identity(), "policy": self.setting, "seed": self.seed}
        return digest(parts)

    @cached_property
    def group(self) -> str:
        """Equal for the trials of one policy and task on several seeds."""
        return digest({"task": self.task.identity(), "policy": self.setting})

    @cached_property
    def setting(self) -> dict[str, Any]:
        """The policy as a sweep file writes it, defaults left out."""
        from pruning.policies.registry import specify

        return specify(self.policy)

    @property
    def shown(self) -> dict[str, Any]:
        """The policy as results show it: its ratio, or its aim, even where that is the default.

        With the fields of the task that vary, as ``task.batch_size``.
        """
        ratio = None if getattr(self.policy, "aim", None) else getattr(self.policy, "ratio", None)
        shown = {"policy": self.setting["policy"], "ratio": ratio, **self.setting}
        drawn = {f"task.{name}": value for name, value in self.drawn.items()}
        return {key: value for key, value in shown.items() if value is not None} | drawn

    @property
    def id(self) -> str:
        """A name to read and to copy: policy, address, seed."""
        name = re.sub(r"[^A-Za-z0-9_]+", "_", self.setting["policy"])
        return f"{name}-{self.address[:8]}-s{self.seed}"

    @cached_property
    def reference(self) -> TrialSpec | None:
        """The trial that this one, a control, is compared with."""
        policy = self.policy.reference()
        return replace(self, policy=policy) if policy else None

    def line(self) -> list[TrialSpec]:
        """This trial and those that must have ended before it begins, the first first."""
        reference = self.reference
        return [*(reference.line() if reference else ()), self]
