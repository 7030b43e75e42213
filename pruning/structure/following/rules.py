"""Importing this registers all rules, a file a kind of operation."""

from pruning.structure.following import (
    attention,
    layers,
    moves,
    norms,
    pointwise,
    products,
    reductions,
    windows,
)

__all__ = [
    "attention",
    "layers",
    "moves",
    "norms",
    "pointwise",
    "products",
    "reductions",
    "windows",
]
