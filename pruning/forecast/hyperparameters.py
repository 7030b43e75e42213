"""Hyperparameters by the exact marginal likelihood, under weak priors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pruning.forecast.model import PRIORS, Coregionalized

Fitted = dict[str, Tensor]
"""The hyperparameters of one layer by name; O(A) numbers, to be kept instead of a model."""

STEPS = 80
"""At most so many steps of L-BFGS; most layers take a third of them."""

ENOUGH = 1e-6
"""An improvement, in nats a measurement, below which it ends."""


def fitted(model: Coregionalized) -> Fitted:
    """Maximise likelihood times prior by L-BFGS, from where ``begin`` puts the model.

    Draws nothing: the same measurements give the same hyperparameters.
    """
    begin(model)
    optimizer = torch.optim.LBFGS(
        list(model.parameters()),
        max_iter=STEPS,
        tolerance_grad=0.0,
        tolerance_change=ENOUGH,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        nats = model.negative_log_likelihood() + model.negative_log_prior()
        mean: Tensor = nats / model.measured.numel()
        mean.backward()  # type: ignore[no-untyped-call]
        return mean

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def restore(model: Coregionalized, found: Fitted) -> None:
    """Give a model the hyperparameters that were found for its measurements."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(found[name])


def begin(model: Coregionalized) -> None:
    """The priors' means; the noise from neighbouring measurements; w along the main pattern."""
    measured = model.measured
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.fill_(PRIORS[name].mean)
        if len(measured) > 1:
            noise = float(measured.diff(dim=0).square().mean()) / 2
            # what is constant in time differs by nothing, of which there is no logarithm
            model.raw_noise.fill_(math.log(min(max(noise, 1e-4), 0.5)))
        # w = 0, its prior mean, is a saddle: the gradient is zero, and the search never left it.
        if isinstance(model.w, nn.Parameter):
            pattern = torch.linalg.eigh(measured @ measured.mT)[1][:, -1] @ measured
            model.w.copy_(0.5 * pattern / math.sqrt(len(measured)))
