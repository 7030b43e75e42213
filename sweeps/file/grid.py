"""Grids in a sweep file: ``{grid: [a, b]}`` stands for each of its values in turn."""

from __future__ import annotations

from itertools import product
from typing import Any

from sweeps.file.spaces import kind_of


def expand(value: Any, field: str = "") -> list[Any]:
    """Every value that ``value`` stands for, the last grid turning fastest.

    Grids may stand anywhere in a mapping; spaces that are sampled stay as they are. Raises
    ValueError for an empty or malformed grid.
    """
    kind = kind_of(value)
    if kind == "grid":
        options = value["grid"]
        if not isinstance(options, list) or not options or "step" in value:
            raise ValueError(f"{field}: {value} is not allowed: a grid is a list of values")
        return [chosen for option in options for chosen in expand(option, field)]
    if kind or not isinstance(value, dict):
        return [value]
    parts = [expand(part, f"{field}.{key}" if field else str(key)) for key, part in value.items()]
    return [dict(zip(value, combination, strict=True)) for combination in product(*parts)]
