"""Small networks of every kind that people build, a file a family, each a function.

Tests and ``benchmarks.reach`` cut all of them. To add one: write a function that builds it and an
input, and put ``@network`` on it; ``refused`` says which words tell truly why it cannot be cut.
"""

from benchmarks.zoo import (
    algebra,
    concatenated,
    dimensions,
    gated,
    grouped,
    interfaces,
    mixers,
    plain,
    pyramids,
    recurrent,
    residual,
    reweighted,
    shared,
    transformers,
    widths,
    wrapped,
)
from benchmarks.zoo.registry import NETWORKS, Network

FAMILIES = (
    plain,
    residual,
    concatenated,
    grouped,
    reweighted,
    pyramids,
    gated,
    mixers,
    transformers,
    recurrent,
    dimensions,
    shared,
    algebra,
    interfaces,
    widths,
    wrapped,
)

__all__ = ["FAMILIES", "NETWORKS", "Network"]
