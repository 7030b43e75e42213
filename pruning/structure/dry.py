"""Running a network only to see what it does: nothing is computed, and it is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

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


class NormShapes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answers for norms of what has no storage: they take half of a dry run, as torch works out
    their shapes in Python, step by step. What does not fit is left to torch, which says so.
    """

    supports_higher_order_operators = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _NORMS and args[0].is_meta and _fits(*args):
            return torch.empty_like(args[0]), args[0].new_empty(0), args[0].new_empty(0)
        return func(*args, **(kwargs or {}))


_NORMS = (
    torch.ops.aten.native_batch_norm.default,
    torch.ops.aten._native_batch_norm_legit_no_training.default,
    torch.ops.aten.native_layer_norm.default,
)


def _fits(value: Tensor, *given: Any) -> bool:
    """Whether the tensors that a norm is given have the shape of a value's channels."""
    shape = value.shape[1:2]
    if given and isinstance(given[0], (list, tuple)):  # of a layer norm
        shape = value.shape[value.dim() - len(given[0]) :]
        if tuple(given[0]) != shape:
            return False
    tensors = [one for one in given if isinstance(one, Tensor)]
    return all(one.is_meta and one.dtype == value.dtype and one.shape == shape for one in tensors)
