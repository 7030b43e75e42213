"""Weights that are computed from other parameters: masked, normed or parametrized ones."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

_MIXING = (SpectralNorm, WeightNorm)
_HOOKS = (BasePruningMethod, *_MIXING)


def is_own(hook: object) -> bool:
    """Whether a hook is the module's own computation: torch's older ones set its weight by it."""
    return isinstance(hook, _HOOKS)


@torch.no_grad()
def recompute(module: nn.Module) -> None:
    """Bring the weights that its own hooks set up to date."""
    training, module.training = module.training, False  # in which spectral_norm's vectors move on
    for hook in module._forward_pre_hooks.values():
        if is_own(hook):
            hook(module, ())
    module.training = training


def with_computed(model: nn.Module) -> list[str]:
    """Names of the modules whose weights hang on more of their parameters than one entry.

    By hooks or as torch parametrizes them; masked ones are no obstacle.
    """
    return [name for name, module in model.named_modules() if _mixes(module)]


def _mixes(module: nn.Module) -> bool:
    hooks = module._forward_pre_hooks.values()
    return is_parametrized(module) or any(isinstance(hook, _MIXING) for hook in hooks)
