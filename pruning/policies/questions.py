"""What a policy is asked before anything is measured, and which answers will do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pruning.foreign import foreign
from pruning.policies.base import Policy
from pruning.policies.named import POLICIES
from pruning.saliency import Probe


@dataclass(frozen=True)
class _Question:
    """What is asked of a policy about a training of so many epochs. allowed: the answers, said."""

    name: str
    ask: Callable[[Policy, int], Any]
    fits: Callable[[Any, int], bool]
    allowed: str


def ask_beforehand(policy: Policy, epochs: int) -> None:
    """Ask a policy of a user's own, and those it refers to, all that they can answer now.

    Raises ForeignError for one that fails, ValueError for an answer that will not do.
    """
    if type(policy) not in POLICIES.values():
        for question in _QUESTIONS:
            with foreign(f"{question.name} fails"):
                answer = question.ask(policy, epochs)
                fits = question.fits(answer, epochs)
            if not fits:
                kind = type(answer).__name__
                given = f"{question.name} gives {answer!r}, of type {kind}"
                raise ValueError(f"{given} (allowed: {question.allowed})")
    reference = policy.reference()
    if reference == policy:
        raise ValueError("reference() gives the policy itself (allowed: another one, or None)")
    if reference:
        ask_beforehand(reference, epochs)


def _in_each_epoch(policy: Policy, epochs: int) -> list[bool]:
    times = [(epoch, acted) for epoch in range(epochs + 1) for acted in (False, True)]
    return [bool(policy.asks(epoch, epochs, acted)) for epoch, acted in times]


def _are_probes(answer: Any, epochs: int) -> bool:
    probes = isinstance(answer, Sequence) and all(isinstance(one, Probe) for one in answer)
    return probes and all(isinstance(one.key, str) for one in answer)


def _is_span(answer: Any, epochs: int) -> bool:
    return answer is None or 0 <= answer[0] <= answer[1] <= epochs


_QUESTIONS = (
    _Question(
        "reference()",
        lambda policy, _: policy.reference(),
        lambda answer, _: answer is None or isinstance(answer, Policy),
        "a policy, or None",
    ),
    _Question("probes()", lambda policy, _: policy.probes(), _are_probes, "a list of probes"),
    _Question(
        "first_action()",
        lambda policy, epochs: policy.first_action(epochs),
        _is_span,
        "the earliest and the latest epoch, or None",
    ),
    _Question(
        "action_key()",
        lambda policy, _: hash(policy.action_key()),
        lambda *_: True,
        "what can be hashed",
    ),
    _Question("asks()", _in_each_epoch, lambda *_: True, "True or False"),
)
