"""The Gaussian process of one layer: its hyperparameters, and what they are before any data."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from pruning.forecast.gp import Module
from pruning.forecast.kernel import FreezeThaw, logarithm_of_one, positive
from pruning.forecast.structure import NegativeLogLikelihood, Solved, posterior, solve

Process = Literal["lmc", "independent"]


class Normal(NamedTuple):
    """Mean and standard deviation."""

    mean: float
    deviation: float


PRIORS = {
    "kernel.raw_alpha": Normal(0.0, 0.5),
    "kernel.raw_beta": Normal(math.log(0.3), 1.0),
    "kernel.raw_asymptote": Normal(0.0, 1.0),
    "raw_kappa": Normal(math.log(0.5), 0.25),
    "raw_noise": Normal(math.log(0.05), 1.5),
    "w": Normal(0.0, 0.2),
}
"""The prior of each hyperparameter's logarithm, of w itself, for measurements of variance 1 [G].

Those of the layer are weak: ten measurements outweigh them. With one or two, where the likelihood
has no maximum, they decide. Those of w and kappa, two hyperparameters a unit, are not: with looser
ones w takes the level of every unit for something shared, and forecasts are far too sure of
themselves; the order they put units in is the same.
"""


class Coregionalized(Module):  # type: ignore[misc]
    """cov(s_t[a], s_t'[b]) = W[a, b] k(t, t') + noise, W = w w^T + diag(kappa) [L].

    A linear model of coregionalization with one kernel for all (Q = 1): its Kronecker structure
    is what makes layers of thousands of units cheap, and a second kernel would end it.
    ``independent`` is the ablation: W = kappa I, one number, and no w.

    times: [n]. measured: standardised, [n, A].
    """

    def __init__(self, times: Tensor, measured: Tensor, process: Process = "lmc") -> None:
        super().__init__()
        self.times, self.measured = times[:, None], measured
        units = measured.shape[1]
        self.kernel = FreezeThaw()
        self.register_parameter("raw_kappa", logarithm_of_one(units if process == "lmc" else 1))
        self.register_parameter("raw_noise", logarithm_of_one())
        self.register_constraint("raw_kappa", positive())
        self.register_constraint("raw_noise", positive())
        if process == "lmc":
            self.register_parameter("w", nn.Parameter(torch.zeros_like(measured[0])))
        else:
            self.register_buffer("w", torch.zeros_like(measured[0]))
        hyperparameters = list(self.named_parameters())
        self.centre = torch.cat([torch.full_like(v, PRIORS[n].mean) for n, v in hyperparameters])
        self.width = torch.cat(
            [torch.full_like(v, PRIORS[n].deviation) for n, v in hyperparameters]
        )

    @property
    def kappa(self) -> Tensor:
        """Variance of each unit's own curve, [A]."""
        kappa: Tensor = self.raw_kappa_constraint.transform(self.raw_kappa)
        return kappa.expand(self.measured.shape[1])

    @property
    def noise(self) -> Tensor:
        """Variance of a measurement, [1]."""
        noise: Tensor = self.raw_noise_constraint.transform(self.raw_noise)
        return noise

    def negative_log_likelihood(self) -> Tensor:
        """Of the measurements, in nats."""
        time = self.kernel.forward(self.times, self.times)
        loss: Tensor = NegativeLogLikelihood.apply(
            time, self.w, self.kappa, self.noise, self.measured
        )
        return loss

    def negative_log_prior(self) -> Tensor:
        """Of the hyperparameters, in nats, without its constant."""
        off = (torch.cat(list(self.parameters())) - self.centre) / self.width
        return 0.5 * off.square().sum()

    def at(self, time: float) -> tuple[Tensor, Tensor, Tensor]:
        """The posterior at one time: mean [A], factor [n + 1, A], own [A]; see ``posterior``."""
        then = torch.full_like(self.times[:1], time)
        cross = self.kernel.forward(self.times, then)[:, 0]
        prior = self.kernel.forward(then, then)[0, 0]
        return posterior(self.solved(), self.w, self.kappa, cross, prior)

    def solved(self) -> Solved:
        """The measurements under the hyperparameters as they are."""
        time = self.kernel.forward(self.times, self.times)
        return solve(time, self.w, self.kappa, self.noise, self.measured)
