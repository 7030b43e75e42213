"""All runs of the GPU benchmark within a budget of time; a run that fails is a row."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.gpu_measure import Line, OutOfTimeError, run
from benchmarks.gpu_plan import LEAST_EPOCHS, Plan, policies
from pruning import Policy
from pruning.training.loop import Training
from pruning.training.task import Task

Row = dict[str, Any]
MARGIN = 1.15
"""How much longer than calibrated a run may take before the number of epochs is too high."""
PATIENCE = 1.3
"""How much more than its share of the time left one run may take before it is stopped."""


@dataclass(frozen=True)
class Runs:
    """The runs of a plan.

    deadline: of time.perf_counter(). log: gets every epoch. done: gets every run's row when it
    ends. epochs: of every training; as many as the time allows if None.
    """

    plan: Plan
    seed: int
    device: torch.device
    deadline: float
    log: Callable[[Line], None]
    done: Callable[[Row], None]
    epochs: int | None = None

    def all(self) -> list[Row]:
        """Calibrate every network and train its policies. Returns the calibrations."""
        calibrations = []
        for place, network in enumerate(self.plan.networks):
            now = time.perf_counter()
            until = now + (self.deadline - now) / (len(self.plan.networks) - place)
            try:
                found = calibrate(self.plan, network, self.seed, self.device, until, self.epochs)
            except Exception as error:
                found = {"epochs": self.epochs or LEAST_EPOCHS, "error": reason(error)}
            calibrations.append({"network": network, **found})
            chosen = policies(found["epochs"])
            for number, (name, policy) in enumerate(chosen.items()):
                now = time.perf_counter()
                stop = now + PATIENCE * (until - now) / (len(chosen) - number)
                task = self.plan.task(network, found["epochs"])
                self.done(self.one(task, name, policy, min(stop, self.deadline)))
        return calibrations

    def one(self, task: Task, name: str, policy: Policy, deadline: float) -> Row:
        """One run's row; whatever goes wrong is its status and its reason."""
        label: Row = {"network": task.model.name, "run": name}

        def log(line: Line) -> None:
            self.log(label | line)

        row = {**label, "epochs": task.epochs, "status": "done", "reason": ""}
        try:
            return row | run(task, policy, self.seed, self.device, deadline, log)
        except OutOfTimeError as error:
            return row | {"status": "stopped", "reason": str(error)}
        except Exception as error:
            return row | {"status": "failed", "reason": reason(error)}


def calibrate(
    plan: Plan,
    network: str,
    seed: int,
    device: torch.device,
    deadline: float,
    epochs: int | None,
) -> dict[str, Any]:
    """Two dense epochs, the first of which is slower, and how many epochs there is time for."""
    begun = time.perf_counter()
    training = Training(plan.task(network, 2), seed, device=device)
    training.begin()
    startup = time.perf_counter() - begun
    first, second = (_seconds(training) for _ in range(2))
    runs = len(policies(LEAST_EPOCHS))
    each = (deadline - time.perf_counter()) / runs
    spare = each / MARGIN - startup - 2 * max(0.0, first - second)
    fitting = max(LEAST_EPOCHS, min(plan.most_epochs, int(spare / second)))
    return {
        "epochs": epochs or fitting,
        "startup_seconds": startup,
        "first_epoch_seconds": first,
        "second_epoch_seconds": second,
        "seconds_for_each_run": each,
    }


def _seconds(training: Training) -> float:
    begun = time.perf_counter()
    training.epoch()
    return time.perf_counter() - begun


def reason(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
