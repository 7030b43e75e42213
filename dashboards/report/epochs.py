"""When was it pruned: quality by the epoch of the cut, and what each indicator chose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dashboards.measure import Measure, share
from dashboards.report import verdicts
from dashboards.report.cuts import Cut, chosen, cuts, epoch_of
from dashboards.report.data import Content, Group
from dashboards.report.look import Looks, axis, epochs_axis, errors, figure, heading, percent
from dashboards.report.page import Figure, Plot, Section, Table, hover, shown
from dashboards.report.ranges import usual
from sweeps.judging.savings import family
from sweeps.results.quality import Quality
from sweeps.results.rows import deviation, mean

OPEN = 6
"""So many cuts are drawn; the table has all."""
CROWD = 6
"""Families whose legend fits a narrow plot."""


def section(content: Content, looks: Looks) -> Section:
    """A plot a cut, the verdicts on indicators, and the table of all settings."""
    found = cuts(content)
    tables, notes = verdicts.tables(content)
    if not found:
        return Section("epochs", "When to prune", ["No finished trial was pruned."], notes=notes)
    span = _range(content, [group for cut in found for group in cut.groups])
    drawn = found[:OPEN]
    plots = [
        Plot(
            _by_epoch(content, looks, cut, span),
            f"{content.val.noun} by epoch of the cut: {cut.name}",
            wide=len({family(group[0]) for group in cut.groups}) > CROWD,
        )
        for cut in drawn
    ]
    if any(cut.grid for cut in found):
        lead = (
            "A plot for each cut, that is, for what is removed and how much. The line is the "
            "oracle's grid: the same cut after each of these epochs, its best one starred (mean "
            f"{content.val.name} over seeds). The other marks are where a policy chose to cut, at "
            "the mean of its seeds' first epochs. Dashed: dense training. Bars: standard deviation."
        )
    else:
        lead = (
            "This sweep has no oracle grid, that is, at_epoch at several epochs with the same cut. "
            "The marks are where policies chose to cut, at the mean of their seeds' first epochs. "
            "Dashed: dense training. Bars: standard deviation."
        )
    if len(found) > OPEN:
        notes.append(f"The first {OPEN} of {len(found)} cuts are drawn; the table has all.")
    val, sign = content.val, content.quality.sign
    end = span[0] if sign > 0 else span[1]
    low = [g for cut in drawn for g in cut.groups if sign * mean(g, val.column) < sign * end]
    if low:
        limit = f"{share(end, 1)} %" if val.percent else val.write(end)
        notes.append(
            f"{len(low)} setting{'s' * (len(low) > 1)} {'below' if sign > 0 else 'above'} {limit} "
            f"{'are' if len(low) > 1 else 'is'} out of view: a double click on a plot shows all."
        )
    return Section(
        "epochs", "When to prune", [lead], plots, [*tables, _table(content, found)], notes
    )


def _range(content: Content, groups: Sequence[Group]) -> tuple[float, float]:
    """Of the quality in all plots; a few that failed to learn do not squeeze the others."""
    val, sign = content.val, content.quality.sign
    means = [
        sign * mean(g, val.column) for g in [*groups, *([content.dense] if content.dense else [])]
    ]
    least = 0.005 if val.percent else 0.02 * max(map(abs, means))
    near = usual(means, least) or (min(means), max(means))
    spreads = [deviation(g, val.column) for g in groups if sign * mean(g, val.column) >= near[0]]
    around = max((s for s in spreads if math.isfinite(s)), default=0.0)
    room = max(around, 0.08 * (near[1] - near[0]), 0.4 * least)
    low, high = near[0] - room, near[1] + room
    if val.percent:
        return low, min(high, 1.0 + 0.3 * room)
    return (low, high) if sign > 0 else (-high, -low)


def _by_epoch(content: Content, looks: Looks, cut: Cut, span: tuple[float, float]) -> Figure:
    last = max(epoch_of(group) for group in cut.groups)
    data: list[dict[str, Any]] = []
    if content.dense:
        level = mean(content.dense, content.val.column)
        data.append(
            {
                "x": [-1, last + 1],
                "y": [level, level],
                "mode": "lines",
                "name": "dense",
                "line": {"color": looks.colour("dense"), "dash": "dash", "width": 1.5},
                "hoverinfo": "skip",
            }
        )
    if cut.grid:
        data.append(_grid(cut, looks))
    for name in dict.fromkeys(family(group[0]) for group in cut.others):
        own = [group for group in cut.others if family(group[0]) == name]
        marks = {"mode": "markers", "name": looks.name(name), "marker": looks.marker(name, 12)}
        data.append({**_marks(own, looks, name), **marks})
    return figure(
        data,
        epochs_axis("epochs trained before the cut", last),
        (percent if content.val.percent else axis)(content.val.name, range=list(span)),
        400,
        **heading(shown(cut.name)),
    )


def _grid(cut: Cut, looks: Looks) -> dict[str, Any]:
    """The oracle's grid, its best epoch starred."""
    name = family(cut.grid[0][0])
    plain = looks.marker(name)
    best = [epoch_of(group) == cut.best for group in cut.grid]
    marker = {
        **plain,
        "symbol": ["star" if one else plain["symbol"] for one in best],
        "size": [20 if one else 9 for one in best],
        "opacity": 1,
    }
    return {
        **_marks(cut.grid, looks, name),
        "mode": "lines+markers",
        "name": f"{looks.name(name)}, oracle ★",
        "line": {"color": looks.colour(name), "width": 2},
        "marker": marker,
    }


def _marks(groups: Sequence[Group], looks: Looks, name: str) -> dict[str, Any]:
    quality = Quality.among(groups[0])
    val = Measure(quality.val)
    return {
        "x": [epoch_of(group) for group in groups],
        "y": [mean(group, val.column) for group in groups],
        "error_y": errors([deviation(group, val.column) for group in groups], looks.colour(name)),
        "hoverinfo": "text",
        "text": [
            hover(
                group[0]["policy"],
                *group[0]["settings"].split(),
                f"first cut after epoch {chosen(group)}",
                val.spread_told(group),
                Measure(quality.test).spread_told(group),
            )
            for group in groups
        ],
    }


def _table(content: Content, found: Sequence[Cut]) -> Table:
    heads = ["cut", "policy", "settings", "first cut after epoch"]
    heads += [*(measure.head for measure in content.judged), "parameters gone (%)"]
    rows = [
        [
            cut.name,
            group[0]["policy"],
            group[0]["settings"],
            chosen(group),
            *(measure.spread(group) for measure in content.judged),
            share(mean(group, "sparsity"), 1),
        ]
        for cut in found
        for group in cut.groups
    ]
    return Table(f"All settings that pruned, by epoch ({len(rows):,})", heads, rows, texts=3)
