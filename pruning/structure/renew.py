"""New weights for a network as it stands."""

from __future__ import annotations

import torch
from torch import nn


def renew(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
    """Every layer begins anew, as torch initialises it, and the optimizer forgets.

    Draws from torch's global random state. Parameters that belong to no layer with
    ``reset_parameters`` keep their values.
    """
    for module in model.modules():
        for name in ("reset_parameters", "_reset_parameters"):
            reset = getattr(module, name, None)
            if callable(reset):
                reset()
                break
    if optimizer is not None:
        optimizer.state.clear()
