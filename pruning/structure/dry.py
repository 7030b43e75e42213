"""Running a network only to see what it does: nothing is computed, and it is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from pruning.structure.copies import Example, as_args, copy_model, first_samples, map_tensors
from pruning.structure.wrappers import uncompiled

T = TypeVar("T")


def dry_run(
    model: nn.Module,
    example_input: Example,
    run: Callable[[nn.Module, tuple[Any, ...]], T],
    samples: int = 1,
) -> T:
    """``run(copy, arguments)`` with so many samples, in evaluation mode and without gradients.

    The copy has no hooks and no storage. One that cannot run without storage runs again with it,
    on its own device; random states are as before afterwards.
    """
    args = first_samples(as_args(example_input), samples)
    with torch.no_grad(), uncompiled():
        try:
            bare = copy_model(model, lambda t: torch.empty_like(t, device="meta"))
            return run(bare, map_tensors(args, lambda t: t.to("meta")))
        except Exception:
            with torch.random.fork_rng():
                return run(copy_model(model, lambda t: t.clone()), args)
