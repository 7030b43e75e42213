"""One sweep of a fidelity study: trained on Ray where it is not stored yet, and read back."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.output import command, made, write_json
from cluster.connection import ray_session
from pruning.policies import Policy
from sweeps.file.sweep import Sweep
from sweeps.file.trials import TrialSpec
from sweeps.results.rows import Row
from sweeps.running import preflight
from sweeps.running.run import run
from sweeps.storage.store import Store


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """The options every study has."""
    found = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--storage", default="fidelity-runs", help="where training is kept")
    found.add_argument("--seeds", type=int, default=3)
    found.add_argument("--gpus", type=float, default=0, help="a trial's share of a GPU")
    found.add_argument("--json", type=Path, help="file for the results")
    return found


def train(
    name: str,
    task: Mapping[str, Any],
    policies: Sequence[Any],
    given: argparse.Namespace,
    seeds: Sequence[int] | None = None,
) -> tuple[list[TrialSpec], list[Row]]:
    """The trials of a sweep, and a row for each in the same order."""
    sweep = Sweep.parse(
        {
            "name": name,
            "task": dict(task),
            "seeds": list(range(given.seeds) if seeds is None else seeds),
            "policies": list(policies),
            "resources": {"gpus": given.gpus},
            "snapshots": "forks",
        }
    )
    trials = preflight.check(sweep)
    uri = f"sqlite:///{Path(given.storage).resolve()}/mlflow.db"
    with ray_session(gpus=given.gpus):
        outcome = run(sweep, trials, Store(given.storage), uri, Console(stderr=True))
    by_id = {row["trial"]: row for row in outcome.rows}
    failed = [row for row in outcome.rows if row["status"] != "finished"]
    if failed:
        raise RuntimeError(f"{failed[0]['trial']} has failed: {failed[0]['reason']}")
    return trials, [by_id[spec.id] for spec in trials]


def by_policy(trials: Sequence[TrialSpec], rows: Sequence[Row]) -> dict[Policy, dict[int, Row]]:
    """The rows of each policy, by seed."""
    found: dict[Policy, dict[int, Row]] = {}
    for spec, row in zip(trials, rows, strict=True):
        found.setdefault(spec.policy, {})[spec.seed] = row
    return found


def keep(given: argparse.Namespace, module: str, content: Mapping[str, Any]) -> None:
    """Write the results with where and how they were made, if a file was named."""
    if given.json:
        device = "GPU" if given.gpus else "CPU, 2 workers of 1 thread"
        write_json(given.json, {**made(device, command(module, sys.argv[1:])), **content})
