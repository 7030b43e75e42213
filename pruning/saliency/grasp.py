"""GraSP: which units the flow of gradients needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from pruning.saliency.base import Saliency, Statistics

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.structure.network import Network


class Grasp(Saliency):
    """Sum over a unit's weights of w * (H g).

    Wang, Zhang, Grosse: Picking Winning Tickets Before Training by Preserving Gradient Flow, ICLR
    2020. Taking out weight w changes the squared norm of the gradient, g . g, by -2 w (H g) to
    first order; the paper's score is -w (H g) and it takes out the highest, so that of what is kept
    w (H g) is highest [C]. Signs count: the sum has no absolute value. Summed over the weights that
    compute a unit, biases left out [G].

    Under a batch norm with the statistics of the batch a filter's scale does not matter, and the
    sum is minus the squared length of the filter's gradient, exactly: of two filters the one with
    the smaller gradient is kept.

    statistics: of batch norms; ``batch`` as in the authors' code [C], or ``running``.
    temperature: outputs are divided by it before the loss, 200 in the authors' code [C].
    """

    name: ClassVar[str] = "grasp"

    statistics: Statistics = "batch"
    temperature: Annotated[float, Field(gt=0)] = 200.0

    def score(self, network: Network, seed: int) -> Tensor:
        """Sum of w * (H g); [alive units]."""
        from pruning.saliency.curvature import hessian_gradient

        product = hessian_gradient(network, "grasp", self.statistics, self.temperature)
        return network.per_unit(
            lambda name, weight: weight.detach() * product[name] if name in product else None
        )

    def check(self, network: Network) -> None:
        """Refuse what has no second derivative; the sample comes with the training."""
        from pruning.saliency.curvature import check_twice_differentiable

        check_twice_differentiable(network, self.name)
