"""Batch norm over a batch of which each process has a part.

Ioffe, Szegedy: Batch Normalization, ICML 2015, over the whole batch. Torch's SyncBatchNorm does the
same, but not on a CPU, and it would be another class of layer in the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.autograd.function import once_differentiable
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode


class WholeBatch(TorchFunctionMode):
    """While it is entered, batch norms in training use the statistics of the whole batch.

    Every process must come to the same batch norms in the same order, forward and backward. What
    trains, hooks and measures sees the layers and functions it knows: modules are left as they are.
    A backward pass that runs a batch norm again (checkpointing) is refused by torch.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        replaced = _batch_norm if func is batch_norm else func
        return replaced(*args, **(kwargs or {}))


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As ``torch.nn.functional.batch_norm``, x [part of the batch, channels, ...]."""
    if not training:
        return batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    mean, variance, count = _statistics(x.detach())
    if running_mean is not None and running_var is not None:
        unbiased = variance * count / (count - 1)
        with torch.no_grad():
            running_mean.mul_(1 - momentum).add_(momentum * mean)
            running_var.mul_(1 - momentum).add_(momentum * unbiased)
    out: Tensor = _Normalise.apply(x, weight, bias, mean, variance, count, eps)
    return out


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance [channels] and number [1] of the values of all processes, float64.

    From the mean and the variance of each part, so that nothing large is subtracted from anything
    large (Chan, Golub, LeVeque, The American Statistician 1983).
    """
    variance, mean = torch.var_mean(_wide(x), _dims(x), correction=0)
    channels = len(mean)
    # gathered, not summed: the formula needs each part's own mean
    own = torch.cat([mean, variance, mean.new_tensor([x.numel() // channels])]).double()
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    means, variances, counts = torch.split(torch.stack(parts), [channels, channels, 1], dim=1)
    count = counts.sum(0)
    mean = (means * counts).sum(0) / count
    variance = ((variances + (means - mean).square()) * counts).sum(0) / count
    return mean, variance, count


class _Normalise(torch.autograd.Function):
    """Normalise by given statistics that are functions of what all processes give."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        count: Tensor,
        eps: float,
    ) -> Tensor:
        """As x."""
        wide = _wide(x).dtype
        scale = (variance + eps).rsqrt().to(wide)
        ctx.save_for_backward(x, weight, mean.to(wide), scale, count)
        return batch_norm(x, mean.to(wide), variance.to(wide), weight, bias, eps=eps)

    @staticmethod
    @once_differentiable  # the sum over processes has no derivative: an error, not a wrong one
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """By x with what it does to all processes; by weight and bias of this process's part."""
        x, weight, mean, scale, count = ctx.saved_tensors
        shape = [1, -1] + [1] * (x.dim() - 2)
        wide = gradient.to(mean.dtype)
        normal = (x - mean.view(shape)) * scale.view(shape)
        by_bias, by_weight = wide.sum(_dims(x)), (wide * normal).sum(_dims(x))
        whole = torch.stack([by_bias, by_weight]).double()
        dist.all_reduce(whole)
        shift, stretch = (whole / count).to(mean.dtype)
        factor = scale if weight is None else scale * weight
        by_x = (wide - shift.view(shape) - normal * stretch.view(shape)) * factor.view(shape)
        of_weight = (by_weight, by_bias) if weight is not None else (None, None)
        return by_x.to(x.dtype), *of_weight, None, None, None, None


def _dims(x: Tensor) -> list[int]:
    """All but the channels'."""
    return [0, *range(2, x.dim())]


def _wide(x: Tensor) -> Tensor:
    """In single precision at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
