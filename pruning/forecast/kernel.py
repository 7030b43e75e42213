"""How a unit's saliency moves with time: freeze-thaw, with an asymptote."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pruning.forecast.gp import Kernel, Positive

WIDEST = (-14.0, 10.0)
"""The range of a hyperparameter's logarithm: beyond it nothing changes but the rounding errors."""


class FreezeThaw(Kernel):  # type: ignore[misc]
    """k(t, t') = beta^alpha / (t + t' + beta)^alpha [L] + asymptote [G].

    Swersky, Snoek, Adams 2014: a prior over curves that fall to a value and stay there, mixtures
    of exp(-rate t) with rates from a Gamma distribution of shape ``alpha`` and rate ``beta``. The
    constant is the variance of the value at which they end.

    times: [..., n, 1], as fractions of the training, which is the unit of beta too.
    """

    has_lengthscale = False

    def __init__(self) -> None:
        super().__init__()
        for name in ("alpha", "beta", "asymptote"):
            self.register_parameter(f"raw_{name}", logarithm_of_one())
            self.register_constraint(f"raw_{name}", positive())

    @property
    def alpha(self) -> Tensor:
        """Shape, [1]."""
        return self._value("alpha")

    @property
    def beta(self) -> Tensor:
        """Rate, [1]."""
        return self._value("beta")

    @property
    def asymptote(self) -> Tensor:
        """Variance of the value at the end, [1]."""
        return self._value("asymptote")

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: Any) -> Tensor:
        """[..., n, m]; the diagonal alone, [..., n], if ``diag``."""
        total = (x1 + x2).squeeze(-1) if diag else x1 + x2.mT
        return (-self.alpha * torch.log1p(total / self.beta)).exp() + self.asymptote

    def _value(self, name: str) -> Tensor:
        raw: Tensor = getattr(self, f"raw_{name}")
        value: Tensor = getattr(self, f"raw_{name}_constraint").transform(raw)
        return value


def positive() -> Positive:
    """A constraint whose raw value is the logarithm, held within ``WIDEST``."""
    return Positive(transform=_exponential, inv_transform=torch.log)


def logarithm_of_one(count: int = 1) -> nn.Parameter:
    """A raw value for ``positive``; [count]."""
    return nn.Parameter(torch.zeros(count, dtype=torch.float64, device="cpu"))


def _exponential(raw: Tensor) -> Tensor:
    return raw.clamp(*WIDEST).exp()
