"""What is checked before anything starts: everything that would make every trial fail."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pruning.errors import InputError
from pruning.foreign import ForeignError, foreign, told_where
from pruning.policies import POLICIES, BayesFactor, OneShot, Policy
from pruning.policies.registry import specify
from pruning.pruner import Pruner
from pruning.saliency import Probe, Saliency
from pruning.saliency.registry import PROBES
from pruning.saliency.registry import specify as specify_probe
from pruning.structure.aside import Sample
from pruning.testing import ContractError, RaisedError, quick
from pruning.training.data import Data, load
from pruning.training.first_step import first
from pruning.training.loop import open_data
from pruning.training.objective import Objective
from pruning.training.rehearsal import rehearse
from pruning.training.task import Task
from sweeps.file.sweep import Sweep
from sweeps.file.trials import TrialSpec


def check(sweep: Sweep) -> list[TrialSpec]:
    """The trials known beforehand, if data loads, models fit and policies can be asked.

    Of a task with spaces each is tried at its bounds. Raises InputError, one line.
    """
    trials, examples = sweep.trials(), sweep.examples()
    _try_own_policies(examples)
    for task in {task.address(): task for _, task, _ in examples}.values():
        _try_workers(task, sweep.resources.workers)
        _try_task(task, sweep.seeds[0], [(f, p) for f, t, p in examples if t == task])
    load.cache_clear()
    if sweep.search:
        from sweeps.search.samplers import try_out

        try_out(sweep.search.sampler, sweep.objectives)
    return trials


def _try_workers(task: Task, workers: int) -> None:
    if workers > task.batch_size:
        raise InputError(
            f"resources.workers: {workers} is not allowed: each trains a part of every batch, and "
            f"task.batch_size is {task.batch_size} (allowed: up to {task.batch_size})"
        )


def _try_task(task: Task, seed: int, policies: Sequence[tuple[str, Policy]]) -> None:
    data = open_data(task, torch.device("cpu"))
    data.check()
    if task.batch_size > len(data.train):
        raise InputError(
            f"task.batch_size: {task.batch_size} is not allowed: the training part has "
            f"{len(data.train)} samples"
        )
    pruner = rehearse(task, seed).pruner
    network = pruner.network
    network.sample = _two_samples(task, data)
    named = network.model.named_parameters()
    network.start = {name: value.detach().clone() for name, value in named}
    for field, probe in _probes(policies).values():
        try:
            _try_probe(pruner, probe)
        except ValueError as error:
            raise InputError(f"{field}: {error}") from None
    for field in [field for field, policy in policies if _cuts_trained(policy, task.epochs)][:1]:
        try:
            network.remove(network.layout.offsets[:-1][np.asarray(network.layout.sizes) > 1])
        except ValueError as error:
            raise InputError(f"{field}: no unit can go after a step of training: {error}") from None


def _cuts_trained(policy: Policy, epochs: int) -> bool:
    """Whether it may remove units of a network, and not only mask weights, that has trained."""
    cuts = isinstance(policy, OneShot) or type(policy) in {*POLICIES.values()} - {BayesFactor}
    span = policy.first_action(epochs) if cuts else None
    return bool(span and span[1])


def _try_probe(pruner: Pruner, probe: Probe) -> None:
    """Raises ValueError where a probe cannot measure this network, or gives what is no measure."""
    if type(probe) in PROBES.values():
        with torch.no_grad():
            probe.check(pruner.network)
        return
    name = f"saliency {specify_probe(probe)!r}"
    try:
        with torch.no_grad():
            probe.check(pruner.network)
        # with a check of its own it may take long
        found = pruner.try_out(probe) if type(probe).check is Probe.check else None
    except Exception as error:
        raise ValueError(f"{name} fails ({told_where(error)})") from None
    if isinstance(probe, Saliency) and found is not None and not found.isfinite().all():
        kind = "NaN" if found.isnan().any() else "infinite"
        raise ValueError(f"{name} gives scores that are {kind} (allowed: finite numbers)")


def _probes(policies: Sequence[tuple[str, Policy]]) -> dict[str, tuple[str, Probe]]:
    """What the policies measure, by key, with the field of who asks. Raises InputError."""
    found: dict[str, tuple[str, Probe]] = {}
    for field, policy in policies:
        name = specify(policy)["policy"]
        try:
            with foreign(f"{name!r} fails when asked for its probes"):
                found = {probe.key: (field, probe) for probe in policy.probes()} | found
        except ValueError as error:
            raise InputError(f"{field}: {error}") from None
    return found


def _try_own_policies(examples: Sequence[tuple[str, Task, Policy]]) -> None:
    """Policies that are none of ours must keep the contract; one that raises may do so at work."""
    tried: set[type[Policy]] = set(POLICIES.values())
    for field, _, policy in examples:
        if type(policy) in tried:
            continue
        tried.add(type(policy))
        try:
            with foreign("it cannot be tried"):
                _try_own_policy(field, policy)
        except ForeignError as error:
            raise InputError(f"{field}: {specify(policy)['policy']!r}: {error}") from None


def _try_own_policy(field: str, policy: Policy) -> None:
    try:
        quick(policy)
    except RaisedError:
        return
    except ContractError as error:
        raise InputError(f"{field}: {error}") from None


def _two_samples(task: Task, data: Data) -> Sample:
    try:
        x, y = first(data.train.shuffled(2, 0, 0))
    except ForeignError as error:
        raise InputError(str(error)) from None
    objective = Objective.of(task, data, torch.device("cpu"))
    return Sample(
        lambda: [(x, y)], lambda model, batch: objective.step(model(batch[0]), batch[1])[0]
    )
