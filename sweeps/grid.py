"""Grids in a sweep file: ``{grid: [a, b]}`` stands for each of its values in turn."""

from __future__ import annotations

from itertools import product
from typing import Any

SAMPLED = ("choice", "uniform", "log_uniform", "int")
"""Spaces that are sampled by a search rather than walked whole."""


def expand(value: Any, field: str = "") -> list[Any]:
    """Every value that ``value`` stands for, the last grid turning fastest.

    Grids may stand anywhere in a mapping. Raises ValueError for an empty or malformed grid.
    """
    if not isinstance(value, dict):
        return [value]
    if set(value) == {"grid"}:
        options = value["grid"]
        if not isinstance(options, list) or not options:
            raise ValueError(f"{field}: {value} is not allowed: a grid is a list of values")
        return [chosen for option in options for chosen in expand(option, field)]
    for kind in SAMPLED:
        if set(value) == {kind}:
            raise ValueError(f"{field}: {value} is not allowed: only {{grid: [...]}} is walked")
    parts = [expand(part, f"{field}.{key}" if field else str(key)) for key, part in value.items()]
    return [dict(zip(value, combination, strict=True)) for combination in product(*parts)]
