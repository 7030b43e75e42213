"""The commands of clusters: submit, status, logs, stop and list speak with a Ray cluster's job
server; manifest makes what Kubernetes is given."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.connection import job_server
from earlyprune.commands.manifest import manifest
from earlyprune.commands.options import AsJson, Config, read_sweep
from sweeps.storage.files import DEFAULT_STORAGE

if TYPE_CHECKING:  # Ray takes a second to import
    from cluster.jobs import Job

app = typer.Typer()
app.command()(manifest)

Address = Annotated[
    str,
    typer.Option(
        envvar="RAY_API_SERVER_ADDRESS", callback=job_server, help="The cluster's job server."
    ),
]
LOCAL = "http://127.0.0.1:8265"
JobName = Annotated[str, typer.Argument(help="The sweep's name, or the job's.")]


@app.command()
def submit(
    config: Config,
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
    sweep = read_sweep(config, change)
    from cluster.jobs import Jobs
    from cluster.package import packed
    from cluster.submission import Submission

    sent = Submission.of(
        address, storage, tracking_uri, study, change or [], env or [], requirements
    )
    with packed(config, working_dir) as (folder, file):
        jobs = Jobs(address)
        job, new = jobs.submit(
            sweep.name, sent.storage, sent.command(file), sent.surroundings(folder)
        )
    print(f"job {job.id}: {'submitted' if new else 'runs already, and is not started twice'}")
    if follow:
        _end(jobs.follow(job, _show))


@app.command()
def status(
    name: JobName,
    address: Address = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Say how a sweep's job is doing."""
    from cluster.jobs import Jobs

    jobs = Jobs(address)
    job = jobs.one(name)
    if as_json:
        print(json.dumps(asdict(job)))
        return
    print(job.line)
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
    print(job.line)
    raise typer.Exit(int(job.live))


@app.command("list")
def list_jobs(
    address: Address = LOCAL,
    as_json: AsJson = False,
) -> None:
    """List the cluster's jobs that are sweeps, the oldest first."""
    from cluster.jobs import Jobs

    found = Jobs(address).all()
    if as_json:
        print(json.dumps([asdict(job) for job in found], indent=1))
        return
    for job in found:
        print(job.line)
    if not found:
        print(f"no sweep has been submitted to {address}")


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _end(job: Job) -> None:
    """End as the job has ended."""
    if job.code is None:
        print(job.line)
    raise typer.Exit(job.exit_code)
