"""Dense: the control that never prunes."""

from __future__ import annotations

from typing import ClassVar

from pruning.history import History
from pruning.policies.base import Policy, Prune


class Dense(Policy):
    """Trains the whole network to the end."""

    name: ClassVar[str] = "dense"

    def decide(self, history: History) -> Prune | None:
        """Always None."""
        return None

    def first_action(self, epochs: int) -> None:
        """None."""
        return None
