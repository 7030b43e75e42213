"""How many epochs riders of one trunk train together, while it is not known when they act.

A rider leaves the trunk after an epoch of its span. Riders with equal keys that leave after the
same one share the tail from there to the end; the trunk is trained as far as its last rider stays.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """A rider on the trunk: it leaves after ``earliest`` to ``latest`` epochs, all of them: never.

    since: how many epochs of the trunk it has behind it.
    """

    key: Hashable
    earliest: int
    latest: int
    since: int = 0


@dataclass(frozen=True)
class Count:
    """Epochs of the trunk, and of all tails together."""

    trunk: int = 0
    tails: int = 0

    @property
    def total(self) -> int:
        """All epochs."""
        return self.trunk + self.tails

    def __add__(self, other: Count) -> Count:
        return Count(self.trunk + other.trunk, self.tails + other.tails)


Known = Mapping[Hashable, Collection[int]]
"""By key the epochs whose tails are there, or counted elsewhere."""


def fewest(choices: Iterable[Choice], epochs: int, known: Known | None = None) -> Count:
    """The least they can come to: all act as it suits the others.

    Where riders have different epochs of the trunk behind them, a case that can happen rather than
    the very least.
    """
    classes = _classes(choices)
    if not classes:
        return Count()
    known = known or {}
    everybody = [choice for members in classes.values() for choice in members]
    soonest = max(choice.earliest for choice in everybody)
    # For a trunk of a given length the last epochs are best; between these lengths the sum is
    # linear in it.
    lengths = {soonest, *(c.latest for c in everybody), *(e for key in known for e in known[key])}
    found = [_within(length, classes, epochs, known) for length in lengths if length >= soonest]
    return min(found, key=lambda count: (count.total, count.trunk))


def _within(
    length: int, classes: Mapping[Hashable, list[Choice]], epochs: int, known: Known
) -> Count:
    """The least, if the trunk is no longer than this."""
    reached: dict[int, int] = {}
    tails = 0
    for key, members in classes.items():
        places = sorted(epoch for epoch in known.get(key, ()) if epoch <= length)
        points: list[int] = []
        for choice in sorted(set(members), key=lambda one: one.latest):
            latest = min(choice.latest, length)
            if bisect_left(places, choice.earliest) < bisect_right(places, latest):
                at = places[bisect_left(places, choice.earliest)]
            elif points and points[-1] >= choice.earliest:
                at = points[bisect_left(points, choice.earliest)]
            else:
                at = latest
                points.append(at)
                tails += epochs - at
            reached[choice.since] = max(reached.get(choice.since, 0), at)
    return Count(_covered(reached.items()), tails)


def most(choices: Iterable[Choice], epochs: int, known: Known | None = None) -> Count:
    """The most they can come to: all act as differently, and as early, as they can.

    The epochs after which riders of a class can all act differently form a matroid, so the earliest
    that can be added is always right. To send a rider later along the trunk instead costs its class
    as many epochs of tails as the trunk gains, except where it is no loss anyway.
    """
    classes = _classes(choices)
    if not classes:
        return Count()
    trunk = tails = 0
    for key, members in classes.items():
        counted = (known or {}).get(key, ())
        chosen = _matched(members, (epoch for epoch in range(epochs) if epoch not in counted))
        tails += sum(epochs - epoch for epoch in chosen)
        idle = sorted((epoch for epoch in {*counted, epochs} if epoch <= epochs), reverse=True)
        last = chosen[-1] if chosen else 0
        for epoch in idle:
            if epoch > last and _fits(members, [*chosen, epoch]):
                last = epoch
        trunk = max(trunk, last)
    since = min(choice.since for members in classes.values() for choice in members)
    return Count(max(0, trunk - since), tails)


def _matched(members: Sequence[Choice], epochs: Iterable[int]) -> list[int]:
    """The epochs that get a rider of their own, the earliest first."""
    coming = sorted(members, key=lambda choice: choice.earliest, reverse=True)
    ready: list[int] = []
    found = []
    for epoch in epochs:
        while coming and coming[-1].earliest <= epoch:
            heapq.heappush(ready, coming.pop().latest)
        while ready and ready[0] < epoch:
            heapq.heappop(ready)
        if ready:
            heapq.heappop(ready)
            found.append(epoch)
    return found


def _fits(members: Sequence[Choice], epochs: Sequence[int]) -> bool:
    return len(_matched(members, sorted(epochs))) == len(epochs)


def _classes(choices: Iterable[Choice]) -> dict[Hashable, list[Choice]]:
    classes: dict[Hashable, list[Choice]] = {}
    for choice in choices:
        classes.setdefault(choice.key, []).append(choice)
    return classes


def _covered(reached: Iterable[tuple[int, int]]) -> int:
    """How many epochs lie in one of these ranges, from after the first to the last."""
    covered = last = 0
    for since, until in sorted(reached):
        covered += max(0, until - max(since, last))
        last = max(last, until)
    return covered
