"""The contract of policies, as checks that anyone can run on a policy of their own.

::

    from pruning import testing

    def test_it_keeps_the_contract():
        testing.check(Mine(after=3))

A policy is trained on a tiny task, really, and then asked again in every way that a sweep may ask
it. ``CHECKS`` has the checks by name; each is called with a policy, and a task if the tiny one will
not do. What breaks the contract is a ``ContractError``, one line. There is no pytest in here.
"""

from __future__ import annotations

from collections.abc import Callable

from pruning.policies.base import Policy
from pruning.testing.again import asking, replay, restart
from pruning.testing.bounds import bounded
from pruning.testing.budget import budget
from pruning.testing.findings import BreachError, ContractError, RaisedError
from pruning.testing.planning import lengths, planning
from pruning.testing.purity import pure
from pruning.testing.removal import units
from pruning.testing.settings import settings
from pruning.testing.tiny import TASK, one_thread
from pruning.training.task import Task

__all__ = ["CHECKS", "TASK", "ContractError", "RaisedError", "check", "quick"]

Check = Callable[..., None]


def _named(examine: Check) -> Check:
    """A check that says in its error which one it is, and of which policy."""

    def run(policy: Policy, task: Task | None = None, **bounds: float) -> None:
        try:
            with one_thread():
                examine(policy, task, **bounds)
        except BreachError as breach:
            raise breach.of(examine.__name__, policy) from breach.__cause__

    run.__name__, run.__doc__ = examine.__name__, examine.__doc__
    return run


_TRAIN_ONCE = (settings, lengths, pure, budget, units, planning)
_TAKE_LONGER = (replay, restart, asking, bounded)

CHECKS: dict[str, Check] = {one.__name__: _named(one) for one in (*_TRAIN_ONCE, *_TAKE_LONGER)}


def check(policy: Policy, task: Task | None = None) -> None:
    """Run all checks. Raises ContractError at the first that finds something.

    task: to train instead of ``TASK``, for policies and probes that need another network.
    """
    for run in CHECKS.values():
        run(policy, task)


def quick(policy: Policy, task: Task | None = None) -> None:
    """Run the checks that train no more than once: about a second."""
    for one in _TRAIN_ONCE:
        CHECKS[one.__name__](policy, task)
