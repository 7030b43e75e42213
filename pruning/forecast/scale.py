"""Measurements without unit: what the Gaussian process sees of a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pruning.forecast.gaussian import Floats, Forecast

Standardize = Literal["record", "layer"]


@dataclass(frozen=True, eq=False)
class Scaled:
    """Measurements without unit, and the way back.

    values: [n, A]. level, spread: what a forecast of 0 stands for, and of 1 above it, in the unit
    of saliency; a spread of 0 says that there is nothing to forecast.
    """

    values: Floats
    level: float
    spread: float

    def back(self, found: Forecast) -> Forecast:
        """A forecast of ``values`` as one of saliencies."""
        mean = self.level + self.spread * found.mean
        return Forecast(mean, self.spread * found.factor, self.spread**2 * found.own)


def standardized(values: Floats, how: Standardize) -> Scaled:
    """The measurements [n, A] of a layer, standardised [G].

    ``record`` takes mean and standard deviation over the units of each measurement, and goes back
    by those of the newest. Saliencies made of gradients lose orders of magnitude together while a
    network learns; what is forecast then is where each unit stands in its layer. ``layer`` takes
    them over all measurements: the common fall is forecast too, and early, large values outweigh
    the late ones; on gradients this turned rankings round. A layer of one unit is always
    standardised this way.
    """
    if how == "layer" or values.shape[1] == 1:
        level, spread = _moments(values.reshape(1, -1))
    else:
        level, spread = _moments(values)
    scaled = (values - level) / np.where(spread > 0, spread, 1.0)
    return Scaled(np.where(spread > 0, scaled, 0.0), float(level[-1, 0]), float(spread[-1, 0]))


def _moments(values: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation of each row, [rows, 1]; a deviation of rounding errors is 0."""
    level = values.mean(axis=1, keepdims=True)
    spread = values.std(axis=1, keepdims=True)
    least = 1e-12 * np.abs(values).max(axis=1, keepdims=True)
    return level, np.where(spread > least, spread, 0.0)
