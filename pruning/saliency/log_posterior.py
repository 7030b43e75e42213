"""Log posteriors of a network as it is, and as it would be with single weights at zero."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from pruning.actions import By, Mask
from pruning.saliency.base import Probe
from pruning.structure.aside import Sample, untouched
from pruning.structure.masks import masks_for, set_to_zero, weight_tensors
from pruning.structure.network import Network


class LogPosterior(Probe):
    """log p(D | w) + log N(w; mu, sigma^2), before and after pruning to a sparsity.

    Mathew, Rowe: Pruning a neural network using Bayesian inference, section 3 [C].

    likelihood: ``mean`` or ``sum`` over the sample, which is the same at every epoch and is run
    through the network in evaluation mode [G]. mu, sigma: of the prior over the single weights of
    all weight tensors; biases have none [G]. sparsity, by, seed: of the mask that is tried.
    """

    name: ClassVar[str] = "log_posterior"

    sparsity: Annotated[float, Field(gt=0, lt=1)]
    by: By = "magnitude"
    seed: int = 0
    likelihood: Literal["mean", "sum"] = "mean"
    mu: float = 0.0
    sigma: Annotated[float, Field(gt=0)] = 1.0

    def score(self, network: Network, seed: int) -> Tensor:
        """[2]: the log posterior of the network, and that of a pruned copy; nats.

        Both lack the normal's constant, which is the same for both. Raises ValueError without a
        sample.
        """
        sample = network.needs_sample("log_posterior")
        model = network.model
        mask = Mask(self.sparsity, self.by, seed=self.seed)
        with untouched(model), torch.no_grad():
            model.eval()
            before = self._log_posterior(network, sample)
            set_to_zero(model, masks_for(model, mask, seed, network.epoch))
            return torch.stack([before, self._log_posterior(network, sample)])

    def _log_posterior(self, network: Network, sample: Sample) -> Tensor:
        weights = [weight.double() for _, weight in weight_tensors(network.model)]
        squares = torch.stack([(weight - self.mu).square().sum() for weight in weights])
        return self._log_likelihood(network, sample) - squares.sum() / (2 * self.sigma**2)

    def _log_likelihood(self, network: Network, sample: Sample) -> Tensor:
        batches = list(sample.batches())
        sizes = [_size(batch) for batch in batches]
        losses = [sample.loss(network.model, batch).double() for batch in batches]
        total = -torch.stack([loss * size for loss, size in zip(losses, sizes, strict=True)]).sum()
        return total / sum(sizes) if self.likelihood == "mean" else total


def _size(batch: object) -> int:
    """Samples of a batch: a tensor, or a tuple that begins with one."""
    first = batch[0] if isinstance(batch, tuple | list) else batch
    return len(first) if isinstance(first, Tensor) else 1
