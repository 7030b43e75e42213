"""Single weights: set to zero, and held there while training goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from pruning.actions import Mask
from pruning.randomness import generator


def weight_tensors(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The tensors whose single weights can be pruned: two and more dimensions, no biases."""
    return ((name, weight) for name, weight in model.named_parameters() if weight.ndim > 1)


def masks_for(model: nn.Module, action: Mask, *draw: int) -> dict[str, Tensor]:
    """Which weights stay, bool by name, each tensor for itself.

    In a tensor of n weights round(sparsity * n) are gone: those that are zero already count first.
    Of equal magnitudes the first goes. draw: what a random choice depends on beside
    the action's seed and the tensor's name: the trial's seed and the epoch.
    """
    masks = {}
    for name, weight in weight_tensors(model):
        flat = weight.detach().flatten()
        score = flat.abs()
        if action.by == "random":
            stream = generator(*draw, action.seed, name, "mask")
            drawn = torch.rand(flat.numel(), generator=stream, dtype=torch.float64) + 0.5
            score = torch.where(score > 0, drawn.to(flat.device), 0.0)
        gone = torch.sort(score, stable=True).indices[: round(action.sparsity * flat.numel())]
        mask = torch.ones_like(flat, dtype=torch.bool)
        mask[gone] = False
        masks[name] = mask.view_as(weight)
    return masks


@torch.no_grad()
def set_to_zero(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Zero what a mask leaves out."""
    weights = dict(model.named_parameters())
    for name, mask in masks.items():
        weights[name].mul_(mask)
