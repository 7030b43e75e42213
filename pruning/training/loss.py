"""A loss ready to use: torch's function of its name, or one's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pruning.errors import InputError
from pruning.names import import_dotted
from pruning.training.losses import LossSpec
from pruning.training.outputs import main_output

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": functional.cross_entropy,
    "bce_with_logits": functional.binary_cross_entropy_with_logits,
    "mse": functional.mse_loss,
}

_PROBABILITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "cross_entropy": lambda output: output.softmax(1),
    "bce_with_logits": torch.sigmoid,
}


def probabilities(name: str) -> Callable[[Tensor], Tensor]:
    """Of an output, for metrics that want them; the output itself where a loss knows none."""
    return _PROBABILITIES.get(name, lambda output: output)


@dataclass(frozen=True)
class Loss:
    """A loss ready to use, its options given."""

    function: Callable[..., Any]
    own: bool

    @classmethod
    def of(cls, spec: LossSpec, device: torch.device) -> Loss:
        """Raises InputError for a function that cannot be had."""
        if not spec.own:
            given = {name: _ready(option, device) for name, option in spec.options.items()}
            return cls(partial(FUNCTIONS[spec.name], **given), own=False)
        try:
            found = import_dotted(spec.name)
            made = found(**spec.options) if inspect.isclass(found) else found
        except Exception as error:  # the user's code may fail in any way
            raise InputError(f"task.loss: {' '.join(str(error).split())}") from None
        if not callable(made):
            raise InputError(f"task.loss: {spec.name!r} is {type(made).__name__}, not a function")
        if isinstance(made, nn.Module):
            made = made.to(device)
        return cls(made if inspect.isclass(found) else partial(made, **spec.options), own=True)

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
