"""How the front grew: the hypervolume of what was known, by the time spent until then."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from dashboards.measure import number, share
from dashboards.report.data import Content, Trial
from dashboards.report.look import axis, figure
from dashboards.report.page import Plot, hover
from dashboards.report.text import Unit, name_of
from sweeps.judging.front import hypervolume, pareto
from sweeps.results.quality import is_fraction

POINTS = 100
"""At so many trials it is worked out at most."""


def plot(content: Content, one: Unit) -> Plot | None:
    """The course of the hypervolume; None if there is no volume.

    one: the unit of a single training's time.
    """
    standing = content.standing
    trials = _by_end([t for t in content.trials if t.row["gpu_hours_spent"] is not None])
    if not standing.hypervolume or not trials:
        return None
    course = list(_course(content, trials))
    spent = np.cumsum([trial.row["gpu_hours_spent"] for trial in trials])
    unit = Unit.of([float(spent[-1])], content.device)
    line = {
        "x": [0.0, *(unit.factor * spent[place] for place, _ in course)],
        "y": [0.0, *(volume / standing.hypervolume for _, volume in course)],
        "text": ["", *(_text(trials, place, volume) for place, volume in course)],
        "mode": "lines+markers",
        "line": {"shape": "hv", "width": 2},
        "marker": {"size": 4},
        "hoverinfo": "text",
        "showlegend": False,
    }
    y = axis("hypervolume, of the last (%)", tickformat=".0%", rangemode="tozero")
    x = axis(f"time spent ({unit.name})", range=[0, 1.02 * unit.factor * float(spent[-1])])
    order = "they ended" if all(t.ended is not None for t in trials) else "they stand in the sweep"
    given = content.config.get("reference")
    point = "given in the sweep file" if given else "the worst of each objective"
    origin = ", ".join(
        f"{name_of(name)} {_value(name, value, one)}" for name, value in standing.reference.items()
    )
    caption = (
        "How the front grew: the hypervolume of the settings' means over the seeds known so far, "
        f"by the time spent on trials in the order in which {order}; it may fall where a further "
        f"seed is less lucky. Its reference point, {point}: {origin}. At the end it is "
        f"{number(standing.hypervolume)} ({' × '.join(content.objectives)})."
    )
    return Plot(figure([line], x, y, 320), "hypervolume by time spent", caption, wide=True)


def _course(content: Content, trials: Sequence[Trial]) -> Iterator[tuple[int, float]]:
    """After which trials, and the hypervolume of the means of all up to these."""
    names = list(content.objectives)
    reference = [content.standing.reference[name] for name in names]
    every = math.ceil(len(trials) / POINTS)
    known: dict[tuple[str, str], list[list[float]]] = {}
    for place, trial in enumerate(trials):
        values = [trial.row[name] for name in names]
        if trial.finished and None not in values:
            known.setdefault((trial.row["policy"], trial.row["settings"]), []).append(values)
        if known and (place % every == 0 or place == len(trials) - 1):
            means = np.array([np.mean(seeds, axis=0) for seeds in known.values()])
            if len(names) > 2:  # hypervolume is quick in two
                means = means[pareto(means, content.objectives)]
            yield place, hypervolume(means, content.objectives, reference)


def _text(trials: Sequence[Trial], place: int, volume: float) -> str:
    name = trials[place].row["trial"]
    return hover(name, f"trial {place + 1} of {len(trials)}", f"hypervolume {number(volume)}")


def _value(name: str, value: float, unit: Unit) -> str:
    """A value of an objective, with its unit."""
    if is_fraction(name):
        return f"{share(value)} %"
    return f"{unit.write(value)} {unit.name}" if name.startswith("gpu_hours") else number(value)


def _by_end(trials: Sequence[Trial]) -> list[Trial]:
    """By when they ended; in the order of the sweep where that is not known of all."""
    if any(trial.ended is None for trial in trials):
        return list(trials)
    return sorted(trials, key=lambda trial: trial.ended or 0.0)
