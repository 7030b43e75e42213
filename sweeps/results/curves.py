"""The course of a trial: figures after every epoch, as MLflow's curves show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pruning.training.summary import own_seconds, summarize
from sweeps.results.quality import ACCURACY
from sweeps.sharing.rider import Rider
from sweeps.storage.store import Stored

Point = dict[str, float]


def course(epochs: Sequence[Stored], rider: Rider) -> list[Point]:
    """A point an epoch, the first after one epoch of training.

    epochs: of the rider's path, the untrained network's first. Names are those of the results'
    columns; seconds and GPU-hours are sums up to that epoch, of this trial as if it had run alone.
    ``indicator`` is what the policy watches, where it has a value.
    """
    dense = epochs[0].record.costs
    train = hours = 0.0
    points: list[Point] = []
    for stored, (deciding, indicator) in zip(epochs, rider.state.decided, strict=False):
        record = stored.record
        own = own_seconds(record, rider.sections)
        train += own.get("train", 0.0)
        hours += (sum(own.values()) + deciding) * stored.devices / 3600
        if record.epoch == 0:
            continue
        point = {
            "epoch": record.epoch,
            **record.metrics,
            **record.test,
            "sparsity": 1 - record.costs["params"] / dense["params"],
            "unit_sparsity": 1 - record.costs["units"] / dense["units"],
            "weight_sparsity": record.costs["masked"] / dense["params"],
            "params": record.costs["params"],
            "macs": record.costs["macs"],
            "train_seconds": train,
            "gpu_hours": hours,
        }
        points.append(point if indicator is None else {**point, "indicator": indicator})
    return points


def outcome(epochs: Sequence[Stored], rider: Rider) -> dict[str, Any]:
    """How a trial that has ended went: ``status``, ``reason``, and its figures in ``summary``.

    gpu_hours: what it would have cost alone, by its own epochs; the sweep prices them at its end
    (``prices``). wall_seconds: that its epochs took, with all that was done in them for others.
    gpu_hours_spent: what was charged to it.
    """
    spent = sum(stored.charges.get(rider.key, 0.0) for stored in epochs) / 3600
    if rider.state.failure is not None:
        summary: dict[str, Any] = {"gpu_hours_spent": spent}
        return {"status": "failed", "reason": rider.state.failure, "summary": summary}
    summary = summarize(
        [stored.record for stored in epochs],
        [(turn.epoch, turn.warnings) for turn in rider.state.turns],
        rider.wants.probes.values(),
        sum(seconds for seconds, _ in rider.state.decided),
        rider.trunk.task.measured if rider.trunk.task else ACCURACY,
    )
    hours = course(epochs, rider)[-1]["gpu_hours"]
    if all(stored.wall for stored in epochs):  # earlier versions kept none
        summary["wall_seconds"] = sum(stored.wall for stored in epochs)
    summary |= {"gpu_hours": hours, "gpu_hours_spent": spent}
    return {"status": "finished", "reason": "", "summary": summary}
