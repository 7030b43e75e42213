"""What a storage holds, by task and by sweep."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sweeps.storage.housekeeping import of_sweep
from sweeps.storage.store import Store
from sweeps.storage.survey import StoredPath, Survey, survey


def show(store: Store) -> dict[str, Any]:
    """Bytes by task and by sweep, as JSON.

    only_bytes: what goes if that sweep is removed. other_bytes: of files that are not the store's.
    unreadable: sweeps that cannot be read; such paths have a row of their own.
    """
    found = survey(store)
    tasks: dict[str, dict[str, Any]] = {}
    for path in found.paths.values():
        trunk = found.trunk(path.address)
        row = tasks.setdefault(_task_of(trunk), _row(trunk))
        row["paths"] += 1
        row["records"] += len(path.records)
        row["record_bytes"] += sum(entry.size for entry in path.records.values())
        row["snapshots"] += len(path.snapshots)
        row["snapshot_bytes"] += sum(entry.size for entry in path.snapshots.values())
        row["bytes"] += path.size
        row["last_use"] = max(row["last_use"], path.modified)
        if trunk is path and path.origin and path.origin.seed not in row["seeds"]:
            row["seeds"] = sorted([*row["seeds"], path.origin.seed])
    for begin in _trunks_of_trials(found).values():
        tasks[_task_of(found.trunk(begin))]["trials"] += 1
    for row in tasks.values():
        row["last_use"] = datetime.fromtimestamp(row["last_use"]).isoformat(" ", "minutes")
    sweeps = [
        {
            "name": sweep.name,
            "trials": len(sweep.trunks),
            "ended": sum(key in found.trials for key in sweep.trunks),
            "only_bytes": of_sweep(sweep.name)(found).size,
        }
        for sweep in found.sweeps
    ]
    return {
        "storage": store.files.address,
        "bytes": found.size,
        "other_bytes": found.other,
        "tasks": sorted(tasks.values(), key=lambda row: -row["bytes"]),
        "sweeps": sweeps,
        "unreadable": len(found.unreadable),
    }


def _task_of(trunk: StoredPath | None) -> str:
    return trunk.task.address() if trunk and trunk.task else ""


def _row(trunk: StoredPath | None) -> dict[str, Any]:
    task = trunk.task if trunk else None
    return {
        "task": _task_of(trunk),
        "model": task.model.name if task else "unreadable",
        "data": task.data.source if task else "",
        "epochs": task.epochs if task else 0,
        "seeds": [],
        "trials": 0,
        **dict.fromkeys(("paths", "records", "record_bytes"), 0),
        **dict.fromkeys(("snapshots", "snapshot_bytes", "bytes"), 0),
        "last_use": 0.0,
    }


def _trunks_of_trials(found: Survey) -> dict[str, str]:
    """By trial the trunk it began on, as far as that is stored."""
    trunks = {key: trunk for sweep in found.sweeps for key, trunk in sweep.trunks.items()}
    trunks |= {key: found.begins[end] for key, end in found.ends.items() if end in found.begins}
    return {key: trunk for key, trunk in trunks.items() if trunk in found.paths}
