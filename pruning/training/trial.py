"""A trial: one policy on one task and seed, trained alone."""

from __future__ import annotations

from typing import Any

import torch

from pruning.history import History, Record
from pruning.policies import Policy, Prune
from pruning.training import snapshot
from pruning.training.loop import Training
from pruning.training.task import Task


class Trial:
    """Trains a task to its end and prunes when the policy says so.

    Before every epoch the policy is asked; ``step`` then trains that epoch. The last record and
    ``summary`` are the result. A trial can be continued from a snapshot and its records.
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
        probes = tuple(policy.probes())
        if snapshot_data is None:
            self.training = Training(task, seed, probes, device)
            self.training.begin()
        else:
            self.training = snapshot.resume(
                snapshot_data, task, seed, list(records), probes, device
            )

    @property
    def records(self) -> list[Record]:
        """What was measured so far, the untrained network first."""
        return self.training.pruner.records

    @property
    def actions(self) -> list[tuple[int, Prune]]:
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
        """Ask the policy, do what it says, train one epoch."""
        with self.training.meter.section("decide"):
            action = self.policy.decide(self.history)
        if action:
            self.training.apply(action)
        return self.training.epoch()

    def run(self) -> dict[str, Any]:
        """Train to the end. Returns the summary."""
        while not self.done:
            self.step()
        return self.summary()

    def summary(self) -> dict[str, Any]:
        """The trial's figures under the names of the results' columns.

        Fractions, seconds; macs of one sample; train_flops by the convention that a backward pass
        costs twice a forward pass and a multiply-accumulate is two operations.
        """
        network, last = self.training.pruner.network, self.records[-1]
        seconds: dict[str, float] = {}
        for record in self.records:
            for section, spent in record.seconds.items():
                seconds[section] = seconds.get(section, 0.0) + spent
        probes = sum(spent for section, spent in seconds.items() if section.startswith("probe:"))
        return {
            "prune_epochs": [epoch for epoch, _ in self.actions],
            "sparsity": network.sparsity,
            "unit_sparsity": network.unit_sparsity,
            "params": last.costs["params"],
            "macs": last.costs["macs"],
            "train_flops": sum(6 * r.costs["macs"] * r.costs["samples"] for r in self.records),
            "val_accuracy": last.metrics["val_accuracy"],
            "test_accuracy": last.test["test_accuracy"],
            "train_seconds": seconds.get("train", 0.0),
            "probe_seconds": probes,
            "decide_seconds": seconds.get("decide", 0.0),
            "total_seconds": sum(seconds.values()),
            "warnings": [warning for _, action in self.actions for warning in action.warnings],
        }
