"""Magnitude: how large a unit's weights are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pruning.saliency.base import Saliency

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.structure.network import Network


class Magnitude(Saliency):
    """Norm of the weights that compute a unit: all tied filters together.

    norm: ``l2``, or ``l1``, the sum of absolute values.
    normalize: ``size`` divides by the square root of the number of those weights (EPI, Shen et
    al. 2022 [L]), of the L1 norm by their number; ``layer`` divides by the root mean square, of
    the L1 norm by the mean, over the layer's units; ``none`` leaves the plain norm. Dividing by
    size ranks whole layers of wide filters below others and can ruin small networks when layers
    are ranked together; use ``none`` there.
    """

    name: ClassVar[str] = "magnitude"

    normalize: Literal["size", "layer", "none"] = "size"
    norm: Literal["l2", "l1"] = "l2"

    def score(self, network: Network, seed: int) -> Tensor:
        """||W_n|| over filters without their biases, normalised as set; [alive units]."""
        squares = self.norm == "l2"
        sums = network.per_unit(
            lambda _, weight: _matrix(weight.square() if squares else weight.abs())
        )
        if self.normalize == "size":
            sums = sums / network.per_unit(
                lambda _, weight: _matrix(weight.new_ones(()).expand_as(weight))
            )
        elif self.normalize == "layer":
            sums = sums / network.group_mean(sums)
        return sums.sqrt() if squares else sums


def _matrix(values: Tensor) -> Tensor | None:
    return values if values.ndim > 1 else None
