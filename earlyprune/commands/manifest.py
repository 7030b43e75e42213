"""The command ``earlyprune manifest``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from earlyprune.commands.options import Config, read_sweep

Many = list[str] | None


class Kind(StrEnum):
    """What is made: a job that runs the sweep, or a cluster that sweeps are submitted to."""

    job = "job"
    cluster = "cluster"


def manifest(
    config: Config,
    image: Annotated[str, typer.Option(help="The container image, see cluster/Dockerfile.")],
    kind: Annotated[
        Kind, typer.Option(help="A RayJob that runs the sweep, or a RayCluster to submit it to.")
    ] = Kind.job,
    storage: Annotated[
        str | None,
        typer.Option(help="An address, s3://..., or a folder on a --volume; by default the first."),
    ] = None,
    volume: Annotated[
        Many, typer.Option(help="A claim that all pods can write to, CLAIM:PATH; may be repeated.")
    ] = None,
    tracking_uri: Annotated[str | None, typer.Option(help="MLflow's address, http://...")] = None,
    study: Annotated[
        str | None, typer.Option(help="Optuna's database of a search, postgresql+psycopg2://...")
    ] = None,
    secret: Annotated[
        Many, typer.Option(help="A Secret whose entries become environment variables.")
    ] = None,
    service_account: Annotated[
        str | None, typer.Option(help="Whose rights head and workers have, on the bucket too.")
    ] = None,
    workers: Annotated[str, typer.Option(help="How many: N, or LEAST:MOST.")] = "0:4",
    trials_per_worker: Annotated[
        int | None,
        typer.Option(min=1, help="Trials a worker holds; by default those that share its GPUs."),
    ] = None,
    worker_memory: Annotated[
        str | None, typer.Option(help="A worker's memory; by default 4Gi a trial.")
    ] = None,
    head_memory: Annotated[str, typer.Option(help="The head's memory.")] = "8Gi",
    head_cpus: Annotated[int, typer.Option(min=1, help="The head's CPUs.")] = 2,
    spot: Annotated[
        str | None,
        typer.Option(help="Workers on spot nodes: gke, eks, aks, karpenter, or their KEY=VALUE."),
    ] = None,
    node: Annotated[
        Many, typer.Option(help="A label of the workers' nodes, KEY=VALUE; may be repeated.")
    ] = None,
    queue: Annotated[str | None, typer.Option(help="A LocalQueue of Kueue.")] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="New clusters for a job that fails, with its head or not.")
    ] = 3,
    ttl: Annotated[
        int, typer.Option(min=0, help="Seconds that the cluster stays after the job's end.")
    ] = 300,
    working_dir: Annotated[
        str | None, typer.Option(help="Your own code: the address of a .zip, https:// or s3://.")
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="The namespace of all objects.")] = None,
    change: Annotated[
        Many, typer.Option("--set", help="Change a field of the sweep; may be repeated.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="A file to write instead.")] = None,
) -> None:
    """Print a sweep's manifest for KubeRay, to be piped into kubectl apply -f -."""
    sweep = read_sweep(config, change)
    from cluster.kuberay.manifest import to_yaml
    from cluster.kuberay.request import Request

    request = Request(
        image=image,
        storage=storage,
        volumes=volume or (),
        tracking_uri=tracking_uri,
        study=study,
        secrets=secret or (),
        service_account=service_account,
        workers=workers,
        trials_per_worker=trials_per_worker,
        worker_memory=worker_memory,
        head_memory=head_memory,
        head_cpus=head_cpus,
        spot=spot,
        nodes=node or (),
        queue=queue,
        retries=retries,
        ttl=ttl,
        working_dir=working_dir,
        namespace=namespace,
    )
    if kind is Kind.cluster:
        objects = request.cluster(sweep)
    else:
        objects = request.job(sweep, config, change or [])
    _print(to_yaml(objects), output)


def _print(text: str, output: Path | None) -> None:
    if output:
        from sweeps.results.output import write

        write(output, text.encode())
    else:
        print(text, end="")
