"""The commands of clusters: submit, status, logs, stop and list speak with a Ray cluster's job
server; manifest makes what Kubernetes is given."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earlyprune.commands.manifest import manifest
from pruning.errors import InputError
from sweeps.storage.files import DEFAULT_STORAGE

if TYPE_CHECKING:  # Ray takes a second to import
    from cluster.jobs import Job

app = typer.Typer()
app.command()(manifest)

Address = Annotated[
    str,
    typer.Option(envvar="RAY_API_SERVER_ADDRESS", help="The cluster's job server."),
]
LOCAL = "http://127.0.0.1:8265"
JobName = Annotated[str, typer.Argument(help="The sweep's name, or the job's.")]
SECRET = re.compile(r"key|secret|token|passw|credential", re.IGNORECASE)


@app.command()
def submit(
    config: Annotated[Path, typer.Argument(help="The sweep file (YAML).")],
    address: Address = LOCAL,
    storage: Annotated[
        str,
        typer.Option(
            envvar="EARLYPRUNE_STORAGE",
            help="A folder that all machines see, or an address: s3://...",
        ),
    ] = DEFAULT_STORAGE,
    tracking_uri: Annotated[
        str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="MLflow's address.")
    ] = None,
    study: Annotated[
        str | None, typer.Option(envvar="EARLYPRUNE_STUDY", help="Optuna's database of a search.")
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field; may be repeated.")
    ] = None,
    working_dir: Annotated[
        Path | None,
        typer.Option(help="A folder to take along whole, instead of what the sweep file names."),
    ] = None,
    requirements: Annotated[
        Path | None, typer.Option(help="Packages to install there first, by uv.")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(help="NAME or NAME=VALUE for the job; may be repeated.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show what it prints, and end as it ends.")
    ] = False,
) -> None:
    """Run a sweep as a job of a Ray cluster; submitted again, it goes on."""
    from cluster import package
    from cluster.jobs import STOP_SECONDS, Jobs
    from sweeps.file.sweep import read

    sweep = read(config, change or [])
    sweep.trials()  # every field is looked at
    where = lasting(storage, address)
    variables = environment(env or [])
    options = ["--storage", where]
    for name, value in (("--tracking-uri", tracking_uri), ("--study", study)):
        if value:
            options += [name, without_secret(name, value)]
    for one in change or []:
        options += ["--set", one]
    if requirements and not requirements.is_file():
        raise InputError(f"--requirements: there is no file {str(requirements)!r}")
    with tempfile.TemporaryDirectory(prefix="earlyprune-job-") as made:
        if working_dir:
            folder, file = working_dir, package.within(config, working_dir)
        else:
            folder, file = Path(made), package.pack(config, Path(made), Path.cwd())
        surroundings: dict[str, Any] = {
            "working_dir": str(folder),
            "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS), **variables},
        }
        if requirements:
            surroundings["uv"] = str(requirements)
        jobs = Jobs(address)
        command = ["python", "-m", "earlyprune", "run", str(file), *options]
        job, new = jobs.submit(sweep.name, where, command, surroundings)
    print(f"job {job.id}: {'submitted' if new else 'runs already, and is not started twice'}")
    if follow:
        _end(jobs.follow(job, _show))


@app.command()
def status(
    name: JobName,
    address: Address = LOCAL,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how a sweep's job is doing."""
    from cluster.jobs import Jobs

    jobs = Jobs(address)
    job = jobs.one(name)
    if as_json:
        print(json.dumps(asdict(job)))
        return
    print(f"{job.id}: {describe(job)}")
    last = [line for line in jobs.log(job).splitlines() if line.strip()][-1:]
    print("\n".join(last))


@app.command()
def logs(
    name: JobName,
    address: Address = LOCAL,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until it has ended, and end as it ends.")
    ] = False,
) -> None:
    """Print what a sweep's job has printed."""
    from cluster.jobs import Jobs

    jobs = Jobs(address)
    job = jobs.one(name)
    if follow:
        _end(jobs.follow(job, _show))
    else:
        _show(jobs.log(job))


@app.command()
def stop(name: JobName, address: Address = LOCAL) -> None:
    """End a sweep's job in order; submitted again, it goes on."""
    from cluster.jobs import Jobs

    jobs = Jobs(address)
    job = jobs.stop(jobs.one(name))
    print(f"{job.id}: {describe(job)}")
    raise typer.Exit(int(job.live))


@app.command("list")
def list_jobs(
    address: Address = LOCAL,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the cluster's jobs that are sweeps, the oldest first."""
    from cluster.jobs import Jobs

    found = Jobs(address).all()
    if as_json:
        print(json.dumps([asdict(job) for job in found], indent=1))
        return
    for job in found:
        print(f"{job.id}: {describe(job)}")
    if not found:
        print(f"no sweep has been submitted to {address}")


def describe(job: Job) -> str:
    """Its state in a line."""
    from datetime import UTC, datetime

    began = datetime.fromtimestamp(job.began, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    code = "" if job.code is None else f", exit code {job.code}"
    why = f" ({job.message})" if job.status in ("PENDING", "FAILED") and job.message else ""
    return f"{job.status.lower()}{code}{why}, since {began}, storage {job.storage}"


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


def environment(given: list[str]) -> dict[str, str]:
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
    from sweeps.tracking.address import without_password

    if without_password(address) != address:
        variable = {"--tracking-uri": "MLFLOW_TRACKING_URI", "--study": "EARLYPRUNE_STUDY"}[option]
        raise InputError(
            f"{option}: {without_password(address)!r} is not allowed: whoever may list the "
            f"cluster's jobs can read it; set {variable} where the nodes are started"
        )
    return address


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _end(job: Job) -> None:
    """End as the job has ended: 130 if it was stopped, 1 where it has left no code."""
    if job.code is None:
        print(f"{job.id}: {describe(job)}")
    codes = {"SUCCEEDED": 0, "STOPPED": 130}
    raise typer.Exit(codes.get(job.status, 1) if job.code is None else job.code)
