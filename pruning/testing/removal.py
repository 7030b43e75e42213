"""What may be removed: units that are there, each once, and never a whole layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pruning.actions import Action, Prune
from pruning.history import History, Record
from pruning.policies.base import Policy
from pruning.saliency import Saliency
from pruning.structure.layout import Layout
from pruning.testing.findings import BreachError
from pruning.testing.life import ask, fresh, lived
from pruning.training.task import Task

Alive = npt.NDArray[np.bool_]


def units(policy: Policy, task: Task | None = None) -> None:
    """Only units that are there go, each once, and every layer keeps one.

    In its training; and for its first action, too, if all units of one layer score less than all
    others.
    """
    life = lived(policy, task)
    layout = life.history.layout
    alive = np.ones(layout.total, dtype=np.bool_)
    for epoch, action in life.actions:
        alive = after(action, alive, layout, epoch)
    life.whole()
    if life.actions:
        copy, first = fresh(policy), life.actions[0][0]
        for history in _starved(policy, life.histories()[first]):
            answer = ask(copy, history)
            if answer.action:
                after(answer.action, history.last.alive, layout, first)


def after(action: Action, alive: Alive, layout: Layout, epoch: int) -> Alive:
    """Which units are left by an action, bool [units]. Raises BreachError if it cannot be done."""
    if not isinstance(action, Prune):
        if not 0 < action.sparsity < 1:
            raise BreachError(f"a mask of sparsity {action.sparsity}", "between 0 and 1", epoch)
        return alive
    ids = list(action.units)
    if not ids and not action.reinit:
        raise BreachError("it removes nothing", "None where nothing is to be done", epoch)
    if ids != sorted(ids):
        raise BreachError("its units are not in rising order", "Prune.of sees to it", epoch)
    left = alive.copy()
    for unit in ids:
        if not 0 <= unit < layout.total:
            raise BreachError(f"it removes unit {unit}", f"0 to {layout.total - 1}", epoch)
        if not left[unit]:
            found = f"it removes unit {unit}, which is gone"
            raise BreachError(found, "units that are left, each once", epoch)
        left[unit] = False
    for name, count in zip(layout.names, layout.counts(left), strict=True):
        if not count:
            raise BreachError(f"it removes layer {name!r} whole", "one unit at least stays", epoch)
    return left


def _starved(policy: Policy, history: History) -> Iterator[History]:
    """The history once for each layer, all saliencies being least in that one."""
    saliencies = [probe.key for probe in policy.probes() if isinstance(probe, Saliency)]
    for layer in range(len(history.layout.sizes)) if saliencies else ():
        here = history.layout.group_of == layer
        yield replace(history, records=tuple(_least(r, here, saliencies) for r in history.records))


def _least(record: Record, here: Alive, saliencies: list[str]) -> Record:
    probes = dict(record.probes)
    for key in probes.keys() & set(saliencies):
        values = probes[key]
        low, high = np.nanmin(values), np.nanmax(values)
        least = values * (1e-3 * low / high) if low > 0 else values - (high - low) - 1
        probes[key] = np.where(here, least, values).astype(values.dtype)
    return replace(record, probes=probes, _memo={})
