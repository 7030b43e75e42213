"""First-order Taylor: how much the loss would change without the unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pruning.saliency.base import Saliency

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.structure.network import Network


class Taylor(Saliency):
    """|sum of gradient times weight| over a unit, averaged over the epoch's steps.

    Molchanov et al. 2019; as EPI's gradient saliency [L].

    form: ``auto`` uses gamma and beta of the batch norm where a unit has one,
    |g_gamma * gamma + g_beta * beta|, and the weights elsewhere. Under a batch norm the sum over
    a filter's weights is zero, because their scale does not matter. ``weights`` uses the weights
    everywhere.
    """

    name: ClassVar[str] = "taylor"
    per_step: ClassVar[bool] = True

    form: Literal["auto", "weights"] = "auto"

    def score(self, network: Network, seed: int) -> Tensor:
        """One step's |sum g * w|; [alive units]."""
        weights = network.per_unit(_change, roles=("produce",)).abs()
        if self.form == "weights":
            return weights
        norms = network.per_unit(_change, roles=("norm",)).abs()
        return norms.where(network.entries(roles=("norm",)) > 0, weights)


def _change(_: str, parameter: Tensor) -> Tensor | None:
    return None if parameter.grad is None else parameter.grad * parameter.detach()
