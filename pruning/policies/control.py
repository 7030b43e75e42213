"""Controls: networks of another policy's size, without which a pruning result means nothing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable

import numpy as np
import numpy.typing as npt

from pruning.actions import Prune
from pruning.history import History
from pruning.policies.base import Policy
from pruning.policies.named import AnyPolicy
from pruning.settings import canonical


class Control(Policy):
    """A network that is small from the start, trained from new weights to the end.

    of: the policy it is compared with, with its settings. Where that ended, on the same task and
    seed, says how small; it is trained first, and is a trial of its own.
    """

    of: AnyPolicy

    def reference(self) -> Policy:
        """The policy it is compared with."""
        return self.of

    @abstractmethod
    def widths(self, history: History) -> npt.NDArray[np.int64]:
        """How many units each layer has, [layers]."""

    def decide(self, history: History) -> Prune | None:
        """Before training, all units of a layer beyond its width; what stays begins anew.

        None where the policy it is compared with has removed nothing: that is dense training.
        Raises ValueError if nothing is known of that policy's end.
        """
        if history.epoch > 0:
            return None
        if history.reference is None:
            raise ValueError(f"{self.name} needs the end of {self.of.name}: history.reference")
        layout = history.layout
        number = np.arange(layout.total) - layout.offsets[layout.group_of]
        gone = np.flatnonzero(number >= self.widths(history)[layout.group_of])
        return Prune.of(gone, reinit=True) if len(gone) else None

    def asks(self, epoch: int, epochs: int, acted: bool) -> bool:
        """Of the untrained network."""
        return epoch == 0

    def check(self, epochs: int) -> None:
        """As the policy it is compared with."""
        self.of.check(epochs)

    def first_action(self, epochs: int) -> tuple[int, int]:
        """Before training."""
        return 0, 0

    def action_key(self) -> Hashable:
        """The policy it is compared with."""
        return type(self), canonical(self.identity())
