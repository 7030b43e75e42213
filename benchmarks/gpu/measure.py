"""One run of the GPU benchmark: a trial trained epoch by epoch, and what it cost before and after.

The first epoch of a run and the first after its prune tune the kernels for new shapes; they are
reported apart and count in no median.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import torch

from pruning import Policy, Record
from pruning.policies.registry import specify
from pruning.training.task import Task
from pruning.training.trial import Trial

Line = dict[str, Any]
Log = Callable[[Line], None]


def epoch_line(record: Record, peak_mib: float | None) -> Line:
    """One epoch's figures; seconds by what they were spent on, peak memory in MiB."""
    probes = [s for section, s in record.seconds.items() if section.startswith("probe:")]
    train = record.seconds.get("train", 0.0)
    return {
        "epoch": record.epoch,
        "train_seconds": train,
        "probe_seconds": sum(probes),
        "evaluate_seconds": record.seconds.get("evaluate", 0.0),
        "prune_seconds": record.seconds.get("prune", 0.0),
        "decide_seconds": record.seconds.get("decide", 0.0),
        "images_per_second": record.costs["samples"] / train,
        "params": record.costs["params"],
        "macs": record.costs["macs"],
        "peak_memory_mib": peak_mib,
        **record.metrics,
        **record.test,
    }


def run(
    task: Task, policy: Policy, seed: int, device: torch.device, deadline: float, log: Log
) -> dict[str, Any]:
    """Train to the end; each epoch is handed to ``log``. Returns the run's figures.

    deadline: of time.perf_counter(); no epoch is begun after it, and the figures are of the epochs
    until then. Raises RuntimeError if there was none.
    """
    begun = time.perf_counter()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    trial = Trial(task, policy, seed, device)
    lines: list[Line] = []
    while not trial.done and time.perf_counter() < deadline:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        record = trial.step()
        lines.append(epoch_line(record, _peak_mib(device)))
        log(lines[-1])
    if not lines:
        raise RuntimeError("time budget: no time for an epoch")
    prunes = [epoch for epoch, _ in trial.actions]
    summary = trial.summary()
    kept = ("sparsity", "unit_sparsity", "params", "val_accuracy", "test_accuracy", "warnings")
    early = f"time budget: {len(lines)} of {task.epochs} epochs"
    return {
        **({} if trial.done else {"status": "stopped", "reason": early}),
        "policy": specify(policy),
        "prune_epochs": prunes,
        **{key: summary[key] for key in kept},
        **around(lines, prunes[0] if prunes else None),
        "total_seconds": time.perf_counter() - begun,
    }


def around(lines: Sequence[Line], prune: int | None) -> dict[str, Any]:
    """Figures of the epochs before and after the cut; after it None where there was none.

    lines: one an epoch, in order. prune: how many epochs were trained before the cut.
    """
    cut = len(lines) if prune is None else prune
    before, after = lines[:cut], lines[cut:]
    out: dict[str, Any] = {
        "first_epoch_seconds": lines[0]["train_seconds"],
        "first_epoch_after_prune_seconds": after[0]["train_seconds"] if after else None,
        "prune_seconds": sum(line["prune_seconds"] for line in lines),
    }
    for name, part in (("before", before), ("after", after)):
        steady = part[1:]
        out |= {
            f"epochs_{name}": len(part),
            f"macs_{name}": part[0]["macs"] if part else None,
            f"train_seconds_{name}": _median(steady, "train_seconds"),
            f"probe_seconds_{name}": _median(steady, "probe_seconds"),
            f"images_per_second_{name}": _median(steady, "images_per_second"),
            f"peak_memory_mib_{name}": _median(steady, "peak_memory_mib"),
        }
    return out


def _median(lines: Sequence[Mapping[str, Any]], key: str) -> float | None:
    values = [line[key] for line in lines if line[key] is not None]
    return median(values) if values else None


def _peak_mib(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
