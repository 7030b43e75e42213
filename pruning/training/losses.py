"""Losses by name: what a training brings down, and what each wants of targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pruning.errors import unknown
from pruning.names import is_dotted
from pruning.reading.target import Asked
from pruning.settings import Settings


@dataclass(frozen=True)
class Kind:
    """What is known of a loss.

    targets: how it reads them. metric: what networks are judged by if nothing else is said.
    options: of torch's function.
    """

    targets: Asked
    metric: str
    options: tuple[str, ...] = ()


LOSSES = {
    "cross_entropy": Kind("classes", "accuracy", ("weight", "ignore_index")),
    "bce_with_logits": Kind("values", "accuracy", ("weight", "pos_weight")),
    "mse": Kind("values", "mse"),
}
OWN = Kind("typed", "loss")
"""One of the user's own: what it wants is not known."""


class LossSpec(Settings):
    """cross_entropy, bce_with_logits, mse, or ``package.module:function`` of output and target.

    A function of one's own (or a class, made with the options) gets what the model returns, and
    gives the mean loss, a scalar. options: of the function; of ours, lists become tensors.
    """

    name: str = "cross_entropy"
    options: dict[str, Any] = {}

    @property
    def kind(self) -> Kind:
        """What is known of it. Raises ValueError for a name that is none."""
        if self.name in LOSSES:
            kind = LOSSES[self.name]
            for option in self.options:
                if option not in kind.options:
                    raise ValueError(f"{self.name}: {unknown('option', option, kind.options)}")
            return kind
        if is_dotted(self.name):
            return OWN
        raise ValueError(unknown("loss", self.name, {*LOSSES, "package.module:function"}))

    @property
    def own(self) -> bool:
        """Whether it is the user's."""
        return self.kind is OWN
