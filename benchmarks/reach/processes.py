"""A network in a process of its own, with limits of time and memory.

Processes are forked off a server that has imported torch once; with another checkout's ``pruning``
they begin from nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.reach import one

ROOT = Path(__file__).parents[2]
FORKS = get_context("forkserver")
PRELOADED = ["pruning.public", "benchmarks.reach.ours", "benchmarks.reach.theirs"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """Of one process."""

    seconds: float
    gib: float


def run(suite: str, name: str, way: str, limits: Limits) -> Row:
    """The result of ``one.result``, or why there is none."""
    os.environ["OMP_NUM_THREADS"] = "1"
    FORKS.set_forkserver_preload(PRELOADED)
    receiving, sending = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_work, args=(sending, suite, name, way, limits.gib))
    process.start()
    sending.close()
    try:
        if receiving.poll(limits.seconds):
            found: Row = receiving.recv()
            return found
        return _late(limits)
    except EOFError:
        process.join()
        return {"works": False, "reason": f"its process ended with {process.exitcode}"}
    finally:
        process.kill()
        process.join()


def _work(sending: Connection, suite: str, name: str, way: str, gib: float) -> None:
    one.limit(gib)
    try:
        sending.send(one.result(suite, name, way))
    except Exception as error:  # a fault of this benchmark, or of a network that does not even run
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        sending.send({"works": False, "reason": f"not measured: {text}"})


def timed(suite: str, name: str, limits: Limits, pruning: Path) -> Row:
    """The same without what comes after the cut, by the ``pruning`` of a checkout."""
    line = [sys.executable, "-m", one.__name__, "--suite", suite, "--name", name, "--only-time"]
    line += ["--gib", str(limits.gib), "--pruning", str(pruning.resolve())]
    try:
        done = subprocess.run(
            line,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=limits.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _late(limits)
    if done.returncode:
        last = next(reversed(done.stderr.strip().splitlines()), "")
        return {"works": False, "reason": last[:300] or f"ended with {done.returncode}"}
    found: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _late(limits: Limits) -> Row:
    return {"works": False, "reason": f"not done in {limits.seconds:g} s"}
