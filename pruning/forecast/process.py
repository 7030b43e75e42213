"""The Gaussian process of a layer, from arrays to arrays: with one thread, for the same bits."""

from __future__ import annotations

import torch

from pruning.forecast.gaussian import Floats, Forecast
from pruning.forecast.hyperparameters import Fitted, fitted, restore
from pruning.forecast.model import Coregionalized, Process
from pruning.forecast.numerics import one_thread


def fit(times: Floats, values: Floats, process: Process) -> Fitted:
    """The hyperparameters for standardised measurements. times: [n]; values: [n, A]."""
    with one_thread():
        return fitted(_model(times, values, process))


def forecast(
    times: Floats, values: Floats, at: float, process: Process, known: Fitted | None
) -> Forecast:
    """What standardised measurements come to. known: hyperparameters from ``fit``, if there are."""
    with one_thread():
        model = _model(times, values, process)
        restore(model, fitted(model) if known is None else known)
        with torch.no_grad():
            mean, factor, own = (part.numpy() for part in model.at(at))
    return Forecast(mean, factor, own)


def _model(times: Floats, values: Floats, process: Process) -> Coregionalized:
    return Coregionalized(torch.tensor(times), torch.tensor(values), process)
