"""Losses: what a training brings down, of a network's output and its targets."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pruning.errors import InputError, unknown
from pruning.names import import_dotted, is_dotted
from pruning.settings import Settings
from pruning.training.outputs import main_output
from pruning.training.targets import Asked


@dataclass(frozen=True)
class Kind:
    """A loss of ours.

    targets: how it reads them. metric: what networks are judged by if nothing else is said.
    options: of torch's function. probabilities: of an output, for metrics that want them.
    """

    function: Callable[..., Tensor]
    targets: Asked
    metric: str
    options: tuple[str, ...] = ()
    probabilities: Callable[[Tensor], Tensor] = lambda output: output


LOSSES = {
    "cross_entropy": Kind(
        functional.cross_entropy,
        "classes",
        "accuracy",
        ("weight", "ignore_index"),
        lambda output: output.softmax(1),
    ),
    "bce_with_logits": Kind(
        functional.binary_cross_entropy_with_logits,
        "values",
        "accuracy",
        ("weight", "pos_weight"),
        torch.sigmoid,
    ),
    "mse": Kind(functional.mse_loss, "values", "mse"),
}
OWN = Kind(lambda output: output, "typed", "loss")
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

    def build(self, device: torch.device) -> Loss:
        """Raises InputError for a function that cannot be had."""
        if not self.own:
            given = {name: _ready(option, device) for name, option in self.options.items()}
            return Loss(partial(self.kind.function, **given), own=False)
        try:
            found = import_dotted(self.name)
            made = found(**self.options) if inspect.isclass(found) else found
        except Exception as error:  # the user's code may fail in any way
            raise InputError(f"task.loss: {' '.join(str(error).split())}") from None
        if not callable(made):
            raise InputError(f"task.loss: {self.name!r} is {type(made).__name__}, not a function")
        if isinstance(made, nn.Module):
            made = made.to(device)
        return Loss(made if inspect.isclass(found) else partial(made, **self.options), own=True)


@dataclass(frozen=True)
class Loss:
    """A loss ready to use, its options given."""

    function: Callable[..., Any]
    own: bool

    def __call__(self, output: Any, target: Tensor, smoothing: float = 0.0) -> Tensor:
        """The mean loss, a scalar with a gradient. smoothing: of labels, for cross_entropy."""
        if self.own:
            found: Tensor = self.function(output, target)
            return found
        more: dict[str, Any] = {"label_smoothing": smoothing} if smoothing else {}
        loss: Tensor = self.function(main_output(output).float(), target, **more)
        return loss


def _ready(option: Any, device: torch.device) -> Any:
    return torch.tensor(option, device=device) if isinstance(option, list) else option
