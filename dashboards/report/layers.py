"""Which layers shrank: the share of units alive, by layer and epoch, of some trials."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dashboards.measure import share
from dashboards.report.data import Content, Trial, best_setting
from dashboards.report.look import axis, figure
from dashboards.report.page import Figure, Plot, Section, Table, shown
from pruning.structure.layout import Layout
from sweeps.judging.savings import family

SCALE = [[0, "#f4d35e"], [0.5, "#93a8ab"], [1, "#2b6ca3"]]
"""From nothing to all: told apart by colour-blind eyes, too, on white and on black."""
MOST = 12
"""Trials among which one can choose."""
LONG = 60
"""Layers up to which each has its name on the axis."""


def section(content: Content) -> Section:
    """A heat map with a choice of trials, and what is left of each layer at the end."""
    found, lost = [], 0
    for trial in _chosen(content):
        layout, course = content.layout(trial), content.alive(trial)
        if layout is None or course is None:
            lost += 1
        else:
            shares = np.stack([layout.counts(alive) / layout.sizes for _, alive in course])
            found.append((trial, layout, [epoch for epoch, _ in course], shares))
    notes = []
    if lost:
        notes.append(f"Of {lost} trials the epochs are gone from the storage; they are left out.")
    if not found:
        text = "No finished trial removed units."
        return Section("layers", "Which layers shrank", [text], notes=notes)
    names = [
        f"{content.short[trial.row['policy'], trial.row['settings']]}, seed {trial.row['seed']}"
        for trial, *_ in found
    ]
    best = "most accurate" if content.val.percent else "best"
    lead = [
        "The share of each layer's units that is there during an epoch; epoch 0 is the untrained "
        f"network. Of each policy its {best} setting that removed units, the first seed.",
    ]
    label = "share of units alive by layer and epoch"
    plot = Plot(_plot(found), label, choices=names, wide=True)
    return Section("layers", "Which layers shrank", lead, [plot], [_table(found)], notes)


Course = tuple[Trial, Layout, list[int], npt.NDArray[np.float64]]
"""A trial, its layers, from which epoch on, and the shares [cuts + 1, layers]."""


def _chosen(content: Content) -> list[Trial]:
    """Of each policy the best setting that removed units: its first seed."""
    cut = [g for g in content.groups if any((row["unit_sparsity"] or 0) > 0 for row in g)]
    families = list(dict.fromkeys(family(group[0]) for group in cut))
    best = [best_setting(g for g in cut if family(g[0]) == name) for name in families]
    wanted = {group[0]["trial"] for group in best[:MOST]}
    return [trial for trial in content.trials if trial.row["trial"] in wanted]


def _plot(found: list[Course]) -> Figure:
    data: list[dict[str, Any]] = []
    for index, (trial, layout, starts, shares) in enumerate(found):
        assert trial.state is not None
        last = trial.state.epoch
        place = np.searchsorted(starts, np.arange(last + 1), side="right") - 1
        course = shares[place]  # [epochs, layers]
        counts = np.rint(course * layout.sizes).astype(int)
        text = [
            [
                f"layer {shown(name)}<br>epoch {epoch}<br>{counts[epoch, layer]} of "
                f"{layout.sizes[layer]} units"
                for epoch in range(last + 1)
            ]
            for layer, name in enumerate(layout.names)
        ]
        data.append(
            {
                "type": "heatmap",
                "z": course.T.round(4).tolist(),
                "x": list(range(last + 1)),
                "y": list(range(len(layout.names))),
                "text": text,
                "hoverinfo": "text",
                "zmin": 0,
                "zmax": 1,
                "xgap": 1,
                "ygap": 1,
                "colorscale": SCALE,
                "visible": index == 0,
                "colorbar": {
                    "title": {"text": "units alive", "side": "right"},
                    "tickformat": ".0%",
                    "thickness": 12,
                    "outlinewidth": 0,
                },
            }
        )
    layout = found[0][1]
    named = len(layout.names) <= LONG
    y = axis("layer (its units)", autorange="reversed", showgrid=False, zeroline=False)
    if named:
        y |= {
            "tickvals": list(range(len(layout.names))),
            "ticktext": [
                f"{shown(_short(name))} ({size})"
                for name, size in zip(layout.names, layout.sizes, strict=True)
            ],
        }
    height = min(1000, 150 + max(28 if len(layout.names) < 12 else 17, 0) * len(layout.names))
    return figure(data, axis("epoch", showgrid=False, zeroline=False), y, height)


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"…{name[-27:]}"


def _table(found: list[Course]) -> Table:
    heads = ["layer", "units", *(trial.row["trial"] for trial, *_ in found)]
    layout = found[0][1]
    rows = []
    for layer, (name, size) in enumerate(zip(layout.names, layout.sizes, strict=True)):
        ends = [
            share(float(shares[-1, layer]), 0) if own == layout else "–"
            for _, own, _, shares in found
        ]
        rows.append([name, str(size), *ends])
    return Table("Units left at the end, by layer (%)", heads, rows)
