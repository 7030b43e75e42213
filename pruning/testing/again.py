"""The same again: from what is stored, by training anew, and from the middle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from pruning.history import Record
from pruning.policies.base import Policy
from pruning.testing.findings import BreachError, raised, shortened
from pruning.testing.life import Life, ask, fresh, lived
from pruning.training.task import Task
from pruning.training.trial import Trial


def replay(policy: Policy, task: Task | None = None) -> None:
    """Stored records, fed one by one to a copy, give the actions of the training.

    A second training gives the same records bit for bit, but for the times.
    """
    life = lived(policy, task)
    copy = fresh(policy)
    for epoch, history in enumerate(life.histories()):
        answer, first = ask(copy, history), life.answers[epoch]
        if answer != first:
            raise BreachError(f"replayed {answer}; at first it was {first}", "the same", epoch)
    life.whole()
    _ends_alike(life, Trial(life.task, fresh(policy)), "a second training")


def restart(policy: Policy, task: Task | None = None) -> None:
    """A training that goes on from a snapshot in its middle ends with the same weights."""
    life = lived(policy, task)
    life.whole()
    known = tuple(life.records()[: life.middle + 1])
    trial = Trial(life.task, fresh(policy), snapshot_data=life.snapshot, records=known)
    _ends_alike(life, trial, f"a restart after epoch {life.middle}")


def asking(policy: Policy, task: Task | None = None) -> None:
    """What it does not ask for changes nothing: others on the same path may have it measured.

    Trained with all its probes in every epoch it does the same to the same network.
    """
    life = lived(policy, task)
    life.whole()

    class Always(type(policy)):  # type: ignore[misc]
        def asks(self, epoch: int, epochs: int, acted: bool) -> bool:
            return True

    trial = Trial(life.task, Always.parse(fresh(policy).identity()))
    which = "with all probes in every epoch it"
    _runs(trial, which)
    if trial.actions != life.actions:
        raise BreachError(f"{which} does {shortened(trial.actions)}", shortened(life.actions))
    _same_weights(life, trial, which)


def _ends_alike(life: Life, trial: Trial, which: str) -> None:
    _runs(trial, which)
    for record, first in zip(trial.records, life.records(), strict=True):
        if differs := _difference(record, first):
            raise BreachError(f"{which} has another {differs}", "the same bits", record.epoch)
    if trial.actions != life.actions:
        raise BreachError(f"{which} does {shortened(trial.actions)}", shortened(life.actions))
    _same_weights(life, trial, which)


def _runs(trial: Trial, which: str) -> None:
    try:
        trial.run()
    except Exception as error:
        raise BreachError(f"{which} raises {raised(error)}", "the same course") from error


def _same_weights(life: Life, trial: Trial, which: str) -> None:
    for name, weight in trial.training.model.state_dict().items():
        if not torch.equal(weight, life.weights[name]):
            raise BreachError(f"{which} ends with another {name}", "the same bits", life.end)


def _difference(record: Record, first: Record) -> str | None:
    """What differs between two records, beside the times."""
    if not np.array_equal(record.alive, first.alive):
        return "network: other units are alive"
    for key in sorted({*record.probes, *first.probes}):
        if _bits(record, key) != _bits(first, key):
            return f"measurement {key}"
    same = [replace(one, seconds={}).to_bytes() for one in (record, first)]
    return None if same[0] == same[1] else "metric or cost"


def _bits(record: Record, key: str) -> bytes | None:
    measured = record.probes.get(key)
    return None if measured is None else measured.tobytes()
