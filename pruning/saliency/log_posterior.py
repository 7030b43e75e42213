"""Log posteriors of a network as it is, and as it would be with single weights at zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from pruning.actions import By, Mask
from pruning.saliency.base import Likelihood, Probe

if TYPE_CHECKING:
    from torch import Tensor

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
    likelihood: Likelihood = "mean"
    mu: float = 0.0
    sigma: Annotated[float, Field(gt=0)] = 1.0

    def score(self, network: Network, seed: int) -> Tensor:
        """[2]: the log posterior of the network, and that of a pruned copy; nats.

        Both lack the normal's constant, which is the same for both. Raises ValueError without a
        sample.
        """
        from pruning.saliency.posterior import Posterior, before_and_after

        mask = Mask(self.sparsity, self.by, seed=self.seed)
        posterior = Posterior(self.likelihood, self.mu, self.sigma)
        return before_and_after(network, posterior, mask, seed)
