"""The course of a trial: figures after every epoch, as MLflow's curves show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pruning.history import History, Record
from pruning.policies import Policy

Point = dict[str, float]


def course(
    records: Sequence[Record], policy: Policy, history: History, devices: float
) -> list[Point]:
    """A point an epoch, the first after one epoch of training.

    Names are those of the results' columns; seconds and GPU-hours are sums up to that epoch.
    ``indicator`` is what the policy watches, where it has a value. devices: charged per second.
    """
    dense = records[0].costs
    train = total = 0.0
    points: list[Point] = []
    for index, record in enumerate(records):
        train += record.seconds.get("train", 0.0)
        total += sum(record.seconds.values())
        if not index:
            continue
        point = {
            "epoch": record.epoch,
            **record.metrics,
            **record.test,
            "sparsity": 1 - record.costs["params"] / dense["params"],
            "unit_sparsity": 1 - record.costs["units"] / dense["units"],
            "params": record.costs["params"],
            "macs": record.costs["macs"],
            "train_seconds": train,
            "gpu_hours": total * devices / 3600,
        }
        indicator = policy.indicator(replace(history, records=history.records[: index + 1]))
        points.append(point if indicator is None else {**point, "indicator": indicator})
    return points
