"""Activation density: how much of a unit's feature map is not zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from pruning.saliency.base import ActivationSaliency
from pruning.structure.functions import Kind

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.structure.network import Network


class ActivationDensity(ActivationSaliency):
    """Share of non-zero activations behind the activation function, over batch and positions.

    Foldy-Porto, Venkatesha, Panda, arXiv 2002.02949: the ratio [C], over one epoch of training [L].
    A layer without an activation function, such as a linear bottleneck, counts as 1 [G].

    eps: |a| > eps counts as non-zero [G]; 0 is the paper's. A network whose activation functions
    make no exact zeros (GELU, leaky ReLU) is refused with it.
    """

    name: ClassVar[str] = "activation_density"
    kinds: ClassVar[tuple[Kind, ...]] = ("rectified", "nonlinear")
    unseen: ClassVar[float] = 1.0

    eps: Annotated[float, Field(ge=0)] = 0.0

    def per_channel(self, activation: Tensor, gradient: Tensor | None) -> Tensor:
        """Between 0 and 1, [channels]."""
        import torch

        found = torch.empty_like(activation)  # ones and zeros: much faster to add up than bools
        if self.eps:
            torch.gt(activation.abs(), self.eps, out=found)
        else:
            torch.ne(activation, 0, out=found)
        return found.mean((0, 2), dtype=torch.float32)

    def check(self, network: Network) -> None:
        """Refuse a network without an activation function that makes zeros, or small values."""
        from pruning.structure.survey import survey

        best = dict(zip(network.layout.names, survey(network).best, strict=True))
        counted = self.kinds if self.eps else ("rectified",)
        if any(site and site.kind in counted for site in best.values()):
            return
        bent = [name for name, site in best.items() if site and site.kind == "nonlinear"]
        name = (bent or list(best))[0]
        site = best[name]
        reason = f"behind {name!r} is {site.function}" if site and bent else f"{name!r} has none"
        raise ValueError(
            f"saliency activation_density needs an activation function that makes zeros, and "
            f"{reason}{'; with eps > 0 values up to eps count as zeros' if bent else ''}"
        )
