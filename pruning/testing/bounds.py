"""Bounds: a decision about a network of ResNet-50's size takes no more than so much."""

from __future__ import annotations

import gc
import resource
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pruning.history import History
from pruning.policies.base import Policy
from pruning.testing.findings import BreachError
from pruning.testing.large import large_history
from pruning.testing.life import ask, fresh, lived
from pruning.testing.removal import after
from pruning.testing.tiny import length_for
from pruning.training.task import Task

EPOCHS = 90
SECONDS = 30.0
GIB = 4.0


def bounded(
    policy: Policy, task: Task | None = None, *, seconds: float = SECONDS, gib: float = GIB
) -> None:
    """Asked after 19 of 90 epochs of ResNet-50's 26,560 units, or when it first acts if earlier.

    Then about one that was thinned before. seconds: of CPU, all threads together. gib: of memory
    beyond what the process held.
    """
    life = lived(policy, task)
    epochs = length_for(policy, EPOCHS)
    _, latest = policy.first_action(epochs) or (0, epochs)
    dense = large_history(policy, life, epochs)
    _within(policy, replace(dense, records=dense.records[: latest + 1]), seconds, gib)
    _within(policy, large_history(policy, life, epochs, thinned=True), seconds, gib)


def _within(policy: Policy, history: History, seconds: float, gib: float) -> None:
    copy, large = fresh(policy), f"on {history.layout.total:,} units"
    held, began = _restarted_peak(), time.process_time()
    answer = ask(copy, history)
    spent, grown = time.process_time() - began, (_peak() - held) / 2**30
    if spent > seconds:
        found = f"{large} it takes {spent:.3g} s of CPU time"
        raise BreachError(found, f"{seconds:g} s", history.epoch)
    if grown > gib:
        raise BreachError(f"{large} it takes {grown:.3g} GiB", f"{gib:g} GiB", history.epoch)
    if answer.action:
        after(answer.action, history.last.alive, history.layout, history.epoch)


def _restarted_peak() -> int:
    """Begin to measure the peak anew, where the system can; the bytes from which it counts.

    Garbage goes first: let go of meanwhile, it would hide as much of what is asked for.
    """
    gc.collect()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    """The most memory the process has held, in bytes.

    Where that cannot be restarted, an earlier peak may hide what is asked for; never the reverse.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else 1024 * most
