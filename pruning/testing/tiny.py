"""The tiny task that policies are tried on: a small network with batch norm, 9 epochs of digits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pruning.policies.base import Policy
from pruning.testing.findings import BreachError, raised
from pruning.training.task import Task

TASK = Task.parse(
    {
        "model": {
            "name": "small_cnn",
            "options": {"widths": [8, 6, 10, 7, 9], "pool_after": [0, 2]},
        },
        "data": {"source": "digits", "train_limit": 160, "validation": 0.1, "test": 0.1},
        "epochs": 9,
        "batch_size": 32,
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        "sample_batches": 2,
    }
)

LONGEST = 1000


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch works in one thread meanwhile: more of them only get into each other's way here."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def task_for(policy: Policy) -> Task:
    """The tiny task, as much longer as the policy needs it."""
    return TASK.model_copy(update={"epochs": length_for(policy, TASK.epochs)})


def length_for(policy: Policy, at_least: int) -> int:
    """The shortest training the policy accepts. Raises BreachError if there is none."""
    reason = ""
    for epochs in range(at_least, LONGEST + 1):
        try:
            policy.check(epochs)
        except ValueError as error:
            reason = reason or str(error)
        except Exception as error:
            raise BreachError(f"check({epochs}) raises {raised(error)}", "ValueError") from error
        else:
            return epochs
    raise BreachError(
        f"check refuses every training of {at_least} to {LONGEST} epochs: {reason}",
        "one length it accepts",
    )
