"""What a sweep would cost, without training anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sweeps.config import Sweep, TrialSpec
from sweeps.store import Store


def plan(sweep: Sweep, trials: Sequence[TrialSpec], store: Store) -> dict[str, Any]:
    """Trials, epochs and, where the storage knows timings of this task, device-hours.

    expected_hours is trials times the mean device-hours of this task's finished trials in the
    storage, None if there are none. Finished trials are not trained again.
    """
    hours = []
    finished = 0
    for spec in trials:
        result = store.trial(spec.address).result()
        if result is not None and result["status"] == "finished":
            finished += 1
            hours.append(result["summary"]["total_seconds"] * sweep.resources.devices / 3600)
    left = len(trials) - finished
    each = sum(hours) / len(hours) if hours else None
    return {
        "name": sweep.name,
        "settings": len(trials) // len(sweep.seeds),
        "seeds": len(sweep.seeds),
        "trials": len(trials),
        "trials_finished": finished,
        "epochs": len(trials) * sweep.task.epochs,
        "epochs_left": left * sweep.task.epochs,
        "expected_hours": None if each is None else each * len(trials),
        "expected_hours_left": None if each is None else each * left,
        "device": "GPU" if sweep.resources.gpus else "CPU",
    }
