"""A policy's whole life in a tiny but real training, kept for the checks that look at it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from pruning.actions import Action, Prune, decided
from pruning.foreign import ExitError
from pruning.history import History, Record
from pruning.policies.base import Policy
from pruning.testing.findings import BreachError, RaisedError, raised, shortened
from pruning.testing.tiny import task_for
from pruning.training import snapshot
from pruning.training.task import Task
from pruning.training.trial import Trial

_KEPT = 32


@dataclass(frozen=True)
class Answer:
    """What a policy says about one history."""

    action: Action | None
    warnings: tuple[str, ...]
    indicator: float | None

    def __str__(self) -> str:
        action = "no action" if self.action is None else shortened(self.action)
        return f"{action}, indicator {self.indicator}"


def ask(policy: Policy, history: History) -> Answer:
    """Its action, unless the training has ended, and its indicator. Raises BreachError."""
    epoch = history.epoch
    try:
        action = None if epoch == history.epochs else policy.decide(history)
        indicator = policy.indicator(history)
    except ExitError:  # that no other task would be for
        raise
    except Exception as error:
        found = f"it raises {raised(error)}"
        raise BreachError(found, "an action or None", epoch, RaisedError) from error
    _can_be_stored(action, indicator, epoch)
    return Answer(action, tuple(action.warnings) if action else (), indicator)


def _can_be_stored(action: object, indicator: object, epoch: int) -> None:
    try:
        decided(action)
    except TypeError as error:
        found, _, allowed = str(error).partition(" (allowed: ")
        raise BreachError(shortened(found), allowed.removesuffix(")"), epoch) from None
    for unit in action.units if isinstance(action, Prune) else ():
        if type(unit) is not int:
            found = f"unit {unit} is of type {type(unit).__name__}"
            raise BreachError(found, "int; Prune.of sees to it", epoch)
    number = isinstance(indicator, float | int) and math.isfinite(indicator)
    if indicator is not None and not number:
        found = f"indicator is {indicator} of type {type(indicator).__name__}"
        raise BreachError(found, "a finite float or None", epoch)


@dataclass(frozen=True, eq=False)
class Life:
    """A training under a policy, from the untrained network to its end.

    stored: the records as bytes, written before the policy saw them. answers: after each of them;
    the last one has no action. history: without records. snapshot: in the middle, where it came so
    far. weights, masks: at the end. refused: why the network did not do the last action, and the
    training broke off.
    """

    policy: Policy
    task: Task
    stored: list[bytes]
    answers: list[Answer]
    history: History
    snapshot: bytes | None
    weights: dict[str, Tensor]
    masks: dict[str, Tensor]
    refused: str | None

    @property
    def actions(self) -> list[tuple[int, Action]]:
        """What was done, with the number of epochs trained before."""
        return [(epoch, a.action) for epoch, a in enumerate(self.answers) if a.action]

    @property
    def middle(self) -> int:
        """After how many epochs the snapshot was taken."""
        return self.task.epochs // 2

    def records(self) -> list[Record]:
        """Read anew from what was stored, with nothing remembered."""
        return [Record.from_bytes(data) for data in self.stored]

    def histories(self) -> list[History]:
        """What the policy saw after every epoch, on records read anew."""
        seen = self.history
        return [seen := seen.plus(record) for record in self.records()]

    @cached_property
    def seen(self) -> list[History]:
        """``histories``, for all who need not be the first to ask about them."""
        return self.histories()

    def whole(self) -> None:
        """Raises BreachError if the training broke off."""
        if self.refused:
            raise BreachError(
                f"the network refuses: {self.refused}", "a training to its end", self.end
            )

    @property
    def end(self) -> int:
        """The epoch of the last record."""
        return len(self.stored) - 1


_LIVES: dict[tuple[type[Policy], str, str], Life] = {}


def lived(policy: Policy, task: Task | None = None) -> Life:
    """The life of a policy, trained once a process. Raises BreachError where it cannot be asked."""
    task = task or task_for(policy)
    key = type(policy), repr(policy), task.address()
    if key not in _LIVES:
        if len(_LIVES) >= _KEPT:
            del _LIVES[next(iter(_LIVES))]
        try:
            _LIVES[key] = _train(policy, task)
        except (BreachError, ExitError):
            raise
        except Exception as error:
            found, allowed = f"its training raises {raised(error)}", "a task it can be trained on"
            raise BreachError(found, allowed, kind=RaisedError) from error
    return _LIVES[key]


def fresh(policy: Policy) -> Policy:
    """A copy of a policy made from its settings alone. Raises BreachError."""
    try:
        return type(policy).parse(policy.identity())
    except Exception as error:
        raise BreachError(
            f"its settings cannot be read again: {raised(error)}", "settings"
        ) from error


def _train(policy: Policy, task: Task) -> Life:
    trial = Trial(task, policy)
    training = trial.training
    stored, answers, middle, refused = [], [], None, None
    while True:
        stored.append(trial.records[-1].to_bytes())
        answers.append(ask(policy, trial.history))
        if trial.done:
            break
        if training.epoch_number == task.epochs // 2:
            middle = snapshot.take(training)
        done = len(trial.actions)
        try:
            trial.step()
        except Exception as error:
            if not answers[-1].action or len(trial.actions) > done:
                raise
            refused = raised(error)
            break
        _did(trial.actions[done:], answers[-1], training.epoch_number - 1)
    return Life(
        policy,
        task,
        stored,
        answers,
        replace(trial.history, records=()),
        middle,
        {name: value.detach().clone() for name, value in training.model.state_dict().items()},
        dict(training.pruner.network.masks),
        refused,
    )


def _did(actions: list[tuple[int, Action]], answer: Answer, epoch: int) -> None:
    wanted = [(epoch, answer.action)] if answer.action else []
    if actions != wanted:
        found = f"asked twice it does {shortened(wanted)} and {shortened(actions)}"
        raise BreachError(found, "one answer to one history", epoch)
