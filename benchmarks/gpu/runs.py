"""All runs of the GPU benchmark within a budget of time; a run that fails is a row."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from benchmarks.gpu.measure import Line, run
from benchmarks.gpu.plan import LEAST_EPOCHS, Plan, policies
from pruning.training.loop import Training

Row = dict[str, Any]
MARGIN = 1.15
"""How much longer than calibrated a run may take before the number of epochs is too high."""
PATIENCE = 1.3
"""How much more than its share of the time left one run may take before it is stopped."""


@dataclass(frozen=True)
class Pace:
    """How fast one network trains, in seconds: starting a run, tuning kernels, an epoch."""

    startup: float
    tuning: float
    epoch: float

    def run(self, epochs: int) -> float:
        """A whole run, kernels tuned before the cut and after it."""
        return self.startup + 2 * self.tuning + epochs * self.epoch


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

    def all(self) -> dict[str, Any]:
        """Calibrate, then train every policy on every network. Returns what was calibrated."""
        paces, errors = self.calibrate()
        epochs = self.epochs or self.fitting(list(paces.values()))
        slowest = max((pace.run(epochs) for pace in paces.values()), default=1.0)
        jobs = [
            (network, name, paces[network].run(epochs) if network in paces else slowest)
            for network in self.plan.networks
            for name in policies(epochs)
        ]
        for place, (network, name, expected) in enumerate(jobs):
            now = time.perf_counter()
            left = self.deadline - now
            share = expected / sum(seconds for _, _, seconds in jobs[place:])
            self.done(self.one(network, name, epochs, now + min(1.0, PATIENCE * share) * left))
        return {
            "epochs": epochs,
            "networks": {network: vars(pace) for network, pace in paces.items()},
            "errors": errors,
        }

    def one(self, network: str, name: str, epochs: int, deadline: float) -> Row:
        """One run's row; whatever goes wrong is its status and its reason."""
        label: Row = {"network": network, "run": name}

        def log(line: Line) -> None:
            self.log(label | line)

        row = {**label, "epochs": epochs, "status": "done", "reason": ""}
        try:
            task, policy = self.plan.task(network, epochs), policies(epochs)[name]
            return row | run(task, policy, self.seed, self.device, deadline, log)
        except Exception as error:
            return row | {"status": "failed", "reason": reason(error)}

    def calibrate(self) -> tuple[dict[str, Pace], dict[str, str]]:
        """The pace of every network, and the errors of those that have none."""
        paces, errors = {}, {}
        for network in self.plan.networks:
            try:
                paces[network] = self.pace(network)
            except Exception as error:
                errors[network] = reason(error)
        return paces, errors

    def pace(self, network: str) -> Pace:
        """From two dense epochs, the first of which tunes the kernels.

        The training before them reads the data and loads the libraries, which later ones need not.
        """
        task = self.plan.task(network, 2)
        Training(task, self.seed, device=self.device).begin()
        times = [time.perf_counter()]
        training = Training(task, self.seed, device=self.device)
        training.begin()
        times.append(time.perf_counter())
        for _ in range(2):
            training.epoch()
            times.append(time.perf_counter())
        startup, first, second = (b - a for a, b in pairwise(times))
        return Pace(startup, max(0.0, first - second), second)

    def fitting(self, paces: list[Pace]) -> int:
        """How many epochs all trainings can have in the time that is left; at least the least."""
        runs = len(policies(LEAST_EPOCHS))
        left = (self.deadline - time.perf_counter()) / MARGIN
        most = self.plan.most_epochs
        fits = [n for n in range(1, most + 1) if runs * sum(p.run(n) for p in paces) <= left]
        return max([LEAST_EPOCHS, *fits])


def reason(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
