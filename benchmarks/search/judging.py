"""What the courses of a search come to, over its repetitions: medians and quartiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.search.simulation import Course
from benchmarks.search.table import Table
from sweeps.judging.front import Floats

POINTS = 31
"""Of a course, by trials and by what was spent."""

QUARTERS = (25, 50, 75)
DIGITS = 5
Quartiles = Sequence[float | None]


@dataclass(frozen=True)
class Search:
    """The courses of one search, one a repetition, and the share of the hypervolume they reach.

    shares: by the settings found, in order.
    """

    courses: Sequence[Course]
    shares: Sequence[Floats]

    @classmethod
    def of(cls, courses: Sequence[Course], table: Table) -> Search:
        """By the true means of what each course has found."""
        return cls(courses, [table.shares(list(course.found)) for course in courses])

    def by_trials(self, trials: int) -> Floats:
        """The share before the next trial of the study began, [repetitions]."""
        return self._reached(lambda number, _, __: number <= trials, self.hours)

    def by_hours(self, hours: Floats) -> Floats:
        """The share once so much was spent, [repetitions]."""
        return self._reached(lambda _, spent, most: spent <= most, hours)

    @property
    def final(self) -> Floats:
        """The share at the end, [repetitions]."""
        return np.array([shares[-1] for shares in self.shares])

    @property
    def hours(self) -> Floats:
        """Spent at the end, [repetitions]."""
        return np.array([course.spent / 3600 for course in self.courses])

    def hours_to(self, share: float) -> Floats:
        """Spent when a share was reached, infinite where it never was, [repetitions]."""
        found = []
        for course, shares in zip(self.courses, self.shares, strict=True):
            spent = [seconds for _, seconds in course.found.values()]
            reached = np.flatnonzero(shares >= share)
            found.append(spent[reached[0]] / 3600 if len(reached) else np.inf)
        return np.array(found)

    def _reached(self, counts: Callable[[int, float, float], bool], hours: Floats) -> Floats:
        found = []
        for course, shares, most in zip(self.courses, self.shares, hours, strict=True):
            then = [counts(number, spent / 3600, most) for number, spent in course.found.values()]
            found.append(shares[then].max(initial=0.0))
        return np.array(found)


def quartiles(values: Sequence[float] | Floats) -> Quartiles:
    """The lower one, the median, the upper one."""
    return [round(float(value), DIGITS) for value in np.percentile(values, QUARTERS)]


def reached(hours: Floats) -> Quartiles:
    """By when a quarter, half and three quarters of the repetitions had come; None for never."""
    found = np.percentile(hours, QUARTERS, method="inverted_cdf")
    return [round(float(value), DIGITS) if np.isfinite(value) else None for value in found]


def judged(search: Search, random: Search, trials: int) -> dict[str, Any]:
    """The figures of one search. random: what it is compared with. trials: of each.

    hours_to_random: spent by a quarter, half and three quarters of the repetitions until they
    reached the share that random ends with in the median. of_random: what half of them spent, as
    a share of all that random spends in the median.
    """
    courses = search.courses
    to_random = search.hours_to(float(np.median(random.final)))
    half = reached(to_random)[1]
    ratio = half and round(half / float(np.median(random.hours)), DIGITS)
    numbers = sorted({round(number) for number in np.linspace(1, trials, POINTS)})
    hours = np.linspace(0, np.median(search.hours), POINTS)
    return {
        "share_at": {str(n): quartiles(search.by_trials(n)) for n in marks(trials)},
        "hours": quartiles(search.hours),
        "settings": quartiles([len(course.settings) for course in courses]),
        "trainings": quartiles([course.trainings for course in courses]),
        "hours_to_random": reached(to_random),
        "reached_random": int(np.isfinite(to_random).sum()),
        "of_random": ratio,
        "by_trials": {
            "trials": numbers,
            "share": [quartiles(search.by_trials(number)) for number in numbers],
        },
        "by_hours": {
            "hours": hours.round(DIGITS).tolist(),
            "share": [quartiles(search.by_hours(np.full(len(courses), h))) for h in hours],
        },
    }


def stopped(search: Search, plain: Search, table: Table) -> dict[str, Any]:
    """What early stopping has done to a search, repetition by repetition.

    saved: of the plain one's hours at equal trials. lost: of the share of the hypervolume at equal
    trials. gained: on the plain one's share at equal hours. paused: settings that were never
    finished, of all ``settings`` drawn; missed: those of the table's front, of the ``met`` ones.
    """
    courses = search.courses
    return {
        "saved": quartiles(1 - search.hours / plain.hours),
        "lost": quartiles(plain.final - search.final),
        "gained": quartiles(search.final - plain.by_hours(search.hours)),
        "settings": quartiles([len(course.settings) for course in courses]),
        "paused": quartiles([len(course.paused) for course in courses]),
        "met": quartiles([len(course.settings & table.front) for course in courses]),
        "missed": quartiles([len(course.paused & table.front) for course in courses]),
    }


def marks(trials: int) -> list[int]:
    """After how many trials the searches are compared in the tables."""
    return [mark for mark in (10, 20, 40) if mark < trials] + [trials]
