"""A policy: looks at the history after every epoch and leaves the network or removes units."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

from pruning.actions import Action, Mask, Prune
from pruning.foreign import contain
from pruning.history import History
from pruning.saliency import Probe
from pruning.settings import Settings, canonical

__all__ = ["Action", "Mask", "Policy", "Prune"]


class Policy(Settings):
    """A pure function of its settings and the history.

    A new policy is a subclass with a ``name``, its settings as fields, and ``decide``. It never
    sees the network, the clock, the test split or a global random state; the same history gives
    the same action, so that trials can share training and be replayed.
    """

    name: ClassVar[str]
    paper: ClassVar[str] = ""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        contain(cls)

    def probes(self) -> Sequence[Probe]:
        """What must be measured during every epoch for ``decide``."""
        return ()

    def asks(self, epoch: int, epochs: int, acted: bool) -> bool:
        """Whether the probes are to be measured in this epoch of a training of ``epochs``.

        acted: whether it has acted before this epoch. Measuring costs time: a policy that will not
        decide any more need not ask.
        """
        return True

    def reference(self) -> Policy | None:
        """The policy whose end ``history.reference`` is to hold, of a control; None for others."""
        return None

    @abstractmethod
    def decide(self, history: History) -> Action | None:
        """What to do to the network now, None to leave it as it is.

        Asked before training and after every epoch but the last; ``history.epoch`` says how many
        were trained.
        """

    def indicator(self, history: History) -> float | None:
        """The number this policy watches, for plots and curves; None if there is none yet."""
        return None

    def check(self, epochs: int) -> None:
        """Raise ValueError if these settings do not fit a training of ``epochs`` epochs."""

    def first_action(self, epochs: int) -> tuple[int, int] | None:
        """The earliest and the latest epoch after which it may first act, None if it never does.

        For planning: what is known before anything is measured, in a training of ``epochs`` epochs.
        A latest of ``epochs`` says that it may never act. Counts a cut that finds nothing to remove
        as an action.
        """
        return 0, epochs

    def action_key(self) -> Hashable:
        """Equal for policies whose first actions, if after the same epoch, remove the same units.

        By default no other policy's.
        """
        return type(self), canonical(self.identity())
