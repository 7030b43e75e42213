"""First-order Taylor on feature maps: how much the loss would change without the unit's output."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pruning.saliency.base import ActivationSaliency

if TYPE_CHECKING:
    from torch import Tensor


class FeatureTaylor(ActivationSaliency):
    """Mean over the batch of |mean over positions of activation * its gradient|.

    Molchanov et al., Pruning Convolutional Neural Networks for Resource Efficient Inference, ICLR
    2017, section 2.2; averaged over the steps of an epoch it is BEP's default saliency (Rajpal,
    Zhang, Low) [L]. Of the feature maps behind the activation function, where there is one.

    Gradients are those of the loss whose ``backward`` was called. For a mean over a batch of B
    samples each gradient has a factor 1/B; loss scaling and accumulation show in it likewise [G].
    Nothing is measured inside reentrant activation checkpointing.
    """

    name: ClassVar[str] = "feature_taylor"
    gradient: ClassVar[bool] = True

    def per_channel(self, activation: Tensor, gradient: Tensor | None) -> Tensor:
        """At least 0, [channels]."""
        assert gradient is not None
        change = activation.float() * gradient.float()
        return change.mean(2).abs().mean(0)
