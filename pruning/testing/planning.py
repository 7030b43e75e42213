"""What a policy says before anything is measured: when it may act first, alike whom, how long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pruning.actions import Action
from pruning.policies.base import Policy
from pruning.testing.findings import BreachError, described, raised
from pruning.testing.life import Life, ask, fresh, lived
from pruning.testing.tiny import task_for
from pruning.training.task import Task

LENGTHS = 100


def planning(policy: Policy, task: Task | None = None) -> None:
    """``first_action`` and ``action_key`` tell the truth about its training.

    Its first action lies in the span. Settings that differ in one field but not in the key cut
    alike, where they first cut after the same epoch.
    """
    life = lived(policy, task)
    epoch, action = next(iter(life.actions), (None, None))
    span = _span(policy, life.task.epochs)
    if epoch is None or action is None:
        return
    if span is None:
        raise BreachError("it acts, though first_action says never", "a span of epochs", epoch)
    if not span[0] <= epoch <= span[1]:
        raise BreachError("it acts first", f"{span[0]} to {span[1]}, by first_action", epoch)
    if _key(fresh(policy)) != _key(policy):
        raise BreachError("a copy of it has another action_key", "equal settings, equal keys")
    for other in _relatives(policy):
        if _key(other) == _key(policy):
            _cuts_alike(life, other, epoch, action)


def lengths(policy: Policy, task: Task | None = None) -> None:
    """``check`` accepts the training, raises nothing but ValueError, and the span fits inside."""
    task = task or task_for(policy)
    for epochs in range(1, max(LENGTHS, task.epochs) + 1):
        try:
            policy.check(epochs)
        except ValueError as error:
            if epochs == task.epochs:
                raise BreachError(
                    f"check({epochs}) refuses the training: {raised(error)}", "its length"
                ) from None
        except Exception as error:
            raise BreachError(f"check({epochs}) raises {raised(error)}", "ValueError") from error
        else:
            _span(policy, epochs)


def _span(policy: Policy, epochs: int) -> tuple[int, int] | None:
    try:
        span = policy.first_action(epochs)
        ordered = span is None or 0 <= span[0] <= span[1] <= epochs
    except Exception as error:
        raise BreachError(f"first_action({epochs}) raises {raised(error)}", "a span") from error
    if not ordered:
        raise BreachError(f"first_action({epochs}) is {span}", f"earliest, latest in 0 to {epochs}")
    return span


def _key(policy: Policy) -> tuple[Any, int]:
    try:
        key = policy.action_key()
        return key, hash(key)
    except Exception as error:
        raise BreachError(
            f"action_key raises {raised(error)}", "a key that can be hashed"
        ) from error


def _relatives(policy: Policy) -> Iterator[Policy]:
    """Valid settings that differ in one field and measure nothing else."""
    measured = {probe.key for probe in policy.probes()}
    for field in type(policy).model_fields:
        for value in _others(getattr(policy, field), field):
            try:
                settings = {**policy.identity(), field: value}
                other = type(policy).parse(settings)
            except Exception:  # not every value is allowed
                continue
            if {probe.key for probe in other.probes()} <= measured:
                yield other


def _others(value: object, field: str) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return value + 1, value - 1
    if isinstance(value, float):
        return 0.5 * value, 0.9 * value
    return (0.5, 0.9) if field == "threshold" else ()


def _cuts_alike(life: Life, other: Policy, epoch: int, action: Action) -> None:
    """Raises BreachError if another policy's first action comes at this epoch, too, and differs."""
    found = ask(other, life.seen[epoch]).action
    if found in (None, action):
        return
    if not any(ask(other, before).action for before in life.seen[:epoch]):
        raise BreachError(
            f"{described(other)} has the same action_key, and does something else",
            "equal keys for equal first actions",
            epoch,
        )
