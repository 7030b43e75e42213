"""Magnitude: how large a unit's weights are."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from pruning.saliency.base import Saliency
from pruning.structure.network import Network


class Magnitude(Saliency):
    """L2 norm of the weights that compute a unit: all tied filters together.

    normalize: ``size`` divides by the square root of the number of those weights (EPI, Shen et
    al. 2022 [L]); ``layer`` divides by the root mean square over the layer's units; ``none``
    leaves the plain norm. Dividing by size ranks whole layers of wide filters below others and
    can ruin small networks when layers are ranked together; use ``none`` there.
    """

    name: ClassVar[str] = "magnitude"

    normalize: Literal["size", "layer", "none"] = "size"

    def score(self, network: Network, seed: int) -> Tensor:
        """||W_n||_2 over filters without their biases, normalised as set; [alive units]."""
        squares = network.per_unit(lambda _, weight: _matrix(weight.square()))
        if self.normalize == "size":
            squares = squares / network.per_unit(lambda _, weight: _matrix(torch.ones_like(weight)))
        elif self.normalize == "layer":
            squares = squares / network.group_mean(squares)
        return squares.sqrt()


def _matrix(values: Tensor) -> Tensor | None:
    return values if values.ndim > 1 else None
