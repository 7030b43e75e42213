"""What can be chosen about a cluster on Kubernetes, checked as far as that goes without one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pruning.errors import InputError
from sweeps.sharing.resources import Resources


@dataclass(frozen=True)
class Size:
    """What a pod holds: whole CPUs and GPUs, memory as Kubernetes writes it."""

    cpus: int
    memory: str
    gpus: int = 0


@dataclass(frozen=True)
class Options:
    """A cluster: one head, which runs the driver but no trial, and workers of one kind.

    workers: least and most. spot: the label of spot nodes. nodes: further labels of the workers'
    nodes. volumes: claims by the path they are mounted at. secrets: names of those whose entries
    become environment variables. queue: Kueue's. ttl: seconds the cluster stays after the end.
    """

    image: str
    head: Size
    worker: Size
    workers: tuple[int, int]
    namespace: str | None = None
    spot: tuple[str, str] | None = None
    nodes: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    service_account: str | None = None
    queue: str | None = None
    retries: int = 3
    ttl: int = 300
    working_dir: str | None = None


def worker_size(trial: Resources, trials: int | None, memory: str | None) -> Size:
    """A worker for that many trials at a time: by default as many as share the GPUs one needs.

    memory: by default 4 GiB a trial.
    """
    if trials is None:
        whole = math.ceil(trial.gpus)
        trials = math.floor(whole / trial.gpus + 1e-9) if trial.gpus else 1
    size = (math.ceil(trials * each - 1e-9) for each in (trial.cpus, trial.gpus))
    cpus, gpus = size
    return Size(cpus, memory or f"{4 * trials}Gi", gpus)


def quantity(option: str, text: str) -> str:
    """An amount of memory. Raises InputError."""
    if not re.fullmatch(r"[1-9][0-9]*(\.[0-9]+)?([kMGT]|[KMGT]i)?", text):
        raise InputError(f"{option}: {text!r} is not allowed: an amount is needed, such as 16Gi")
    return text


def workers(text: str, queue: str | None) -> tuple[int, int]:
    """``N`` or ``LEAST:MOST``. Raises InputError."""
    found = re.fullmatch(r"(\d{1,6})(?::(\d{1,6}))?", text)
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if least > most or most == 0:
        raise InputError(
            f"--workers: {text!r} is not allowed: a number is needed, or LEAST:MOST, such as 0:8"
        )
    if queue and least < most:
        raise InputError(
            f"--workers: {text!r} is not allowed with --queue: Kueue admits a fixed number, "
            f"for example --workers {most}"
        )
    return least, most
