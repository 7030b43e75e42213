"""A trial in figures, from its records: the columns of the results."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from pruning.saliency import Probe

_OF_EVERY_TRIAL = {"train", "evaluate", "prune"}


class Epoch(Protocol):
    """What a record says beside its arrays."""

    @property
    def epoch(self) -> int: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...
    @property
    def test(self) -> Mapping[str, float]: ...
    @property
    def costs(self) -> Mapping[str, int]: ...
    @property
    def seconds(self) -> Mapping[str, float]: ...


def own_seconds(epoch: Epoch, sections: Collection[str]) -> dict[str, float]:
    """The seconds a trial alone would have spent in this epoch, its decisions left out.

    sections: of its own probes, as ``probe_sections`` gives them. Others' probes, snapshots and
    starting again are not its cost; starting at all is.
    """
    own = _OF_EVERY_TRIAL | set(sections) | ({"startup"} if epoch.epoch == 0 else set())
    return {name: spent for name, spent in epoch.seconds.items() if name in own}


def probe_sections(probes: Iterable[Probe]) -> set[str]:
    """The sections of the meter that these probes are charged for."""
    probes = list(probes)
    untrained = {"probe:untrained"} if any(probe.per_step for probe in probes) else set()
    return {f"probe:{probe.key}" for probe in probes} | untrained


def summarize(
    epochs: Sequence[Epoch],
    prunes: Sequence[tuple[int, Sequence[str]]],
    probes: Iterable[Probe],
    decide_seconds: float,
    measured: Iterable[str] = ("accuracy",),
) -> dict[str, Any]:
    """The trial's figures under the names of the results' columns.

    epochs: of its whole path, the untrained network's first. prunes: the epochs it pruned after,
    with the warnings that belong to them. measured: the task's metrics.
    Fractions, seconds; macs of one sample; train_flops by the convention that a backward pass
    costs twice a forward pass and a multiply-accumulate is two operations. total_seconds: all that
    this trial alone would have taken. chance: what the untrained network's record says of it.
    """
    dense, last, measured = epochs[0].costs, epochs[-1], list(measured)
    sections = probe_sections(probes)
    seconds: dict[str, float] = {}
    for epoch in epochs:
        for section, spent in own_seconds(epoch, sections).items():
            seconds[section] = seconds.get(section, 0.0) + spent
    return {
        "prune_epochs": [epoch for epoch, _ in prunes],
        "sparsity": 1 - last.costs["params"] / dense["params"],
        "unit_sparsity": 1 - last.costs["units"] / dense["units"],
        "weight_sparsity": last.costs["masked"] / dense["params"],
        "params": last.costs["params"],
        "macs": last.costs["macs"],
        "train_flops": sum(6 * e.costs["macs"] * e.costs["samples"] for e in epochs),
        **{f"val_{name}": last.metrics[f"val_{name}"] for name in measured},
        **{f"test_{name}": last.test[f"test_{name}"] for name in measured},
        "train_seconds": seconds.get("train", 0.0),
        "probe_seconds": sum(seconds.get(section, 0.0) for section in sections),
        "decide_seconds": decide_seconds,
        "total_seconds": sum(seconds.values()) + decide_seconds,
        "chance": dict(epochs[0].metrics),
        "warnings": [warning for _, warnings in prunes for warning in warnings],
    }
