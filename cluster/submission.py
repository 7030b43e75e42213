"""What is sent to a Ray cluster for a sweep to run there: its command and its surroundings."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.jobs import STOP_SECONDS
from pruning.errors import InputError
from sweeps.tracking.address import without_password

SECRET = re.compile(r"key|secret|token|passw|credential", re.IGNORECASE)


@dataclass(frozen=True)
class Submission:
    """storage: as the job can use it. arguments: of ``earlyprune run``, after the sweep file.
    variables: of the job's environment. requirements: a file of packages to install there first.
    """

    storage: str
    arguments: Sequence[str]
    variables: Mapping[str, str]
    requirements: Path | None = None

    @classmethod
    def of(
        cls,
        address: str,
        storage: str,
        tracking_uri: str | None,
        study: str | None,
        changes: Sequence[str],
        variables: Sequence[str],
        requirements: Path | None,
    ) -> Submission:
        """From the texts of a command line. Raises InputError for what would fail over there."""
        where = lasting(storage, address)
        environ = environment(variables)
        arguments = ["--storage", where]
        for name, value in (("--tracking-uri", tracking_uri), ("--study", study)):
            if value:
                arguments += [name, without_secret(name, value)]
        for change in changes:
            arguments += ["--set", change]
        if requirements and not requirements.is_file():
            raise InputError(f"--requirements: there is no file {str(requirements)!r}")
        return cls(where, arguments, environ, requirements)

    def command(self, file: Path) -> list[str]:
        """file: the sweep's, in the job's folder."""
        return ["python", "-m", "earlyprune", "run", str(file), *self.arguments]

    def surroundings(self, folder: Path) -> dict[str, Any]:
        """Ray's runtime environment. folder: is taken along whole."""
        variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS), **self.variables}
        packages = {"uv": str(self.requirements)} if self.requirements else {}
        return {"working_dir": str(folder), "env_vars": variables, **packages}


def lasting(storage: str, address: str) -> str:
    """The storage as a job can use it: a path counts from here if the cluster is this machine."""
    if "://" in storage or Path(storage).is_absolute():
        return storage
    if re.match(r"https?://(127\.0\.0\.1|localhost|\[::1\])[:/]", f"{address}/"):
        return os.path.abspath(storage)
    raise InputError(
        f"--storage: {storage!r} is not allowed on another machine: give an absolute path that all "
        f"of them see, or an address such as s3://bucket/folder (or set EARLYPRUNE_STORAGE)"
    )


def environment(given: Sequence[str]) -> dict[str, str]:
    """``NAME=VALUE``, or ``NAME`` with its value here. Whoever may list jobs can read them."""
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if SECRET.search(name):
            raise InputError(
                f"--env: {name!r} is not allowed: whoever may list the cluster's jobs can read "
                f"their environment; set it where the nodes are started"
            )
        if not equals and name not in os.environ:
            raise InputError(f"--env: {name!r} is not set here; give {name}=VALUE")
        found[name] = value if equals else os.environ[name]
    return found


def without_secret(option: str, address: str) -> str:
    """Refuses an address with a password, as a job's command can be read by others."""
    if without_password(address) != address:
        variable = {"--tracking-uri": "MLFLOW_TRACKING_URI", "--study": "EARLYPRUNE_STUDY"}[option]
        raise InputError(
            f"{option}: {without_password(address)!r} is not allowed: whoever may list the "
            f"cluster's jobs can read it; set {variable} where the nodes are started"
        )
    return address
