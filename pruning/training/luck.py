"""What luck adds to the metric of a network that has learned nothing."""

from __future__ import annotations

import math

ERRORS = 2.0
"""A metric has to be so many standard errors of chance better than it."""


def margin_of_share(share: float, count: float) -> float:
    """Of a share of ``count`` answers that are right by luck."""
    return ERRORS * math.sqrt(share * (1 - share) / count)
