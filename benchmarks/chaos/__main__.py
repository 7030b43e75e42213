"""A sweep on three machines while everything it stands on dies: is the table still the same?

Real Ray on machines of our own (network namespaces), the storage on an S3 server behind a proxy,
MLflow's server on PostgreSQL. A shuffled deck of 34 faults is played, one after another, each once
the sweep has come along a little: workers, raylets, drivers, nodes and heads are killed, cables are
cut, the object store fails and dawdles, MLflow and PostgreSQL are away for a minute. An operator
starts nodes again and submits the sweep again, as people do. Needs Linux, root, iproute2 and
PostgreSQL (tests/system/install.sh).

    python -m benchmarks.chaos --json chaos.json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.chaos.faults import BESIDE, Fault, shuffled
from benchmarks.chaos.sweep import BATCH, NAME, NETWORK, SAMPLES, batches, sweep
from benchmarks.chaos.verdict import epochs, facts, runs
from benchmarks.chaos.world import STORAGE, World
from benchmarks.output import command, made, table, write_json

STEPS = SAMPLES // BATCH
COUNTED = "CHAOS_BATCHES"


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The command. Returns what it writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the faults")
    parser.add_argument("--rounds", type=float, default=1.0, help="share of the deck")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.25, help="seconds a batch")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="chaos-") as made_folder:
        folder = Path(made_folder)
        (folder / "patient.py").write_text(NETWORK)
        content = sweep(given.epochs, given.seeds, given.pause)
        config = folder / "chaos.yaml"
        config.write_text(yaml.safe_dump(content))
        calm = undisturbed(folder, config)
        found = disturbed(folder, config, calm, given.seed, given.rounds, given.epochs)
    how = command("benchmarks.chaos", sys.argv[1:] if arguments is None else arguments)
    result = {**made("CPU, three machines as network namespaces", how), **found}
    print(report(result))
    if given.json:
        write_json(given.json, result)
    return result


def undisturbed(folder: Path, config: Path) -> dict[str, Any]:
    """The same sweep on this computer, in a folder."""
    from sweeps.storage.store import Store

    counted, storage = folder / "undisturbed.batches", folder / "undisturbed"
    began = time.monotonic()
    environment = {**os.environ, COUNTED: str(counted), "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(folder)])
    done = subprocess.run(
        [sys.executable, "-m", "earlyprune", "run", config.name, "--storage", str(storage)],
        cwd=folder,
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the undisturbed sweep failed: {done.stdout[-2000:]}{done.stderr}")
    store = Store(storage)
    seconds = time.monotonic() - began
    return {
        "facts": facts(store, NAME),
        "distinct": epochs(store)[0],
        "batches": batches(counted),
        "seconds": seconds,
    }


def disturbed(
    folder: Path, config: Path, calm: dict[str, Any], seed: int, rounds: float, last: int
) -> dict[str, Any]:
    """The sweep among faults, and what is left of it."""
    from sweeps.judging.table import read_rows
    from sweeps.storage.store import Store

    counted, draw = folder / "disturbed.batches", random.Random(seed)
    with World(folder, seed, {COUNTED: str(counted)}) as world:
        began = time.monotonic()
        world.submit(config)
        over, failed = threading.Event(), list[str]()
        operator = threading.Thread(target=world.operate, args=(config, over, failed))
        operator.start()
        try:
            happened = play(world, shuffled(draw, rounds), draw, counted, calm["batches"], over)
            while not over.wait(timeout=1.0):
                pass
        finally:
            over.set()
            operator.join()
        seconds = time.monotonic() - began
        store = Store(STORAGE)
        rows = read_rows(store, NAME)
        distinct, twice = epochs(store)
        lost, doubled = runs(world.mlflow.address, NAME, rows, last)
        return {
            "faults": sum(happened.values()),
            "identical": facts(store, NAME) == calm["facts"] and not failed,
            "runs_lost": lost,
            "runs_doubled": doubled,
            "epochs_retrained": (batches(counted) - calm["batches"]) / STEPS,
            "epochs_distinct": distinct,
            "epochs_distinct_undisturbed": calm["distinct"],
            "epochs_stored_twice": twice,
            "trials": len(rows),
            "faults_by_kind": dict(happened),
            "jobs_submitted": world.submissions,
            "nodes_restarted": world.restarts,
            "seconds": round(seconds),
            "seconds_undisturbed": round(calm["seconds"]),
            "failed": failed + sorted({r["reason"] for r in rows if r["status"] == "failed"}),
        }


def play(
    world: World,
    deck: Sequence[Fault],
    draw: random.Random,
    counted: Path,
    total: int,
    over: threading.Event,
) -> Counter[str]:
    """Let the faults happen, spread over the sweep: each when it has come along by its share."""
    happened: Counter[str] = Counter()
    beside: list[threading.Thread] = []
    share = max(1, total // (len(deck) + 2))

    def happen(fault: Fault) -> None:
        while not (hit := fault(world, draw)) and not over.is_set():
            time.sleep(1.0)  # there is nothing to hit yet
        if hit:
            happened[fault.__name__] += 1
            print(f"{fault.__name__}: {hit}", flush=True)

    for number, fault in enumerate(deck, 1):
        while batches(counted) < number * share and not over.is_set():
            time.sleep(0.1)
        if over.is_set():
            break
        if fault in BESIDE:
            beside.append(threading.Thread(target=happen, args=(fault,)))
            beside[-1].start()
        else:
            happen(fault)
    for thread in beside:
        thread.join()
    return happened


def report(result: dict[str, Any]) -> str:
    """The table to read."""
    shown = {k: v for k, v in result.items() if k != "faults_by_kind"}
    by_kind = sorted(result["faults_by_kind"].items())
    return "\n\n".join(
        [
            table(["fault", "times"], [[name, str(count)] for name, count in by_kind]),
            table(["figure", "value"], [[k, json.dumps(v)] for k, v in shown.items()]),
        ]
    )


if __name__ == "__main__":
    main()
