"""All that a sweep stands on, and an operator who starts again what has died.

Three machines with Ray, the storage in an object store behind a proxy, MLflow's server on
PostgreSQL. The operator does what people or their tools do: nodes that are gone are started again,
and a sweep whose job has ended before its time is submitted again. Nothing else is ever mended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.chaos.machines import Machines
from benchmarks.chaos.postgres import Postgres
from benchmarks.chaos.ray_nodes import RayNodes
from benchmarks.chaos.servers import BUCKET, Server, Unreliable, make_bucket, mlflow, moto

STORAGE = f"s3://{BUCKET}/runs"
S3_PORT, PROXY_PORT, MLFLOW_PORT = 9000, 9001, 5000
SURE, STARTING = 3, 20
"""So often in a row a node must be missing before it is started again, as news take their time; and
so much longer after a start."""


class World:
    """Runs while inside. folder: for what everything prints, and for the sweep file.

    environment: of all that runs on the machines.
    """

    def __init__(self, folder: Path, seed: int, environment: Mapping[str, str]) -> None:
        self.folder, self.seed = folder, seed
        self.machines = Machines(3, environment)
        self.nodes = RayNodes(self.machines, folder)
        self.postgres = Postgres()
        self.submissions = self.restarts = 0
        self.apart: set[str] = set()  # machines without a network
        self._missing: Counter[str] = Counter()
        self._stack = ExitStack()

    def __enter__(self) -> World:
        with self._stack as stack:
            stack.enter_context(self.machines)
            stack.enter_context(self.postgres)
            host = self.machines.host
            database = self.postgres.create("mlflow")
            store = moto(host, S3_PORT, self.folder / "moto.txt")
            stack.callback(store.stop)
            store.start()
            make_bucket(store.address)
            self.proxy = Unreliable(host, PROXY_PORT, store.address, self.seed)
            stack.callback(self.proxy.close)
            keys = {
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "NO_PROXY": "*",
            }
            self.machines.environment |= {**keys, "AWS_ENDPOINT_URL": self.proxy.address}
            self.direct = {**keys, "AWS_ENDPOINT_URL": store.address}
            artifacts = f"s3://{BUCKET}/artifacts"
            said = self.folder / "mlflow.txt"
            self.mlflow: Server = mlflow(host, MLFLOW_PORT, database, artifacts, said)
            stack.callback(_restore, dict(os.environ))
            os.environ.update(self.direct)  # MLflow's server, and who looks at the results
            stack.callback(self.mlflow.stop)
            self.mlflow.start()
            self.nodes.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def submit(self, config: Path) -> None:
        """The sweep as a job; where it runs, nothing happens. Raises RuntimeError."""
        places = ["--storage", STORAGE, "--tracking-uri", self.mlflow.address]
        submission = self.nodes.command(
            "submit",
            config.name,
            *places,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said, _ = submission.communicate(timeout=120)
        if submission.returncode:
            raise RuntimeError(said)
        self.submissions += "submitted" in said

    def job(self) -> Mapping[str, Any] | None:
        """The newest job as the head knows it, None if it knows of none. Raises RuntimeError."""
        jobs = [job for job in json.loads(self.nodes.ask("/api/jobs/")) if job["submission_id"]]
        return max(jobs, key=lambda job: job["start_time"], default=None)

    def operate(self, config: Path, over: threading.Event, failed: list[str]) -> None:
        """Look after everything until the sweep has succeeded, or cannot."""
        while not over.is_set():
            try:
                if self._mend():
                    job = self.job()
                    if job and job["status"] == "SUCCEEDED":
                        over.set()
                    elif job and job["status"] == "FAILED" and _hopeless(job):
                        failed.append(f"the job ended with {job['driver_exit_code']}")
                        over.set()
                    elif not job or job["status"] in ("FAILED", "STOPPED"):
                        self.submit(config)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"operator: {str(error)[-200:]}", file=sys.stderr)
            time.sleep(1.0)

    def _mend(self) -> bool:
        """Start nodes that are gone. Returns whether the head answers."""
        head = self.nodes.head
        if head in self.apart:
            return False
        try:
            alive = set(self.nodes.alive())
        except (RuntimeError, subprocess.TimeoutExpired):
            alive = set()
        gone = [name for name in self.machines.names if name not in alive | self.apart]
        for name in self.machines.names:
            self._missing[name] = self._missing[name] + 1 if name in gone else 0
        if self._missing[head] >= SURE:  # the others have lost what they were part of
            for name in self.machines.names:
                self.nodes.kill(name)
            gone, self._missing = [head], Counter({head: SURE})
        for name in gone:
            if self._missing[name] >= SURE and (name == head or head in alive):
                self.nodes.kill(name)
                self.nodes.launch(name)
                self._missing[name] = -STARTING
                self.restarts += 1
        return head in alive


def _restore(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def _hopeless(job: Mapping[str, Any]) -> bool:
    """Whether submitting it again would end the same: bad input, trials that failed."""
    return job.get("driver_exit_code") in (1, 2)
