"""New weights for a network as it stands."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.optim import Optimizer

from pruning.structure.optimizers import forget


def renew(model: nn.Module, optimizers: Sequence[Optimizer] = ()) -> None:
    """Every layer begins anew, as torch initialises it, and the optimizers forget.

    Draws from torch's global random state. Parameters that belong to no layer with
    ``reset_parameters`` keep their values.
    """
    for module in model.modules():
        for name in ("reset_parameters", "_reset_parameters"):
            reset = getattr(module, name, None)
            if callable(reset):
                reset()
                break
    forget(optimizers)
