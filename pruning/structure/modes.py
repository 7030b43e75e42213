"""What of a network runs in training, and not in evaluation."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def training_only(model: nn.Module, args: tuple[Any, ...]) -> list[str]:
    """Names of layers with weights that a forward pass reaches in training mode alone.

    model: in evaluation mode, as it is left. A model whose forward pass in training mode fails on
    these arguments counts as having none.
    """
    layers = {
        name: module
        for name, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    }
    evaluated = _called(model, args, layers)
    silent = {name: module for name, module in layers.items() if name not in evaluated}
    if not silent:
        return []
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    model.train()
    try:
        return sorted(_called(model, args, silent))
    except Exception:  # a user's model may fail in any way
        return []
    finally:
        for module, training in modes:
            module.training = training
        for buffer, before in buffers:
            buffer.copy_(before)


def _called(model: nn.Module, args: tuple[Any, ...], layers: dict[str, nn.Module]) -> set[str]:
    called: set[str] = set()
    hooks = [
        layer.register_forward_pre_hook(lambda *_, name=name: called.add(name))
        for name, layer in layers.items()
    ]
    try:
        with torch.no_grad():
            model(*args)
    finally:
        for hook in hooks:
            hook.remove()
    return called
