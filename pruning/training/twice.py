"""A user's network built twice from one seed, as trials and snapshots build it again and again."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor, nn

from pruning.errors import InputError
from pruning.foreign import contained
from pruning.randomness import global_stream
from pruning.training.models import Shape


def try_twice(name: str, build: Callable[[], nn.Module], shape: Shape) -> None:
    """Raise InputError unless each is a network of its own, and both have the same tensors.

    Warns where their weights differ: trials of one seed will. shape: of a sample.
    """
    one, other = build(), build()
    first, second = _tensors(one), _tensors(other)
    ours = {id(tensor): where for where, tensor in first.items()}
    if shared := next((ours[id(t)] for t in second.values() if id(t) in ours), None):
        raise InputError(
            f"task.model: {name!r} returns a network that it has returned before, or one that "
            f"shares {shared!r} with it; each trial trains one of its own"
        )
    if different := _difference(first, second):
        raise InputError(
            f"task.model: {name!r} returns another network each time: {different}; it is to follow "
            f"from shape, classes and options"
        )
    if changed := next((w for w in first if not _same(first[w], second[w])), None):
        warnings.warn(
            f"task.model: the weights of {name!r} do not follow torch's seed ({changed!r} differs "
            f"when it is built again): trials of one seed begin apart",
            stacklevel=2,
        )
    _run(one, shape)
    if grown := _difference(first, _tensors(one)):
        raise InputError(f"task.model: {name!r} is another network after each call: {grown}")


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> str:
    if names := sorted(one.keys() ^ other.keys()):
        return f"only one has {names[0]!r}"
    for where, tensor in one.items():
        shapes = tuple(tensor.shape), tuple(other[where].shape)
        if shapes[0] != shapes[1]:
            return f"{where!r} is {shapes[0]}, then {shapes[1]}"
    return ""


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.nan_to_num(), other.nan_to_num())


def _run(model: nn.Module, shape: Shape) -> None:
    """In either mode; what fails is said of the network that is trained."""
    with global_stream(torch.device("cpu"), 0), torch.no_grad():
        for mode in (False, True):
            with suppress(Exception), contained():
                model.train(mode)
                model(torch.zeros(4, *shape))
