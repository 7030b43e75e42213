"""Between which two objectives a sweep is told in a sentence: a cost, and the quality bought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.results.quality import Metrics, Quality


@dataclass(frozen=True)
class Axes:
    """cost: an objective to minimize. quality: of the others the first of the task's metrics, else
    the first to maximize. sign: 1 where more of it is better, -1 where less is. test: what stands
    for it on the test split. fraction: whether it is told in percent and points.
    """

    cost: str
    quality: str
    sign: int
    test: str
    fraction: bool

    @classmethod
    def of(cls, objectives: Mapping[str, str], metrics: Metrics) -> Axes | None:
        """None without objectives of both kinds."""
        judged = [
            Quality(name, way) for name, way in metrics.items() if f"val_{name}" in objectives
        ]
        most = [name for name, way in objectives.items() if way == "max"]
        if not judged and not most:
            return None
        ours = min(judged, key=lambda one: list(objectives).index(one.val), default=None)
        quality = ours.val if ours else most[0]
        costs = [name for name, way in objectives.items() if way == "min" and name != quality]
        if not costs:
            return None
        sign = 1 if objectives[quality] == "max" else -1
        test = ours.test if ours else Quality.of(metrics).test
        return cls(costs[0], quality, sign, test, ours is None or ours.fraction)
