"""Early stopping: which branches of the tree may rest, as others look better."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from sweeps.file.search import EarlyStopping
from sweeps.search.halving import Halving
from sweeps.sharing.rider import Rider

Course = Callable[[Rider], Sequence[Mapping[str, float]]]
"""How a rider has come along: a point an epoch, the first after one epoch."""


class Stopping:
    """The tree's judge: compares trials after parts of their training.

    searched: the trials that may be paused; the others are only compared with.
    """

    def __init__(
        self,
        settings: EarlyStopping,
        objectives: Mapping[str, str],
        course: Course,
        searched: Collection[str],
    ) -> None:
        self.halving = Halving(settings, objectives)
        self.objectives, self.course, self.searched = objectives, course, searched
        self._passed: dict[str, int] = {}  # rungs, by trial

    def marks(self, epochs: int) -> list[int]:
        """After which epochs trials are compared."""
        return self.halving.epochs(epochs)

    def hopeless(self, aboard: Sequence[Rider], going_on: Sequence[Rider]) -> bool:
        """Whether none of those who go on on a branch is worth it."""
        for rider in aboard:
            self.compare(rider)
        return all(self.out(rider.key) for rider in going_on)

    def compare(self, rider: Rider) -> None:
        """See how far a trial has come, whether it was trained or replayed.

        Before its policy acts nothing is known of it that is not known of all.
        """
        rungs, passed = self.marks(rider.epochs), self._passed.get(rider.key, 0)
        if passed == len(rungs) or rider.state.epoch < rungs[passed]:
            return
        points = self.course(rider)
        while passed < len(rungs) and rider.state.epoch >= rungs[passed]:
            if any(turn.epoch <= rungs[passed] for turn in rider.state.turns):
                so_far = points[rungs[passed] - 1]
                values = [so_far[name] for name in self.objectives]
                self.halving.reach(rider.key, passed, values)
            passed += 1
        self._passed[rider.key] = passed

    def out(self, key: str) -> bool:
        """Whether a trial is to rest, were it alone on its branch."""
        return key in self.searched and not self.halving.keeps(key)

    def rungs(self, key: str) -> list[list[float] | None]:
        """What a trial had when it was compared, None where it was not."""
        return self.halving.values(key)[: self._passed.get(key, 0)]

    def restore(self, key: str, rungs: Sequence[Sequence[float] | None]) -> None:
        """What it had in an earlier run."""
        self._passed[key] = len(rungs)
        for rung, values in enumerate(rungs):
            if values is not None:
                self.halving.reach(key, rung, values)
