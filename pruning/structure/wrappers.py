"""Models inside others: compiled, or spread over devices; and those that hold no layers to cut."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from pruning.structure.units import UntraceableError

_SPREAD = ("DistributedDataParallel", "FullyShardedDataParallel")


def unwrapped(model: nn.Module) -> nn.Module:
    """The model that torch.compile or DataParallel wraps; they hold the same one, before and after.

    Raises UntraceableError for what cannot lose units as it is, and says what can.
    """
    kind = type(model).__name__
    if isinstance(model, torch.export.ExportedProgram) or _is_exported(model):
        raise UntraceableError(
            "an exported program has its shapes for good; give the model before torch.export, and "
            "export what is left"
        )
    if not isinstance(model, nn.Module):
        raise UntraceableError(f"a model is wanted (torch.nn.Module), not a {kind}")
    if kind in _SPREAD:
        raise UntraceableError(
            f"{kind} holds the sizes of its gradients; give the model within (.module), and wrap "
            "it anew after each cut"
        )
    for attribute, wrapper in (("_orig_mod", "OptimizedModule"), ("module", "DataParallel")):
        if kind == wrapper:
            return unwrapped(getattr(model, attribute))
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            what = f"{name!r} of {kind}" if name else "the model"
            raise UntraceableError(
                f"{what} is scripted (torch.jit), and no layer of it can lose units; give the "
                "model before torch.jit, and script what is left"
            )
    return model


def _is_exported(model: object) -> bool:
    return isinstance(model, torch.fx.GraphModule) and hasattr(model, "_guards_fn")


@contextmanager
def uncompiled() -> Iterator[None]:
    """What is compiled runs as it was written in here: copies, once each, and seen from outside."""
    if "torch._dynamo" not in sys.modules:  # to load it takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"), warnings.catch_warnings():
        # of a compiled part of a model, though nothing is compiled here
        warnings.filterwarnings("ignore", "Using `torch.compile.* global hooks")
        yield
