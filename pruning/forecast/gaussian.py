"""A forecast: the joint Gaussian of what the units of a layer will score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Forecast:
    """N(mean, factor^T factor + diag(own)) over the A units of a layer, in the unit of saliency.

    mean: [A]. factor: [rank, A], what units have in common. own: [A], each unit's own variance.
    The covariance is never written out: it would be [A, A].
    """

    mean: Floats
    factor: Floats
    own: Floats

    @property
    def deviation(self) -> Floats:
        """Standard deviation of each unit, [A]."""
        return np.asarray(np.sqrt(np.square(self.factor).sum(axis=0) + self.own))

    def samples(self, count: int, generator: np.random.Generator) -> Floats:
        """Exact joint samples, [count, A].

        The generator alone decides them: the same bits whatever the number of threads.
        """
        common = generator.standard_normal((count, len(self.factor)))
        drawn = generator.standard_normal((count, len(self.mean)))
        drawn *= np.sqrt(self.own)
        drawn += self.mean
        if len(self.factor):
            from pruning.forecast.numerics import add_product

            add_product(drawn, common, self.factor)
        return drawn
