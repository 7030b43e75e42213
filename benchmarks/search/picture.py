"""The courses of searches in one picture: hypervolume by trials and by what was spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = {"random": "#7f7f7f", "tpe": "#1f77b4", "nsga2": "#d95f02", "gp": "#2a9d3a"}


def draw(searches: Mapping[str, Mapping[str, Any]], file: Path) -> None:
    """Median lines with a band between the quartiles.

    searches: by name, each with ``by_trials`` and ``by_hours`` as the results have them.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for name, found in searches.items():
        _line(left, name, found["by_trials"]["trials"], found["by_trials"]["share"])
        _line(right, name, found["by_hours"]["hours"], found["by_hours"]["share"])
    left.set_xlabel("trials of the study")
    right.set_xlabel("device-hours spent, each shared epoch once")
    left.set_ylabel("share of the whole table's hypervolume")
    left.set_ylim(bottom=min(found["by_trials"]["share"][0][0] for found in searches.values()))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize=9)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def _line(axes: Axes, name: str, at: Sequence[float], shares: Sequence[Sequence[float]]) -> None:
    sampler, _, stopping = name.partition(" ")
    colour = COLOURS.get(sampler, "black")
    low, middle, high = zip(*shares, strict=True)
    axes.plot(at, middle, color=colour, linestyle="--" if stopping else "-", label=name)
    if not stopping:
        axes.fill_between(at, low, high, color=colour, alpha=0.13, linewidth=0)
