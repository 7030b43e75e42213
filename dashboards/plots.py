"""The picture of a sweep: quality by the epoch of pruning, and quality against its cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweeps.results.quality import Quality, is_fraction, words
from sweeps.results.rows import Row, by_setting, describe, deviation, mean

_COLOURS = tuple(colormaps["tab20"](index) for index in (*range(0, 20, 2), *range(1, 20, 2)))


def sweep_figure(rows: Sequence[Row], title: str) -> Figure:
    """Two panels, means over seeds with standard deviations.

    Left: the task's first metric on the test split by the number of epochs trained before pruning,
    a curve for each of the oracle's settings, a star where another policy chose to prune. Right: on
    the validation split against device-hours, the Pareto set ringed.
    """
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    groups = [group for group in by_setting(rows).values() if any(_finished(group))]
    _by_epoch(left, groups)
    _by_cost(right, groups)
    figure.suptitle(title)
    return figure


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as its ending says (.png, .svg, .pdf)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path


def _finished(group: Sequence[Row]) -> list[Row]:
    return [row for row in group if row["status"] == "finished"]


def _by_epoch(axes: Axes, groups: Sequence[Sequence[Row]]) -> None:
    test = Quality.among(group[0] for group in groups).test
    pruned = [group for group in groups if any(row["prune_epochs"] for row in _finished(group))]
    cuts = list(dict.fromkeys(_cut(group) for group in pruned))
    for policy, cut in dict.fromkeys((group[0]["policy"], _cut(group)) for group in pruned):
        same = [group for group in pruned if (group[0]["policy"], _cut(group)) == (policy, cut)]
        same.sort(key=mean_epoch)
        grid = policy == "at_epoch"
        axes.errorbar(
            [mean_epoch(group) for group in same],
            [mean(group, test) for group in same],
            [deviation(group, test) for group in same] if grid else None,
            marker="o" if grid else "*",
            markersize=6 if grid else 15,
            markeredgecolor=None if grid else "black",
            linestyle="-" if grid else "",
            capsize=3,
            zorder=2 if grid else 3,
            color=_COLOURS[cuts.index(cut) % len(_COLOURS)],
            label=f"{policy} {cut}",
        )
    for group in groups:
        if group[0]["policy"] == "dense":
            axes.axhline(mean(group, test), color="black", ls="--", label="dense")
    axes.set(xlabel="epochs trained before pruning", ylabel=_label(test))
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=8)


def _by_cost(axes: Axes, groups: Sequence[Sequence[Row]]) -> None:
    val = Quality.among(group[0] for group in groups).val
    policies = list(dict.fromkeys(group[0]["policy"] for group in groups))
    for index, policy in enumerate(policies):
        own = [group for group in groups if group[0]["policy"] == policy]
        axes.errorbar(
            [mean(group, "gpu_hours") for group in own],
            [mean(group, val) for group in own],
            [deviation(group, val) for group in own],
            marker="o",
            ls="",
            capsize=2,
            alpha=0.8,
            color="black" if policy == "dense" else _COLOURS[index % len(_COLOURS)],
            label=policy,
        )
    best = sorted(
        (mean(group, "gpu_hours"), mean(group, val)) for group in groups if group[0]["pareto"]
    )
    if best:
        axes.plot(
            *zip(*best, strict=True), marker="o", ms=13, mfc="none", color="red", label="Pareto set"
        )
    axes.set(xlabel="device-hours of one training", ylabel=_label(val))
    axes.grid(alpha=0.3)
    if policies:
        axes.legend(fontsize=8)


def _label(column: str) -> str:
    return f"{words(column)} (fraction)" if is_fraction(column) else words(column)


def mean_epoch(group: Sequence[Row]) -> float:
    """The mean, over seeds, of the epoch of the first prune."""
    epochs = [row["prune_epochs"][0] for row in _finished(group) if row["prune_epochs"]]
    return float(sum(epochs) / len(epochs))


def _cut(group: Sequence[Row]) -> str:
    """What is cut, whoever decides when: the ratio or the aim, and the saliency."""
    setting = group[0]["setting"]
    return describe({key: setting[key] for key in ("ratio", "aim", "saliency") if key in setting})
