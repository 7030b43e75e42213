"""Batch-norm scale: |gamma|, as network slimming and Early-Bird rank channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pruning.saliency.base import Saliency

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.structure.network import Network


class BatchNormScale(Saliency):
    """Mean |gamma| over the batch norms of a unit (Liu et al. 2017; You et al. 2020).

    Raises ValueError for a network with a prunable layer that has no batch norm.
    """

    name: ClassVar[str] = "batch_norm_scale"

    def score(self, network: Network, seed: int) -> Tensor:
        """mean |gamma|; [alive units]."""
        scales = network.norm_scales()

        def absolute(name: str, weight: Tensor) -> Tensor | None:
            return weight.abs() if name in scales else None

        def one(name: str, weight: Tensor) -> Tensor | None:
            return weight.new_ones(weight.shape) if name in scales else None

        count = network.per_unit(one, roles=("norm",))
        bare = network.groups_where(count == 0)
        if bare:
            raise ValueError(
                f"saliency batch_norm_scale needs a batch norm after every prunable layer; "
                f"{bare[0]!r} has none"
            )
        return network.per_unit(absolute, roles=("norm",)) / count
