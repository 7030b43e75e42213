"""The log posterior of a network's weights, given a sample of its data and a normal prior."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pruning.actions import Mask
from pruning.saliency.base import Likelihood
from pruning.structure.aside import Sample, untouched
from pruning.structure.masks import masks_for, set_to_zero, weight_tensors
from pruning.structure.network import Network


class Posterior(NamedTuple):
    """Likelihood over a sample times the prior N(mu, sigma^2) of each weight, without constant."""

    likelihood: Likelihood
    mu: float
    sigma: float

    def log(self, model: nn.Module, sample: Sample) -> Tensor:
        """In nats, []."""
        weights = [weight.double() for _, weight in weight_tensors(model)]
        squares = torch.stack([(weight - self.mu).square().sum() for weight in weights])
        return self._log_likelihood(model, sample) - squares.sum() / (2 * self.sigma**2)

    def _log_likelihood(self, model: nn.Module, sample: Sample) -> Tensor:
        batches = list(sample.batches())
        sizes = [_size(batch) for batch in batches]
        losses = [sample.loss(model, batch).double() for batch in batches]
        total = -torch.stack([loss * size for loss, size in zip(losses, sizes, strict=True)]).sum()
        return total / sum(sizes) if self.likelihood == "mean" else total


def before_and_after(network: Network, posterior: Posterior, mask: Mask, seed: int) -> Tensor:
    """The log posterior of the network, and with the masked weights at zero, [2]; in evaluation.

    Leaves the network as it was. Raises ValueError without a sample.
    """
    sample = network.needs_sample("log_posterior")
    model = network.model
    with untouched(model), torch.no_grad():
        model.eval()
        before = posterior.log(model, sample)
        set_to_zero(model, masks_for(model, mask, seed, network.epoch))
        return torch.stack([before, posterior.log(model, sample)])


def _size(batch: object) -> int:
    """Samples of a batch: a tensor, or a tuple that begins with one."""
    first = batch[0] if isinstance(batch, tuple | list) else batch
    return len(first) if isinstance(first, Tensor) else 1
