"""Gradient flow: how much a unit bends the gradients, either way."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pruning.saliency.base import Saliency, Statistics

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.structure.network import Network


class GradientFlow(Saliency):
    """Sum over a unit's weights of |w * (H g)|.

    Rachwan et al.: Winning the Lottery Ahead of Time, ICML 2022 (CroP, EarlyCroP). As GraSP, but
    what changes the gradient flow least goes, up or down: the absolute value, per weight [C].
    Summed over the weights that compute a unit, biases left out [G]; the authors' structured form
    is the absolute value of the sum.

    statistics: of batch norms; ``running``, as in the authors' code [C], which mean nothing before
    training: there take ``batch``.
    """

    name: ClassVar[str] = "gradient_flow"

    statistics: Statistics = "running"

    def score(self, network: Network, seed: int) -> Tensor:
        """Sum of |w * (H g)|; [alive units]."""
        from pruning.saliency.curvature import hessian_gradient

        product = hessian_gradient(network, "gradient_flow", self.statistics)
        return network.per_unit(
            lambda name, weight: (
                (weight.detach() * product[name]).abs() if name in product else None
            )
        )

    def check(self, network: Network) -> None:
        """Refuse what has no second derivative; the sample comes with the training."""
        from pruning.saliency.curvature import check_twice_differentiable

        check_twice_differentiable(network, self.name)
