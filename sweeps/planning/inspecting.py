"""What ``earlyprune inspect`` is asked: an untrained network, and the cuts to try on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import yaml

from pruning.errors import InputError, one_line
from pruning.foreign import foreign
from pruning.inspection import Inspection, inspect, without_units
from pruning.names import import_from
from pruning.policies import AtEpoch, OneShot
from pruning.pruner import Pruner
from pruning.saliency import Probe
from pruning.structure.units import UntraceableError
from pruning.training.loop import open_data, open_model
from pruning.training.rehearsal import opened, tried_model, try_snapshot, walled
from pruning.training.sizes import Size, usual_size
from pruning.training.task import ModelSpec, Task
from sweeps.file.sweep import Sweep

SCOPES = ("global", "layer")
WITH_AIM = (*SCOPES, "price")
HALF = 0.5


@dataclass(frozen=True)
class Inspected:
    """A network by its name in a sweep file, what it takes, and what was found."""

    model: str
    size: Size
    found: Inspection

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        about = {"model": self.model, **asdict(self.size), "shape": list(self.size.shape)}
        return about | self.found.to_json()


def cuts(
    ratio: float | None, saliency: str | None, scope: str | None, aim: str | None = None
) -> list[OneShot]:
    """A cut before training, for one scope or for each. Raises InputError for what does not fit.

    saliency: a name, or a mapping with settings as YAML. aim: a mapping as YAML.
    """
    named = {"epoch": 0, "saliency": _yaml("saliency", saliency or "magnitude")}
    if aim is not None:
        named["aim"] = _yaml("aim", aim)
    if aim is None or ratio is not None:
        named["ratio"] = HALF if ratio is None else ratio
    scopes = [scope] if scope else WITH_AIM if aim else SCOPES
    try:
        return [AtEpoch.parse({**named, "scope": one}) for one in scopes]
    except InputError as error:
        raise InputError(f"--{error}") from None


def of_name(
    model: str,
    policies: Sequence[OneShot],
    options: str = "{}",
    data: str | None = None,
    shape: str | None = None,
    classes: int | None = None,
) -> Inspected:
    """A network by the name a sweep file would give it; one's own lies here or on the path.

    options, data: YAML, as in a sweep file's task. shape: ``3,224,224``; without it and without
    data, samples are as ``usual_size`` says. Raises InputError.
    """
    import_from(os.getcwd())
    spec = ModelSpec.parse({"name": model, "options": _yaml("options", options)}, "task.model")
    if data is not None:
        if shape is not None or classes is not None:
            raise InputError("--shape, --classes: are the data's; give them or --data")
        task = {"model": spec, "data": _yaml("data", data), "epochs": 1}
        return of_task(Task.parse(task), policies)
    usual = usual_size(model)
    size = Size(_shape(shape) if shape else usual.shape, classes or usual.classes)
    return of_model(spec, size, policies)


def of_model(spec: ModelSpec, size: Size, policies: Sequence[OneShot]) -> Inspected:
    """A network without data: what is cut is known to saliencies that need none."""
    for probe in _probes(policies):
        if probe.per_step:
            raise InputError(f"--data: missing; saliency {probe.key} is measured on data")
    with walled(spec.name):
        model, example = tried_model(spec, size.shape, size.classes), torch.zeros(2, *size.shape)
        with foreign(f"task.model: {spec.name!r} has no state that a snapshot could hold"):
            model.state_dict()
        try:
            with foreign(f"task.model: {spec.name!r} cannot be traced"):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                pruner = Pruner(model, optimizer, example_input=example, probes=_probes(policies))
            found = _measured(pruner, policies, pruner.start, "; --data gives it samples")
        except UntraceableError as error:
            found = without_units(model, example, str(error))
    return Inspected(spec.name, size, found)


def of_task(task: Task, policies: Sequence[OneShot], seed: int = 0) -> Inspected:
    """A task's network on its data, as a sweep would begin to train it."""
    data = open_data(task, torch.device("cpu"))
    with walled(task.model.name):
        try:
            training = opened(task, seed, _probes(policies))
            found = _measured(training.pruner, policies, training.begin)
            try_snapshot(training)
        except UntraceableError as error:
            model = open_model(task, data, seed)
            found = without_units(model, torch.zeros(2, *data.shape), str(error), task.protect)
    targets = data.outputs if data.target.kind == "values" else 0
    return Inspected(task.model.name, Size(data.shape, data.classes, targets), found)


def _measured(
    pruner: Pruner, policies: Sequence[OneShot], begin: Callable[[], object], hint: str = ""
) -> Inspection:
    try:
        begin()
        return inspect(pruner, policies)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"--saliency: {error}{hint}") from None


def of_sweep(sweep: Sweep, policies: Sequence[OneShot] = ()) -> Inspected:
    """The first network of a sweep, with these cuts, or those of its policies that cut once; of
    none such, half by either scope.
    """
    examples = sweep.examples()
    task = examples[0][1]
    own = [one for _, its, one in examples if its == task and isinstance(one, OneShot)]
    distinct = {(one.choice, one.round_to): one for one in own}
    asked = policies or [*distinct.values()] or cuts(None, None, None)
    return of_task(task, asked, sweep.seeds[0])


def _probes(policies: Sequence[OneShot]) -> list[Probe]:
    return list({probe.key: probe for one in policies for probe in one.probes()}.values())


def _yaml(option: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--{option}: not YAML ({one_line(error)})") from None


def _shape(text: str) -> tuple[int, ...]:
    parts = text.replace("x", ",").split(",")
    if not all(part.strip().isdecimal() and int(part) for part in parts):
        raise InputError(f"--shape: {text!r} is not allowed: sizes such as 3,224,224 are needed")
    return tuple(map(int, parts))
