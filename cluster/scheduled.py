"""What a scheduler expects of a command: it ends when asked to, and writes where things last."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType

from pruning.errors import InputError

JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray for the command of a job."""


def stop_when_asked() -> None:
    """Let SIGTERM, as schedulers send it, do what Ctrl-C does.

    Ray blocks SIGINT itself in the commands of its jobs, so its handler is called, whosever it is
    by then: that of Ray Tune ends a sweep in order. To be called once Ray is connected: `ray.init`
    takes SIGTERM for itself.
    """

    def asked(number: int, frame: FrameType | None) -> None:
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):
            handler(signal.SIGINT, frame)
        else:
            raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, asked)


def check_lasting(storage: str, tracking_uri: str | None, study: str | None, search: bool) -> None:
    """Refuse what would be lost with the folder that Ray makes for a job and takes away again.

    search: whether the sweep has one, whose study needs a place too. Raises InputError; outside of
    a job nothing is refused.
    """
    if JOB_VARIABLE not in os.environ:
        return
    gone = "would be lost with the job's own folder"
    remote = "://" in storage
    if not remote and not Path(storage).is_absolute():
        raise InputError(
            f"--storage: {storage!r} {gone}: give an absolute path that all machines see, or an "
            f"address such as s3://bucket/folder (or set EARLYPRUNE_STORAGE)"
        )
    if remote and not tracking_uri:
        raise InputError(
            f"--tracking-uri: missing; beside {storage} MLflow's database {gone}: give the address "
            f"of a server (or set MLFLOW_TRACKING_URI)"
        )
    if remote and search and not study:
        raise InputError(
            f"--study: missing; beside {storage} the search's database {gone}: give for example "
            f"postgresql://... (or set EARLYPRUNE_STUDY)"
        )
