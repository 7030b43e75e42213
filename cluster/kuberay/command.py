"""The command ``earlyprune manifest``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pruning.errors import InputError

Many = list[str] | None


class Kind(StrEnum):
    """What is made: a job that runs the sweep, or a cluster that sweeps are submitted to."""

    job = "job"
    cluster = "cluster"


def manifest(
    config: Annotated[Path, typer.Argument(help="The sweep file (YAML).")],
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
    from cluster import package
    from cluster.kuberay import addresses, options
    from cluster.kuberay.manifest import ray_cluster, ray_job, to_yaml
    from cluster.kuberay.names import checked, label, object_name
    from cluster.kuberay.spot import spot_label
    from sweeps.file.sweep import read

    sweep = read(config, change or [])
    _ = sweep.entries  # as wrong policies are better found here
    of_a_job = {
        "--storage": storage,
        "--tracking-uri": tracking_uri,
        "--study": study,
        "--working-dir": working_dir,
    }
    if kind is Kind.cluster:
        for option in filter(of_a_job.get, of_a_job):
            raise InputError(f"{option}: is not of a cluster; give it to the job you submit to it")
    memory = options.quantity("--worker-memory", worker_memory) if worker_memory else None
    chosen = options.Options(
        image=image,
        head=options.Size(head_cpus, options.quantity("--head-memory", head_memory)),
        worker=options.worker_size(sweep.resources, trials_per_worker, memory),
        workers=options.workers(workers, queue),
        namespace=checked("--namespace", namespace) if namespace else None,
        spot=spot_label(spot) if spot else None,
        nodes=dict(label("--node", text) for text in node or []),
        volumes=addresses.volumes(volume or []),
        secrets=tuple(checked("--secret", name) for name in secret or []),
        service_account=checked("--service-account", service_account) if service_account else None,
        queue=checked("--queue", queue) if queue else None,
        retries=retries,
        ttl=ttl,
        working_dir=addresses.working_dir(working_dir) if working_dir else None,
    )
    name = object_name(sweep.name)
    if kind is Kind.cluster:
        text = to_yaml(ray_cluster(name, chosen))
    else:
        lasting = addresses.run_arguments(
            sweep, storage, chosen.volumes, tracking_uri, study, chosen.secrets
        )
        changes = [word for text in change or [] for word in ("--set", text)]
        code = package.modules_beside(config) if not working_dir else {}
        text = to_yaml(ray_job(name, config.read_text(), [*lasting, *changes], chosen, code))
    if output:
        from sweeps.results.frame import write

        write(output, text.encode())
    else:
        print(text, end="")
