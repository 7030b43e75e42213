"""A point of the search: one setting, tried on some seeds; and how sure its place is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sweeps.file.entries import Entry
from sweeps.file.trials import TrialSpec
from sweeps.judging.front import pareto

CONFIDENCE = 1.64
"""Standard errors that a mean may be wrong by: nine in ten lie within."""


@dataclass(eq=False)
class Point:
    """A trial of the study.

    number: there. values: of the entry's spaces. begun: its trials, one a seed. paused: those of
    them that wait until they look better. ended: whether the study was told.
    """

    number: int
    entry: Entry
    values: Mapping[str, Any]
    begun: list[TrialSpec] = field(default_factory=list)
    paused: set[str] = field(default_factory=set)
    ended: bool = False


Outcomes = Mapping[int, Sequence[float]]
"""The objectives of one setting, by seed."""


def mean(outcomes: Outcomes) -> list[float]:
    """Of each objective over seeds."""
    return [math.fsum(column) / len(column) for column in zip(*outcomes.values(), strict=True)]


def might_be_best(one: Outcomes, others: Iterable[Outcomes], objectives: Mapping[str, str]) -> bool:
    """Whether this setting may belong to the Pareto set, as its mean is not that sure yet.

    The spread over seeds is pooled over all settings with several; without any it counts as zero.
    """
    known = [outcomes for outcomes in others if outcomes]
    spread = pooled([*known, one])
    better = np.array([1.0 if way == "max" else -1.0 for way in objectives.values()])
    hoped = np.array(mean(one)) + CONFIDENCE * better * spread / math.sqrt(len(one))
    return bool(pareto(np.array([*map(mean, known), hoped]), objectives)[-1])


def pooled(known: Sequence[Outcomes]) -> Any:
    """The standard deviation of each objective over seeds. float [objectives]."""
    several = [np.array(list(outcomes.values())) for outcomes in known if len(outcomes) > 1]
    if not several:
        return 0.0
    squares = sum(((values - values.mean(0)) ** 2).sum(0) for values in several)
    return np.sqrt(squares / sum(len(values) - 1 for values in several))
