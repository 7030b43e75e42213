"""How plots look: a colour and a symbol a policy, axes, error bars.

Colours of text, grid and background are the page's; the page puts them in.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.report.page import Figure, shown
from dashboards.report.text import Unit, name_of
from sweeps.results.quality import is_fraction

COLOURS = ("#2b7aca", "#cf3d10", "#35a563", "#8b3fe0", "#d184c4", "#bd9a10", "#94562f")
"""Apart for colour-blind eyes, too, and readable on white and on black."""
SYMBOLS = ("circle", "square", "triangle-up", "star-triangle-down", "pentagon", "hexagram")
CONTROL_SYMBOLS = ("x", "cross", "asterisk-open", "hash-open")
GREY = "#808080"


class Looks:
    """A colour and a symbol for each family of policies, the same in all figures."""

    def __init__(self, families: Mapping[str, bool]) -> None:
        self.families = families
        others = [name for name in families if name != "dense"]
        self.colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(others)}
        self.symbols = {"dense": "diamond"}
        for control, symbols in ((True, CONTROL_SYMBOLS), (False, SYMBOLS)):
            own = [name for name in others if families[name] is control]
            self.symbols |= {name: symbols[i % len(symbols)] for i, name in enumerate(own)}

    def colour(self, family: str) -> str:
        """A family's; dense is grey."""
        return self.colours.get(family, GREY)

    def marker(self, family: str, size: int = 11) -> dict[str, Any]:
        """How a family's points look."""
        colour = self.colour(family)
        line = {"width": 1.5 if self.families.get(family) else 0, "color": colour}
        symbol = self.symbols.get(family, "circle")
        return {"color": colour, "symbol": symbol, "size": size, "line": line}

    def rank(self, family: str) -> int:
        """Where a family stands in a list: all policies together, each policy, the controls."""
        return 2 if self.families.get(family) else int(family in self.families)

    def name(self, family: str) -> str:
        """A family in a legend."""
        return shown(family) + (" (control)" if self.families.get(family) else "")


def figure(
    data: list[dict[str, Any]],
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    height: int = 460,
    **layout: Any,
) -> Figure:
    """A plot with these axes, the legend under it."""
    return {
        "data": data,
        "layout": {
            "height": height,
            "xaxis": {"automargin": True, **x},
            "yaxis": {"automargin": True, **y},
            "margin": {"l": 12, "r": 12, "t": 16, "b": 12},
            "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
            "hovermode": "closest",
            **layout,
        },
    }


def epochs_axis(title: str, last: float) -> dict[str, Any]:
    """An axis of whole epochs from 0 to the last, with room for marks at its ends."""
    room = max(0.3, 0.03 * last)
    ticks = {"dtick": 1} if last <= 10 else {}
    return axis(title, range=[-room, last + room], **ticks)


def heading(text: str) -> dict[str, Any]:
    """The layout of a plot with a small title above it."""
    title = {"text": text, "font": {"size": 13}, "x": 0, "xref": "container", "xanchor": "left"}
    title |= {"y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 8, "l": 12}}
    return {"title": title, "margin": {"l": 12, "r": 12, "t": 40, "b": 12}}


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with a title."""
    return {"title": {"text": title}, **more}


def percent(title: str, **more: Any) -> dict[str, Any]:
    """An axis of fractions, written as percent."""
    return axis(f"{title} (%)", tickformat=".3~%", **more)


def column(name: str, unit: Unit) -> tuple[dict[str, Any], float]:
    """The axis of a column of the results, and by what its values are multiplied."""
    if name in ("gpu_hours", "gpu_hours_spent"):
        what = "alone" if name == "gpu_hours" else "spent"
        return axis(f"time of one training, {what} ({unit.name})"), unit.factor
    if is_fraction(name):
        return percent(name_of(name).replace("_", " ")), 1.0
    return axis(name_of(name)), 1.0


def errors(values: Sequence[float], colour: str) -> dict[str, Any]:
    """Thin error bars, paler than their mark."""
    found = [0.0 if math.isnan(value) else value for value in values]
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    pale = f"rgba({red},{green},{blue},0.45)"
    return {"type": "data", "array": found, "thickness": 1.2, "width": 0, "color": pale}


def shade(colour: str, index: int, count: int) -> str:
    """One of ``count`` shades of a colour, from the colour itself to lighter and darker ones."""
    if count < 2 or not index % count:
        return colour
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    step = (index % count + 1) // 2 * (1 if index % 2 else -1)
    light = min(0.62, max(0.28, light + 0.36 * step / count))
    hue = (hue + 0.05 * step / count) % 1
    parts = colorsys.hls_to_rgb(hue, light, saturation)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)
