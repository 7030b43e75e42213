"""Sweeps as jobs of a Ray cluster, over Ray's job API.

A sweep submitted again is a new job that goes on with the same sweep; one that runs already is not
started twice: job number n of a sweep has a name made of both, and Ray takes a name only once.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from cluster.connection import job_server, refused
from cluster.errors import ClusterError
from pruning.errors import InputError, unknown
from pruning.settings import digest

SWEEP, STORAGE = "earlyprune.sweep", "earlyprune.storage"
LIVE = {JobStatus.PENDING, JobStatus.RUNNING}
DRIVER_MEMORY = 2**30
"""Bytes that a driver is counted with: what more than fits waits, instead of ending the head."""
ON_HEAD = {"node:__internal_head__": 0.001}
"""Drivers run on the head: other nodes may be taken away at any time."""
STOP_SECONDS = 60
PATIENCE = 60.0  # seconds without an answer before whoever follows a job gives up

for _name in (
    "dashboard.modules.job.sdk",
    "dashboard.modules.dashboard_sdk",
    "_private.runtime_env.packaging",
):  # what they upload, and when they hang up, is nobody's interest
    logging.getLogger(f"ray.{_name}").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Job:
    """A sweep's job.

    code: that its command ended with, as the shell gives it; None while it has not ended by itself.
    """

    id: str
    sweep: str
    storage: str
    status: str
    message: str
    began: float  # seconds since 1970
    ended: float | None
    code: int | None

    @property
    def live(self) -> bool:
        """Whether it waits or runs."""
        return self.status in LIVE

    @property
    def line(self) -> str:
        """It and its state, to read."""
        began = datetime.fromtimestamp(self.began, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        code = "" if self.code is None else f", exit code {self.code}"
        why = f" ({self.message})" if self.status in ("PENDING", "FAILED") and self.message else ""
        state = f"{self.status.lower()}{code}{why}"
        return f"{self.id}: {state}, since {began}, storage {self.storage}"

    @property
    def exit_code(self) -> int:
        """For whoever followed it: 130 if it was stopped, 1 where it has left no code."""
        codes = {"SUCCEEDED": 0, "STOPPED": 130}
        return codes.get(self.status, 1) if self.code is None else self.code

    @classmethod
    def of(cls, details: JobDetails) -> Job:
        """As Ray describes it."""
        notes = details.metadata or {}
        return cls(
            details.submission_id or "",
            notes[SWEEP],
            notes.get(STORAGE, ""),
            details.status.value,
            details.message or "",
            (details.start_time or 0) / 1000,
            details.end_time / 1000 if details.end_time else None,
            details.driver_exit_code,
        )


class Jobs:
    """The sweeps of the cluster whose job server is at ``address``, http://host:8265.

    Raises InputError if nothing answers there, or refuses the token.
    """

    def __init__(self, address: str) -> None:
        self.address = job_server(address)
        self._client: JobSubmissionClient = self._first(lambda: JobSubmissionClient(address))

    def submit(
        self,
        sweep: str,
        storage: str,
        command: Sequence[str],
        environment: Mapping[str, Any],
        memory: int = DRIVER_MEMORY,
    ) -> tuple[Job, bool]:
        """Start a sweep's command, unless it runs already. Returns its job, and if it is new.

        environment: Ray's runtime environment. memory: bytes that the driver is counted with.
        """
        while True:
            before = [job for job in self.all() if (job.sweep, job.storage) == (sweep, storage)]
            for job in before:
                if job.live:
                    return job, False
            name = f"{_slug(sweep)}-{digest([sweep, storage], 6)}-{len(before) + 1}"
            try:
                self._client.submit_job(
                    entrypoint=shlex.join(command),
                    submission_id=name,
                    runtime_env=dict(environment),
                    metadata={SWEEP: sweep, STORAGE: storage},
                    entrypoint_memory=memory,
                    entrypoint_resources=ON_HEAD,
                )
            except RuntimeError as error:
                # Ray has no error of its own for a name that is taken.
                if "already" not in str(error):
                    raise InputError(f"--address: {self.address}: {_line(error)}") from None
                time.sleep(0.2)  # somebody else was faster
                continue
            return self.one(name), True

    def all(self) -> list[Job]:
        """The jobs that are sweeps, the oldest first."""
        found = [Job.of(d) for d in self._client.list_jobs() if SWEEP in (d.metadata or {})]
        return sorted(found, key=lambda job: job.began)

    def one(self, name: str) -> Job:
        """A job by its name, or a sweep's newest. Raises InputError, naming what there is."""
        jobs = self.all()
        found = [job for job in jobs if name in (job.id, job.sweep)]
        if not found:
            known = {job.id for job in jobs} | {job.sweep for job in jobs}
            raise InputError(f"--address: {self.address}: {unknown('job', name, known)}")
        return found[-1]

    def log(self, job: Job) -> str:
        """What its command has printed so far."""
        return str(self._client.get_job_logs(job.id))

    def stop(self, job: Job) -> Job:
        """Ask it to end, and wait until it has."""
        if job.live:
            self._client.stop_job(job.id)
        end = time.monotonic() + STOP_SECONDS + 10
        while (job := self.one(job.id)).live and time.monotonic() < end:
            time.sleep(0.5)
        return job

    def follow(self, job: Job, show: Callable[[str], object]) -> Job:
        """Show what it prints until it has ended. Raises ClusterError if the cluster goes away."""
        shown, heard = 0, time.monotonic()

        async def tail() -> None:
            nonlocal shown, heard
            seen = 0  # it begins anew each time
            async for part in self._client.tail_job_logs(job.id):
                heard = time.monotonic()
                show(part[max(0, shown - seen) :])
                seen += len(part)
                shown = max(shown, seen)

        while True:
            try:
                asyncio.run(tail())
                job = self.one(job.id)
                if not job.live:
                    show(self.log(job)[shown:])
                    return job
                heard = time.monotonic()
            except (OSError, RuntimeError) as error:
                # A busy head hangs up, too: only time tells one that is gone.
                if time.monotonic() - heard > PATIENCE:
                    raise ClusterError(
                        f"{self.address} does not answer any more ({_line(error)}); "
                        f"submit the sweep again to go on"
                    ) from None
            time.sleep(1.0)

    def _first(self, call: Callable[[], Any]) -> Any:
        """The first call: what is wrong with the address shows here."""
        try:
            return call()
        except AuthenticationError:
            raise refused("--address", self.address) from None
        except (ConnectionError, requests.RequestException, RuntimeError, ValueError) as error:
            raise InputError(
                f"--address: {self.address!r}: no job server of a Ray cluster answers there "
                f"({_line(error)})"
            ) from None


def _slug(name: str) -> str:
    """A name that shells and web addresses take."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or "sweep"


def _line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."
