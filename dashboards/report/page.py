"""What a page is made of: sections of plots and tables. Texts are plain; escaping comes later."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

Figure = dict[str, Any]
"""``data`` and ``layout`` of a plot, as plotly.js takes them."""


@dataclass(frozen=True)
class Plot:
    """A figure. label: what it shows, for who does not see it. caption: how to read it.

    choices: texts of which one is chosen, where only one trace is shown at a time. wide: over the
    whole page, else beside another where there is room.
    """

    figure: Figure
    label: str
    caption: str = ""
    choices: Sequence[str] = ()
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of texts under their heads; the first ``texts`` columns are words, the others figures.

    open: whether it is shown at once, else on a click on its title. notes: under it.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1
    open: bool = False
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    """A part of the page. lead: paragraphs before the plots. notes: after them, smaller."""

    anchor: str
    title: str
    lead: Sequence[str] = ()
    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = field(default_factory=list)
    code: Sequence[str] = ()


def shown(text: object) -> str:
    """A text inside a figure: plotly renders tags there, so none of a user's must be one."""
    return escape(str(text), quote=False)


def hover(*lines: object) -> str:
    """Lines of a hover text, the first bold."""
    first, *rest = map(shown, lines)
    return "<br>".join([f"<b>{first}</b>", *rest])


def to_json(content: Any) -> str:
    """JSON that may stand in a script element: no ``<``, no ``&``; what is no number is null."""
    text = json.dumps(_finite(content), allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None  # numpy's floats are floats, too
    return value
