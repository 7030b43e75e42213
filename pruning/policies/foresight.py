"""Foresight: one cut before training, each with a saliency made for it."""

from __future__ import annotations

from typing import ClassVar

from pruning.history import History
from pruning.policies.base import Prune
from pruning.policies.one_shot import OneShot
from pruning.saliency import AnySaliency, grasp, snip, synflow


class Foresight(OneShot):
    """Prunes the untrained network, once."""

    def decide(self, history: History) -> Prune | None:
        """The cut, before training."""
        return self.cut(history) if history.epoch == 0 else None

    def first_action(self, epochs: int) -> tuple[int, int]:
        """Before training."""
        return 0, 0


class Snip(Foresight):
    """SNIP: by connection sensitivity, summed over each unit's weights [G]."""

    name: ClassVar[str] = "snip"
    paper: ClassVar[str] = (
        "Lee, Ajanthan, Torr, SNIP: Single-shot Network Pruning based on Connection Sensitivity, "
        "ICLR 2019"
    )

    saliency: AnySaliency = snip.Snip()


class Grasp(Foresight):
    """GraSP: by what a unit does for the gradient flow, summed over its weights [G]."""

    name: ClassVar[str] = "grasp"
    paper: ClassVar[str] = (
        "Wang, Zhang, Grosse, Picking Winning Tickets Before Training by Preserving Gradient Flow, "
        "ICLR 2020"
    )

    saliency: AnySaliency = grasp.Grasp()


class Synflow(Foresight):
    """SynFlow: by the flow through a unit, in a network that shrinks by rounds; without data."""

    name: ClassVar[str] = "synflow"
    paper: ClassVar[str] = (
        "Tanaka, Kunin, Yamins, Ganguli, Pruning neural networks without any data by iteratively "
        "conserving synaptic flow, NeurIPS 2020"
    )

    saliency: AnySaliency = synflow.Synflow()
