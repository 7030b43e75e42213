"""SNIP: how sensitive the loss is to a unit's connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pruning.saliency.base import Saliency

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.structure.network import Network


class Snip(Saliency):
    """Sum over a unit's weights of |gradient times weight|, the mean over the steps.

    Lee, Ajanthan, Torr: SNIP, ICLR 2019. |g w| per connection on one batch of the untrained
    network [C]; summed over the weights that compute a unit, biases left out, and averaged over the
    batches of the sample [G]. Their normalisation by the sum over the network changes no rank.
    The absolute value is taken per weight, so that the sum does not vanish under a batch norm as
    that of ``taylor`` over weights does.
    """

    name: ClassVar[str] = "snip"
    per_step: ClassVar[bool] = True

    def score(self, network: Network, seed: int) -> Tensor:
        """One step's sum of |g * w|; [alive units]."""
        return network.per_unit(_sensitivity)


def _sensitivity(_: str, weight: Tensor) -> Tensor | None:
    if weight.grad is None or weight.ndim < 2:
        return None
    return (weight.grad * weight.detach()).abs()
