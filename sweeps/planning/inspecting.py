"""What ``earlyprune inspect`` is asked: an untrained network, and the cuts to try on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pruning.errors import InputError
from pruning.inspection import Inspection, inspect, without_units
from pruning.policies import OneShot, policy
from pruning.pruner import Pruner
from pruning.saliency import Probe
from pruning.structure.units import UntraceableError
from pruning.training import models
from pruning.training.loop import Training, open_data, open_model
from pruning.training.sizes import Size
from pruning.training.task import ModelSpec, Task
from sweeps.file.sweep import Sweep

SCOPES = ("global", "layer")


@dataclass(frozen=True)
class Inspected:
    """A network by its name in a sweep file, what it takes, and what was found."""

    model: str
    size: Size
    found: Inspection

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        about = {"model": self.model, "shape": list(self.size.shape), "classes": self.size.classes}
        return about | self.found.to_json()


def cuts(ratio: float, saliency: Any, scope: str | None) -> list[OneShot]:
    """A cut before training, for one scope or for each. Raises InputError for what does not fit."""
    setting = {"policy": "at_epoch", "epoch": 0, "ratio": ratio, "saliency": saliency}
    asked = [policy({**setting, "scope": one}, "-") for one in ([scope] if scope else SCOPES)]
    return [one for one in asked if isinstance(one, OneShot)]


def of_model(spec: ModelSpec, size: Size, policies: Sequence[OneShot]) -> Inspected:
    """A network without data: what is cut is known to saliencies that need none."""
    model = models.build(spec.name, spec.options, size.shape, size.classes)
    example = torch.zeros(2, *size.shape)
    for probe in _probes(policies):
        if probe.per_step:
            raise InputError(f"--data: missing; saliency {probe.key} is measured on data")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    try:
        pruner = Pruner(model, optimizer, example_input=example, probes=_probes(policies))
        pruner.start()
        found = inspect(pruner, policies)
    except UntraceableError as error:
        found = without_units(model, example, str(error))
    except ValueError as error:
        raise InputError(f"--saliency: {error}; --data gives it samples") from None
    return Inspected(spec.name, size, found)


def of_task(task: Task, policies: Sequence[OneShot], seed: int = 0) -> Inspected:
    """A task's network on its data, as a sweep would begin to train it."""
    data = open_data(task, torch.device("cpu"))
    try:
        training = Training(task, seed, _probes(policies))
        training.begin()
        found = inspect(training.pruner, policies)
    except UntraceableError as error:
        model = open_model(task, data, seed)
        found = without_units(model, torch.zeros(2, *data.shape), str(error), task.protect)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"--saliency: {error}") from None
    return Inspected(task.model.name, Size(data.shape, data.classes), found)


def of_sweep(sweep: Sweep, policies: Sequence[OneShot] = ()) -> Inspected:
    """The first network of a sweep, with these cuts, or those of its policies that cut once."""
    examples = sweep.examples()
    task = examples[0][1]
    own = [one for _, its, one in examples if its == task and isinstance(one, OneShot)]
    distinct = {(one.choice, one.round_to): one for one in own}
    return of_task(task, policies or [*distinct.values()], sweep.seeds[0])


def _probes(policies: Sequence[OneShot]) -> list[Probe]:
    return list({one.saliency.key: one.saliency for one in policies}.values())
