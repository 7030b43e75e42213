"""Forecasts without a model: what a process has to beat [G]."""

from __future__ import annotations

import numpy as np

from pruning.forecast.gaussian import Floats, Forecast

RECENT = 5
"""The straight line goes through so many measurements."""


def last(times: Floats, values: Floats, at: float) -> Forecast:
    """The last value. times: [n]; values: [n, A].

    Its deviation is that of a random walk, whose variance a unit of time is the mean of the steps
    seen in the layer; after one measurement the spread of the layer.
    """
    return _alike(values[-1], _walked(times, values, at))


def line(times: Floats, values: Floats, at: float) -> Forecast:
    """A straight line through the last five values, by least squares. times: [n]; values: [n, A].

    Its deviation is that of a fitted line at ``at``, from the residuals of the layer; of two
    points, which leave none, that of a random walk. After one measurement the last value.
    """
    if len(times) == 1:
        return last(times, values, at)
    times, values = times[-RECENT:], values[-RECENT:]
    centred, middle = times - times.mean(), values.mean(axis=0)
    slope = centred @ values / (centred @ centred)
    ahead = at - times.mean()
    mean = middle + slope * ahead
    free = len(times) - 2
    if free == 0:
        return _alike(mean, _walked(times, values, at))
    residuals = values - middle - np.outer(centred, slope)
    variance = float(np.square(residuals).sum(axis=0).mean()) / free
    return _alike(mean, variance * (1 / len(times) + ahead**2 / float(centred @ centred)))


def _walked(times: Floats, values: Floats, at: float) -> float:
    if len(times) == 1:
        return float(values.var())
    pace = np.square(np.diff(values, axis=0)).mean(axis=1) / np.diff(times)
    return float(pace.mean()) * max(0.0, at - float(times[-1]))


def _alike(mean: Floats, variance: float) -> Forecast:
    """Every unit for itself, with the same variance."""
    return Forecast(mean, np.zeros((0, len(mean))), np.full(len(mean), variance))
