"""The front: quality against cost, a point a setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dashboards.measure import Measure, number, share
from dashboards.report import growth
from dashboards.report.data import Content, Group
from dashboards.report.look import Looks, column, errors, figure
from dashboards.report.page import Figure, Plot, Section, Table, hover, shown
from dashboards.report.ranges import near, span
from dashboards.report.text import Unit, count, name_of
from dashboards.report.text import title as title_of
from sweeps.judging.savings import family
from sweeps.results.quality import Quality
from sweeps.results.rows import deviation, mean


def section(content: Content, looks: Looks) -> Section:
    """The front, its hypervolume by time spent, and a row a setting."""
    told = ", ".join(f"{name_of(name)} ({way})" for name, way in content.objectives.items())
    if not content.groups:
        return Section("front", "The front", [f"Objectives: {told}.", "No trial has finished."])
    unit = Unit.of([mean(group, "gpu_hours") for group in content.groups], content.device)
    drawn, out = _front(content, looks, unit)
    caption = (
        f"Objectives: {told}. A large mark is a setting, the mean over its seeds with their "
        "standard deviation; the small ones are its seeds. The dotted line joins the settings that "
        f"no other beats (means over seeds, on the validation split).{out}"
    )
    plots = [Plot(drawn, f"the front of {content.val.noun} and cost", caption, wide=True)]
    notes = []
    if grown := growth.plot(content, unit):
        plots.append(grown)
    else:
        notes.append("No setting is better than the reference in every objective: no hypervolume.")
    return Section("front", "The front", [], plots, [_table(content, unit)], notes)


def axes_of(content: Content) -> tuple[str, str]:
    """What stands on x (a cost) and on y (a quality)."""
    if axes := content.standing.axes:
        return axes.cost, axes.quality
    objectives = content.objectives
    cost = [name for name, way in objectives.items() if way == "min"]
    rest = [name for name in objectives if name not in cost[:1]]
    y = next(
        (name for name in rest if objectives[name] == "max"), (rest or [content.val.column])[0]
    )
    others = [name for name in objectives if name != y]
    return (cost[:1] or others or ["gpu_hours"])[0], y


def _front(content: Content, looks: Looks, unit: Unit) -> tuple[Figure, str]:
    """The plot, and what to say of settings that lie far below the others."""
    across, up = axes_of(content)
    (x, x_scale), (y, y_scale) = column(across, unit), column(up, unit)
    data: list[dict[str, Any]] = []
    best = sorted(
        (x_scale * mean(group, across), y_scale * mean(group, up))
        for group in content.groups
        if group[0]["pareto"]
    )
    if best:
        data.append(
            {
                "x": [point[0] for point in best],
                "y": [point[1] for point in best],
                "name": "Pareto set",
                "mode": "lines",
                "line": {"width": 1.5, "dash": "dot"},
                "hoverinfo": "skip",
            }
        )
    families: dict[str, list[Group]] = {}
    for group in content.groups:
        families.setdefault(family(group[0]), []).append(group)
    for name, groups in families.items():
        data += _points(name, groups, looks, unit, (across, x_scale), (up, y_scale))
    shown_first = near(content.groups, {across: "min", up: "max"} | content.objectives)
    x["range"], y["range"] = span(shown_first, across, x_scale), span(shown_first, up, y_scale)
    hidden = len(content.groups) - len(shown_first)
    out = f" {count(hidden, 'setting')} far off {'are' if hidden > 1 else 'is'} out of view: a "
    return figure(data, x, y, 520), f"{out}double click shows all." if hidden else ""


def _points(
    name: str,
    groups: Sequence[Group],
    looks: Looks,
    unit: Unit,
    across: tuple[str, float],
    up: tuple[str, float],
) -> list[dict[str, Any]]:
    """A family's settings, and behind them their seeds."""
    colour = looks.colour(name)
    seeds = [row for group in groups for row in group]
    behind = {
        "x": [across[1] * row[across[0]] for row in seeds],
        "y": [up[1] * row[up[0]] for row in seeds],
        "text": [_one(row, unit) for row in seeds],
        "marker": looks.marker(name, 5),
        "opacity": 0.35,
        "showlegend": False,
    }
    means = {
        "x": [across[1] * mean(group, across[0]) for group in groups],
        "y": [up[1] * mean(group, up[0]) for group in groups],
        "error_x": errors([across[1] * deviation(g, across[0]) for g in groups], colour),
        "error_y": errors([up[1] * deviation(g, up[0]) for g in groups], colour),
        "text": [_setting(group, unit) for group in groups],
        "marker": looks.marker(name, 15 if name == "dense" else 11),
        "name": looks.name(name),
    }
    shared = {"mode": "markers", "hoverinfo": "text", "legendgroup": shown(name)}
    return [{**shared, **behind}, {**shared, **means}]


def _setting(group: Group, unit: Unit) -> str:
    return hover(
        group[0]["policy"],
        *group[0]["settings"].split(),
        *(Measure(column).spread_told(group) for column in _judged(group)),
        f"{unit.write(mean(group, 'gpu_hours'))} {unit.name} alone",
        f"{share(mean(group, 'sparsity'), 1)} % of the parameters gone",
        f"{len(group)} seed{'s' * (len(group) > 1)}",
        *(["in the Pareto set"] if group[0]["pareto"] else []),
    )


def _judged(group: Group) -> list[str]:
    """The columns of the task's first metric."""
    quality = Quality.among(group)
    return [quality.val, quality.test]


def _one(row: dict[str, Any], unit: Unit) -> str:
    quality = Measure(Quality.among([row]).val)
    return hover(
        row["trial"],
        f"seed {row['seed']}",
        f"{quality.name} {quality.write(row[quality.column])}",
        f"{unit.write(row['gpu_hours'])} {unit.name} alone",
    )


def _table(content: Content, unit: Unit) -> Table:
    """A row a setting."""
    dense = mean(content.dense, "gpu_hours")
    rows = []
    for group in content.groups:
        hours = mean(group, "gpu_hours")
        pruned = {epoch for row in group for epoch in row["prune_epochs"] or ()}
        rows.append(
            [
                title_of(group),
                "–".join(map(str, sorted({min(pruned), max(pruned)}))) if pruned else "",
                *(measure.spread(group) for measure in content.judged),
                unit.write(hours),
                share(hours / dense if dense else math.nan, 0),
                share(mean(group, "sparsity"), 1),
                number(mean(group, "macs")),
                str(len(group)),
                "★" if group[0]["pareto"] else "",
            ]
        )
    heads = [
        "setting",
        "pruned after epoch",
        *(measure.head for measure in content.judged),
        f"alone ({unit.name})",
        "of dense (%)",
        "parameters gone (%)",
        "MACs",
        "seeds",
        "Pareto",
    ]
    return Table(f"All settings ({len(rows):,})", heads, rows, open=len(rows) <= 6)
