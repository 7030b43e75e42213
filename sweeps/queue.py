"""How trials reach Ray Tune: one after another, as it asks for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from ray.tune.search import Searcher


class TrialQueue(Searcher):  # type: ignore[misc]
    """Hands out configurations in order, each once.

    Handed out one by one, trials wait for an actor that is free; a grid given to Tune whole would
    start, and then discard, a fresh process for every trial.
    """

    def __init__(self, configurations: Iterable[dict[str, Any]]) -> None:
        super().__init__()
        self._waiting = deque(configurations)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        return self._waiting.popleft() if self._waiting else Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial's outcome is told by its own report."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: what is finished is known from the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""
