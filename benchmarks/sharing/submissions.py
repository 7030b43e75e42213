"""Many short sweeps at once: 200 jobs from 8 clients to one Ray head, and none twice.

Real jobs: each is a command of its own with its own driver, and trains an epoch. All clients submit
one sweep more at the same moment, which must be started once. Drivers wait for their share of the
head's memory, so that it holds however many come. Needs Linux, root and iproute2.

    python -m benchmarks.sharing.submissions --json submissions.json
"""

from __future__ import annotations

import argparse
import json
import statistics
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

from benchmarks.chaos.machines import Machines
from benchmarks.chaos.ray_nodes import SERVER, RayNodes
from benchmarks.chaos.servers import Server, mlflow
from benchmarks.output import command, made, table, write_json
from benchmarks.trained import trainings

COMMON = "common"
MLFLOW_PORT = 5000
START_SECONDS = "36000"  # Ray gives up jobs that have waited for a quarter of an hour


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The command. Returns what it writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    parser.add_argument("--sweeps", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--drivers", type=int, default=3, help="how many may run at a time")
    parser.add_argument("--client", nargs=2, metavar=("FOLDER", "NAMES"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.client:
        return client(Path(given.client[0]), given.client[1].split(","))
    with tempfile.TemporaryDirectory(prefix="submissions-") as folder:
        found = measure(Path(folder), given.sweeps, given.clients, given.drivers)
    how = command(
        "benchmarks.sharing.submissions", sys.argv[1:] if arguments is None else arguments
    )
    result = {**made("CPU, one head", how), **found}
    print(table(["figure", "value"], [[name, json.dumps(value)] for name, value in result.items()]))
    if given.json:
        write_json(given.json, result)
    return result


def sweep(name: str, number: int) -> dict[str, Any]:
    """A short sweep: an epoch of a small network, of a task of its own."""
    return {
        "name": name,
        "task": {
            "model": {"name": "small_cnn", "options": {"widths": [8, 8], "pool_after": [0]}},
            "data": {"source": "digits", "train_limit": 128},
            "epochs": 1,
            "batch_size": 32,
            "revision": str(number),
        },
        "policies": ["dense"],
    }


def client(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """What one client does; it prints its seconds for each submission."""
    from cluster.jobs import Jobs

    seconds = []
    for name in names:
        began = time.monotonic()
        places = ["--storage", str(folder / "storage"), "--set", f"name={name}"]
        line = ["python", "-m", "earlyprune", "run", str(folder / f"{name}.yaml"), *places]
        Jobs(SERVER).submit(name, str(folder / "storage"), line, {})
        seconds.append(time.monotonic() - began)
    print(json.dumps(seconds))
    return {"seconds": seconds}


def measure(folder: Path, count: int, clients: int, drivers: int) -> dict[str, Any]:
    """Submit all, wait for all, and look at what there is."""
    names = [COMMON, *(f"short-{number}" for number in range(count))]
    for number, name in enumerate(names):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(sweep(name, number)))
    with Machines(1) as machines:
        server = mlflow(
            machines.host,
            MLFLOW_PORT,
            f"sqlite:///{folder}/mlflow.db",
            f"file://{folder}/artifacts",
            folder / "mlflow.txt",
        )
        server.start()
        try:
            return submitted(folder, names, clients, drivers, machines, server)
        finally:
            server.stop()


def submitted(
    folder: Path, names: Sequence[str], clients: int, drivers: int, machines: Machines, at: Server
) -> dict[str, Any]:
    """On a head, with MLflow there."""
    from cluster.jobs import DRIVER_MEMORY
    from sweeps.judging.table import read_rows
    from sweeps.storage.store import Store

    nodes = RayNodes(machines, folder, head_cpus=2, head_memory=drivers * DRIVER_MEMORY)
    machines.environment |= {
        "RAY_JOB_START_TIMEOUT_SECONDS": START_SECONDS,
        "RAY_prestart_worker_first_driver": "false",  # a worker that nobody asked for, for each job
        "MLFLOW_TRACKING_URI": at.address,
    }
    nodes.start()
    watch = Watch(machines, nodes.head)
    began = time.monotonic()
    running = [
        machines.start(
            nodes.head,
            [
                sys.executable,
                "-m",
                "benchmarks.sharing.submissions",
                "--client",
                str(folder),
                ",".join(own),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for own in ([names[0], *names[1 + start :: clients]] for start in range(clients))
    ]
    seconds = sorted(s for one in running for s in json.loads(one.communicate()[0]))
    submitting = time.monotonic() - began
    while True:
        time.sleep(5)
        try:
            jobs = [job for job in json.loads(nodes.ask("/api/jobs/")) if job["metadata"]]
        except (RuntimeError, subprocess.TimeoutExpired):  # it has much to do
            continue
        states = Counter(job["status"] for job in jobs)
        print(round(time.monotonic() - began), dict(states), flush=True)
        if not states.keys() & {"PENDING", "RUNNING"}:
            break
    whole = time.monotonic() - began
    watch.over.set()
    store = Store(folder / "storage")
    ended = [name for name in names if read_rows(store, name)[0]["status"] == "finished"]
    took = sorted((job["end_time"] - job["start_time"]) / 1000 for job in jobs)
    return {
        "sweeps": len(names),
        "clients": clients,
        "jobs": len(jobs),
        "succeeded": states["SUCCEEDED"],
        "sweeps_finished": len(ended),
        "started_twice": len(jobs) - len({job["submission_id"].rpartition("-")[0] for job in jobs}),
        "epochs_trained_twice": sum(count - 1 for count in trainings(store)),
        "submit_seconds": spread(seconds),
        "submit_to_end_seconds": spread(took),
        "all_submitted_after_seconds": round(submitting, 1),
        "all_ended_after_seconds": round(whole, 1),
        "drivers_at_a_time": drivers,
        "memory_gib": {name: round(most / 2**30, 2) for name, most in watch.most.items()},
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum."""
    cuts = statistics.quantiles(values, n=20)
    shown = {"median": statistics.median(values), "p95": cuts[-1], "max": max(values)}
    return {name: round(value, 2) for name, value in shown.items()}


class Watch:
    """The most memory (proportional set size, bytes) that kinds of processes had at a time."""

    KINDS = {"head": ("gcs_server", "dashboard", "raylet", "agent"), "drivers": ("earlyprune run",)}

    def __init__(self, machines: Machines, name: str) -> None:
        self.most = dict.fromkeys([*self.KINDS, "one driver"], 0)
        self.over = threading.Event()
        self._machines, self._name = machines, name
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self.over.wait(5.0):
            now = dict.fromkeys(self.most, 0)
            for pid in self._machines.processes(self._name):
                text, size = _process(pid)
                for kind, marks in self.KINDS.items():
                    if any(mark in text for mark in marks):
                        now[kind] += size
                        if kind == "drivers":
                            now["one driver"] = max(now["one driver"], size)
                        break
            self.most = {kind: max(most, now[kind]) for kind, most in self.most.items()}


def _process(pid: int) -> tuple[str, int]:
    """Command line and memory of a process; nothing if it has ended."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("latin-1")
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return "", 0
    sizes = [line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")]
    return text, int(sizes[0]) * 1024 if sizes else 0


if __name__ == "__main__":
    main()
