"""How a sweep stands: its front, the hypervolume, and what is saved beside dense training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sweeps.judging.axes import Axes
from sweeps.judging.front import hypervolume, nadir
from sweeps.judging.learning import told_collapsed, unlearned
from sweeps.judging.savings import ALL, Gain, Saving, gains, savings
from sweeps.results.quality import ACCURACY, Metrics
from sweeps.results.rows import Row, by_setting, mean, metrics_of


@dataclass(frozen=True)
class Standing:
    """front: the Pareto set, a mapping a setting, with its means over seeds. hypervolume: in the
    units of the objectives, from the reference point: that of the sweep file, else the worst value
    of each objective; None without a setting that has all objectives. unlearned: why there are no
    savings, where dense training did not learn. collapsed: which settings ended at chance, where it
    did.
    """

    objectives: Mapping[str, str]
    front: list[dict[str, Any]]
    hypervolume: float | None
    reference: dict[str, float]
    savings: list[Saving]
    gains: list[Gain]
    settings: int
    metrics: Metrics = field(default_factory=lambda: ACCURACY)
    unlearned: str = ""
    collapsed: str = ""

    @property
    def axes(self) -> Axes | None:
        """Between which objectives savings and gains are read."""
        return Axes.of(self.objectives, self.metrics)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "objectives": dict(self.objectives),
            "front": self.front,
            "hypervolume": self.hypervolume,
            "reference": self.reference,
            "savings": [one.to_json() for one in self.savings],
            "gains": [one.to_json() for one in self.gains],
            "unlearned": self.unlearned,
            "collapsed": self.collapsed,
        }

    def figures(self) -> dict[str, float]:
        """What MLflow keeps of it: savings are of all policies that are no controls.

        Where dense did not learn there are none, and ``dense_learned`` is 0.
        """
        found: dict[str, float | None] = {
            "hypervolume": self.hypervolume,
            "front_settings": len(self.front),
            "finished_settings": self.settings,
        }
        for saving in self.savings:
            if saving.family == ALL:
                name = f"saved_at_drop_{saving.drop:g}"
                ends = {f"{name}_low": saving.low, f"{name}_high": saving.high}
                found |= {name: saving.saved, **ends}
        for gain in self.gains:
            if gain.family == ALL:
                found[f"gained_at_share_{gain.share:g}"] = gain.gained
        found |= {"dense_learned": 0.0} if self.unlearned else {}
        return {name: float(value) for name, value in found.items() if value is not None}


def standing(
    rows: Sequence[Row],
    objectives: Mapping[str, str],
    reference: Mapping[str, float] | None = None,
) -> Standing:
    """Of the trials that have finished, so far."""
    groups = [group for group in by_setting(rows).values() if _values(group, objectives)]
    points = np.array([_values(group, objectives) for group in groups]).reshape(-1, len(objectives))
    origin = dict(reference or {})
    if groups and not origin:
        origin = dict(zip(objectives, nadir(points, objectives), strict=True))
    front = [
        {
            "policy": group[0]["policy"],
            "settings": group[0]["settings"],
            "seeds": [row["seed"] for row in group if row["status"] == "finished"],
            **dict(zip(objectives, _values(group, objectives), strict=True)),
            **{f"test_{name}": mean(group, f"test_{name}") for name in metrics_of(group)},
        }
        for group in groups
        if group[0]["pareto"]
    ]
    volume = hypervolume(points, objectives, list(origin.values())) if groups else None
    return Standing(
        objectives,
        front,
        volume,
        origin,
        savings(rows, objectives),
        gains(rows, objectives),
        len(groups),
        metrics_of(rows),
        unlearned(rows),
        told_collapsed(rows),
    )


def _values(group: Sequence[Row], objectives: Mapping[str, str]) -> list[float]:
    """The means over seeds; empty if one is not known."""
    values = [mean(group, name) for name in objectives]
    return values if all(map(math.isfinite, values)) else []
