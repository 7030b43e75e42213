"""Purity: the same history gives the same answer, whatever else has happened."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from pruning.history import Record
from pruning.policies.base import Policy
from pruning.testing.clock import no_clock
from pruning.testing.findings import BreachError
from pruning.testing.life import Answer, ask, fresh, lived
from pruning.training.task import Task


def pure(policy: Policy, task: Task | None = None) -> None:
    """Asked again about every epoch of its training, the last first, it answers the same.

    By a copy made from the settings and by the policy itself, on records that were stored and read,
    with other states of the global generators. It draws from none, reads no clock and changes no
    record.
    """
    life = lived(policy, task)
    copy = fresh(policy)
    histories = life.histories()
    with _own_generators():
        for epoch in reversed(range(len(histories))):
            for asked in (copy, policy, policy):
                before = _generators(seed=2 * epoch + (asked is copy))
                with no_clock(asked, epoch):
                    answer = ask(asked, histories[epoch])
                _drew_nothing(before, epoch)
                _same(answer, life.answers[epoch], epoch)
            for record, stored in zip(histories[epoch].records, life.stored, strict=False):
                _unchanged(record, stored, epoch)


def _same(answer: Answer, first: Answer, epoch: int) -> None:
    if answer != first:
        raise BreachError(f"{answer}; at first it was {first}", "one answer to one history", epoch)


def _unchanged(record: Record, stored: bytes, epoch: int) -> None:
    if record.to_bytes() != Record.from_bytes(stored).visible().to_bytes():
        raise BreachError(f"it changed the record of epoch {record.epoch}", "reading", epoch)


def _generators(seed: int | None = None) -> dict[str, bytes]:
    """The states of the global generators by name, seeded before if there is a seed."""
    if seed is not None:
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)
    states = random.getstate(), np.random.get_state(), torch.get_rng_state().numpy()
    return dict(zip(("random", "numpy", "torch"), map(pickle.dumps, states), strict=True))


def _drew_nothing(before: dict[str, bytes], epoch: int) -> None:
    for name, state in _generators().items():
        if state != before[name]:
            raise BreachError(
                f"it uses the global generator of {name}",
                "a generator of its own, seeded with history.seed",
                epoch,
            )


@contextmanager
def _own_generators() -> Iterator[None]:
    """The global generators are as before afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
