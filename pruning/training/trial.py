"""A trial: one policy on one task and seed, trained alone."""

from __future__ import annotations

from typing import Any

import torch

from pruning.actions import Action
from pruning.history import History, Record
from pruning.policies import Policy
from pruning.training import snapshot
from pruning.training.loop import Training
from pruning.training.summary import summarize
from pruning.training.task import Task


class Trial:
    """Trains a task to its end and prunes when the policy says so.

    Before every epoch the policy is asked; ``step`` then trains that epoch. The last record and
    ``summary`` are the result. A trial can be continued from a snapshot and its records. The policy
    that a control is compared with is trained first.
    """

    def __init__(
        self,
        task: Task,
        policy: Policy,
        seed: int = 0,
        device: torch.device | str = "cpu",
        snapshot_data: bytes | None = None,
        records: tuple[Record, ...] = (),
    ) -> None:
        self.task, self.policy, self.seed = task, policy, seed
        reference = policy.reference()
        other = Trial(task, reference, seed, device) if reference else None
        if other:
            other.run()
        probes = tuple(policy.probes())
        if snapshot_data is None:
            self.training = Training(task, seed, probes, device)
            self.training.begin()
        else:
            self.training = snapshot.resume(
                snapshot_data, task, seed, list(records), probes, device
            )

        self.training.pruner.reference = other.records[-1] if other else None

    @property
    def records(self) -> list[Record]:
        """What was measured so far, the untrained network first."""
        return self.training.pruner.records

    @property
    def actions(self) -> list[tuple[int, Action]]:
        """What was pruned so far, with the number of epochs trained before."""
        return self.training.pruner.actions

    @property
    def history(self) -> History:
        """What the policy sees."""
        return self.training.pruner.history

    @property
    def done(self) -> bool:
        """Whether the last epoch was trained."""
        return self.training.epoch_number >= self.task.epochs

    def step(self) -> Record:
        """Ask the policy, do what it says, train one epoch.

        Raises FloatingPointError if the training has diverged: there is no result.
        """
        with self.training.meter.section("decide"):
            action = self.policy.decide(self.history)
        if action:
            self.training.apply(action)
        next_one = self.training.epoch_number + 1
        asking = self.policy.asks(next_one, self.task.epochs, bool(self.actions))
        self.training.watch(self.policy.probes() if asking else ())
        record = self.training.epoch()
        if record.diverged:
            raise FloatingPointError(record.diverged)
        return record

    def run(self) -> dict[str, Any]:
        """Train to the end. Returns the summary."""
        while not self.done:
            self.step()
        return self.summary()

    def summary(self) -> dict[str, Any]:
        """The trial's figures, as ``summarize`` names them."""
        decided = sum(record.seconds.get("decide", 0.0) for record in self.records)
        prunes = [(epoch, action.warnings) for epoch, action in self.actions]
        measured = self.task.measured
        return summarize(self.records, prunes, self.policy.probes(), decided, measured)
