"""H g, the Hessian of the loss times its own gradient: what a weight does for gradient flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _NormBase

from pruning.saliency.base import Statistics
from pruning.structure.aside import Sample, untouched
from pruning.structure.masks import weight_tensors
from pruning.structure.network import Network


def hessian_gradient(
    network: Network, why: str, statistics: Statistics, temperature: float = 1.0
) -> dict[str, Tensor]:
    """H g by parameter: d(g . h)/dw with h = g and g held still.

    g and H are of the mean loss over the batches of the sample, by the weights: the parameters of
    two and more dimensions. The papers take sums over batches, which changes no rank [G]. Dropout
    is off [G]. temperature: that outputs are divided by before the loss.
    Leaves the network as it was. Raises ValueError without a sample: ``why`` says what needs it.
    """
    sample = network.needs_sample(why)
    model = network.model
    weights = {name: weight for name, weight in weight_tensors(model) if weight.requires_grad}
    asked = tuple(weights.values())
    with untouched(model), _twice_differentiable(), _cooled(model, temperature):
        _set_modes(model, statistics)
        batches = list(sample.batches())
        share = 1 / len(batches)
        # Two rounds over the batches, as the product needs the whole g: to keep the graphs of the
        # first one would take the memory of all batches at once.
        first = _total(_gradient(model, sample, batch, asked) for batch in batches)
        first = [share * gradient for gradient in first]
        second = _total(_product(model, sample, batch, asked, first) for batch in batches)
    return {name: share * part for name, part in zip(weights, second, strict=True)}


def check_twice_differentiable(network: Network, why: str) -> None:
    """Raise ValueError for a network with a function of which torch has no second derivative."""
    for name, module in network.model.named_modules():
        if isinstance(module, nn.Hardsigmoid):
            raise ValueError(
                f"{why} needs second derivatives; torch has none of Hardsigmoid ({name!r})"
            )


def _gradient(
    model: nn.Module, sample: Sample, batch: object, weights: Sequence[Tensor], graph: bool = False
) -> tuple[Tensor, ...]:
    loss = sample.loss(model, batch)
    return torch.autograd.grad(
        loss, weights, create_graph=graph, allow_unused=True, materialize_grads=True
    )


def _product(
    model: nn.Module,
    sample: Sample,
    batch: object,
    weights: Sequence[Tensor],
    direction: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    gradient = _gradient(model, sample, batch, weights, graph=True)
    flow = torch.stack([(g * d).sum() for g, d in zip(gradient, direction, strict=True)]).sum()
    return torch.autograd.grad(flow, weights, allow_unused=True, materialize_grads=True)


def _total(parts: Iterable[Sequence[Tensor]]) -> Sequence[Tensor]:
    return reduce(lambda a, b: [x + y for x, y in zip(a, b, strict=True)], parts)


def _set_modes(model: nn.Module, statistics: Statistics) -> None:
    model.eval()
    for module in model.modules():
        if isinstance(module, _NormBase):
            module.train(statistics == "batch")


@contextmanager
def _twice_differentiable() -> Iterator[None]:
    """Attention that has a second derivative; gradients, whatever holds outside."""
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        yield


@contextmanager
def _cooled(model: nn.Module, temperature: float) -> Iterator[None]:
    """The model gives its output divided by the temperature."""
    if temperature == 1:
        yield
        return
    hook = model.register_forward_hook(lambda _module, _inputs, output: output / temperature)
    try:
        yield
    finally:
        hook.remove()
