"""What policies watched: the course of each indicator, its threshold, and where it cut."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dashboards.measure import number
from dashboards.report.data import Content, Trial, policy_of
from dashboards.report.look import Looks, axis, epochs_axis, figure, heading, shade
from dashboards.report.page import Figure, Plot, Section, Table, hover, shown
from dashboards.report.watched import threshold, watched
from sweeps.judging.savings import family

SHOWN = 12
"""Courses that are drawn at once; the others wait in the legend."""
MOST = 24
"""Courses of a policy, drawn or waiting; more make no legend. The table has all."""
CROWD = 6
"""Courses whose legend fits a narrow plot."""
DASHES = ("solid", "dot", "dash", "dashdot", "longdash")


def section(content: Content, looks: Looks) -> Section:
    """A plot a policy with an indicator; a course a setting, of its first seed."""
    courses: dict[str, list[Trial]] = {}
    seen: set[tuple[str, str]] = set()
    lost = 0
    for trial in content.trials:
        setting = trial.row["policy"], trial.row["settings"]
        if trial.finished and trial.state is None:
            lost += 1
        elif trial.state and setting not in seen and _course(trial):
            seen.add(setting)
            courses.setdefault(setting[0], []).append(trial)
    notes = []
    if lost:
        notes.append(f"Of {lost} trials nothing is remembered; they are left out.")
    if not courses:
        text = "No policy of this sweep watches an indicator."
        return Section("indicator", "What the indicators said", [text], notes=notes)
    count = sum(map(len, courses.values()))
    each = count if count <= SHOWN else max(1, SHOWN // len(courses))
    plots, rows = [], []
    for policy, trials in courses.items():
        drawn = _evenly(trials, MOST)
        plot = _plot(content, looks, drawn, each)
        plots.append(Plot(plot, f"indicator of {policy}", wide=len(drawn) > CROWD))
        if len(trials) > MOST:
            notes.append(f"Of {len(trials)} courses of {policy} {len(drawn)} can be drawn.")
        rows += [_row(content, trial) for trial in trials]
    lead = [
        "The number each policy watches, after every epoch until it had cut: of each setting the "
        "first seed. Dashed: the threshold in force. A large mark: where it cut. Click on a line "
        "in the legend to hide or show it.",
    ]
    heads = ["policy", "settings", "seed", "threshold", "last value", "cut after epoch"]
    table = Table(f"All courses ({len(rows):,})", heads, rows, texts=2)
    return Section("indicator", "What the indicators said", lead, plots, [table], notes)


def _evenly(trials: Sequence[Trial], count: int) -> list[Trial]:
    """So many of them, spread over all."""
    every = max(1, math.ceil(len(trials) / count))
    return list(trials[::every])


def _course(trial: Trial) -> list[tuple[int, float]]:
    """Epochs and values, where the indicator has one."""
    decided = trial.state.decided if trial.state else []
    return [
        (epoch, value)
        for epoch, (_, value) in enumerate(decided)
        if value is not None and math.isfinite(value)
    ]


def _plot(content: Content, looks: Looks, trials: Sequence[Trial], each: int) -> Figure:
    data: list[dict[str, Any]] = []
    thresholds: set[tuple[float, bool | str]] = set()
    ends = max(epoch for trial in trials for epoch, _ in _course(trial))
    at_once = _evenly(trials, each)
    for index, trial in enumerate([*at_once, *(t for t in trials if t not in at_once)]):
        base = looks.colour(family(trial.row))
        colour = shade(base, index, min(len(trials), 8))
        visible: bool | str = trial in at_once or "legendonly"
        limit = threshold(content, trial)
        name = content.short[trial.row["policy"], trial.row["settings"]]
        name = name.removeprefix(trial.row["policy"]).strip() or "defaults"
        group = {"legendgroup": shown(trial.row["trial"]), "visible": visible}
        course = _course(trial)
        data.append(
            {
                **group,
                "x": [epoch for epoch, _ in course],
                "y": [value for _, value in course],
                "name": shown(name),
                "showlegend": len(trials) > 1,
                "mode": "lines+markers",
                "line": {"color": colour, "dash": DASHES[index % len(DASHES)], "width": 2},
                "marker": {"size": 5, "symbol": "circle", "color": colour},
                "hoverinfo": "text",
                "text": [
                    hover(trial.row["trial"], f"epoch {epoch}: {number(value, 4)}")
                    for epoch, value in course
                ],
            }
        )
        if limit is not None and (limit, visible) not in thresholds:
            thresholds.add((limit, visible))
            data.append(_threshold(limit, ends, colour, group))
        data += _cuts(trial, looks, group)
    what, way = watched(policy_of(trials[0].row))
    title = f"{looks.name(family(trials[0].row))}{shown(way)}"
    x = epochs_axis("epochs trained", ends)
    height = 380 + 8 * max(0, len(trials) - CROWD)
    return figure(data, x, axis(shown(what)), height, **heading(title))


def _threshold(limit: float, ends: int, colour: str, group: dict[str, Any]) -> dict[str, Any]:
    return {
        **group,
        "x": [-1, ends + 2],
        "y": [limit, limit],
        "mode": "lines",
        "line": {"dash": "dash", "width": 1, "color": colour},
        "showlegend": False,
        "hoverinfo": "text",
        "text": [hover(f"threshold {number(limit, 4)}")] * 2,
    }


def _cuts(trial: Trial, looks: Looks, group: dict[str, Any]) -> list[dict[str, Any]]:
    """Marks where it cut, on its course."""
    values = dict(_course(trial))
    assert trial.state is not None
    places = [turn.epoch for turn in trial.state.turns if turn.epoch in values]
    if not places:
        return []
    return [
        {
            **group,
            "x": places,
            "y": [values[epoch] for epoch in places],
            "mode": "markers",
            "marker": looks.marker(family(trial.row), 13),
            "showlegend": False,
            "hoverinfo": "text",
            "text": [hover(trial.row["trial"], f"cut after epoch {epoch}") for epoch in places],
        }
    ]


def _row(content: Content, trial: Trial) -> list[str]:
    course = _course(trial)
    limit = threshold(content, trial)
    cuts = [turn.epoch for turn in trial.state.turns] if trial.state else []
    return [
        trial.row["policy"],
        trial.row["settings"],
        str(trial.row["seed"]),
        number(limit, 4),
        number(course[-1][1], 4),
        ", ".join(map(str, cuts)) or "never",
    ]
