"""A sweep as one HTML page that needs nothing else: the answer first, what it stands on below."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from dashboards.report import answer, cost, epochs, front, indicator, layers, rest, words
from dashboards.report.data import Content, gather
from dashboards.report.look import Looks
from dashboards.report.page import to_json
from pruning.errors import InputError
from sweeps.results.output import write as write_file
from sweeps.storage.store import Store

__all__ = ["gather", "render", "write"]


def write(store: Store, name: str, path: Path) -> Path:
    """Write the report of a sweep; the storage is only read.

    Raises InputError if there is no such sweep, or the file cannot be written.
    """
    page = render(gather(store, name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    write_file(path, page.encode())
    return path


def render(content: Content) -> str:
    """The page."""
    looks = Looks(content.families)
    sections = [
        answer.section(content, looks),
        front.section(content, looks),
        epochs.section(content, looks),
        indicator.section(content, looks),
        layers.section(content),
        cost.section(content, looks),
        rest.failures(content),
        rest.again(content),
    ]
    first, *more = words.answer(content)
    plotly, drawing = _plotly(), _text("draw.js")
    page = _environment().from_string(_text("report.html.j2"))
    return page.render(
        name=content.name,
        first=first,
        more=more,
        facts=words.facts(content),
        made=content.made,
        sections=sections,
        style=Markup(_text("style.css")),
        plotly=Markup(plotly),
        drawing=Markup(drawing),
        # no other script runs, should a user's text ever get through as one
        allowed=" ".join(f"'sha256-{_digest(script)}'" for script in (plotly, drawing)),
    )


def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def embedded(value: Any) -> Markup:
        return Markup(to_json(value))

    environment.filters["embedded"] = embedded
    return environment


def _text(name: str) -> str:
    return files(__name__).joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    """plotly.js, to stand in the page."""
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    # the HTML parser knows no JavaScript strings: it would end the script there
    return script.replace("</script", "<\\/script")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
