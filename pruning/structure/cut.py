"""A tensor made smaller where it is: the same object, with fewer entries.

A cut keeps the identity of what it cuts, so that everything that holds a parameter holds it still:
optimizers, lists made before, hooks, marks, a subclass. Torch allows it by ``tensor.data``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

Cut = dict[int, Tensor]
"""dim -> positions that stay along it, int64."""


def select(tensor: Tensor, cut: Cut) -> Tensor:
    """The entries that stay, in the memory format that was."""
    # Selecting makes a contiguous tensor: channels-last would be lost. Strides say the order of the
    # dimensions; where two are equal, as with one input channel, the larger one is the outer.
    dims = range(tensor.dim())
    order = sorted(dims, key=lambda d: (tensor.stride(d), tensor.shape[d]), reverse=True)
    dense = tensor.detach().permute(order)
    stays = {order.index(dim): stay.to(dense.device) for dim, stay in cut.items()}
    if set(stays) == {0, 1}:  # at once: rows alone are a third of a large matrix, or more
        dense = dense[stays[0][:, None], stays[1]].contiguous()
    else:
        for at, stay in stays.items():
            dense = dense.index_select(at, stay)
    return dense.permute([order.index(d) for d in dims])


@torch.inference_mode(False)
@torch.no_grad()
def shorten(tensor: Tensor, cut: Cut) -> None:
    """Leave only the entries that stay, in the tensor and in its gradient.

    A backward pass through a graph from before is torch's error of a variable changed in place.
    """
    smaller, gradient = select(tensor, cut), tensor.grad if tensor.is_leaf else None
    counted = not tensor.is_inference()  # in no graph, and without a version
    tensor.grad = None
    # While a loss of before is alive, so is the node that adds up this tensor's gradient, and it
    # insists on the old shape. Torch makes a new one where the type changes, even for a moment.
    passing = torch.float16 if tensor.dtype is not torch.float16 else torch.float32
    tensor.data = torch.empty(0, dtype=passing, device=tensor.device)
    tensor.data = smaller
    if counted:
        torch.autograd.graph.increment_version(tensor)
    if gradient is not None:
        tensor.grad = select(gradient, cut)


def aligned(tensor: Tensor, shape: torch.Size) -> bool:
    """Whether every dimension of a tensor is that of a shape, or has one entry."""
    # one: Adafactor keeps sums over rows and over columns
    return tensor.dim() == len(shape) and all(
        size in (1, whole) for size, whole in zip(tensor.shape, shape, strict=True)
    )


def matching(tensor: Tensor, shape: torch.Size, cut: Cut) -> Cut:
    """Of a cut of a tensor of this shape, what another one that is aligned with it loses."""
    return {dim: stay for dim, stay in cut.items() if tensor.shape[dim] == shape[dim]}


def leaves(
    value: object, path: tuple[object, ...] = ()
) -> Iterator[tuple[tuple[object, ...], object]]:
    """Everything in nested mappings and sequences that is none itself, each with the way to it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes, torch.Size)):
        for number, item in enumerate(value):
            yield from leaves(item, (*path, number))
    else:
        yield path, value
