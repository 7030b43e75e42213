"""A manifest as it is asked for, in the texts of a command line; checked where it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.kuberay import addresses, options
from cluster.kuberay.manifest import ray_cluster, ray_job
from cluster.kuberay.names import checked, label, object_name
from cluster.kuberay.options import Options
from cluster.kuberay.pods import Json
from cluster.kuberay.spot import spot_label
from pruning.errors import InputError
from sweeps.file.sweep import Sweep
from sweeps.sharing.resources import Resources


@dataclass(frozen=True, kw_only=True)
class Request:
    """storage, tracking_uri, study, working_dir: of a job; a cluster has none. The others are those
    of ``Options`` before they are looked at."""

    image: str
    storage: str | None
    volumes: Sequence[str]
    tracking_uri: str | None
    study: str | None
    secrets: Sequence[str]
    service_account: str | None
    workers: str
    trials_per_worker: int | None
    worker_memory: str | None
    head_memory: str
    head_cpus: int
    spot: str | None
    nodes: Sequence[str]
    queue: str | None
    retries: int
    ttl: int
    working_dir: str | None
    namespace: str | None

    def cluster(self, sweep: Sweep) -> list[Json]:
        """A cluster that this sweep, and others like it, can be submitted to. Raises InputError."""
        for option, given in (
            ("--storage", self.storage),
            ("--tracking-uri", self.tracking_uri),
            ("--study", self.study),
            ("--working-dir", self.working_dir),
        ):
            if given:
                raise InputError(
                    f"{option}: is not of a cluster; give it to the job you submit to it"
                )
        chosen = self.options(sweep.resources)
        return ray_cluster(object_name(sweep.name), chosen)

    def job(self, sweep: Sweep, file: str, changes: Sequence[str]) -> list[Json]:
        """A job that runs the sweep. file: its text, without the changes. Raises InputError."""
        chosen = self.options(sweep.resources)
        lasting = addresses.run_arguments(
            sweep, self.storage, chosen.volumes, self.tracking_uri, self.study, chosen.secrets
        )
        changed = [word for change in changes for word in ("--set", change)]
        return ray_job(object_name(sweep.name), file, [*lasting, *changed], chosen)

    def options(self, trial: Resources) -> Options:
        """trial: what one needs. Raises InputError."""
        memory = self.worker_memory and options.quantity("--worker-memory", self.worker_memory)
        head = options.Size(self.head_cpus, options.quantity("--head-memory", self.head_memory))
        return Options(
            image=self.image,
            head=head,
            worker=options.worker_size(trial, self.trials_per_worker, memory),
            workers=options.workers(self.workers, self.queue),
            namespace=_checked("--namespace", self.namespace),
            spot=spot_label(self.spot) if self.spot else None,
            nodes=dict(label("--node", text) for text in self.nodes),
            volumes=addresses.volumes(self.volumes),
            secrets=tuple(checked("--secret", name) for name in self.secrets),
            service_account=_checked("--service-account", self.service_account),
            queue=_checked("--queue", self.queue),
            retries=self.retries,
            ttl=self.ttl,
            working_dir=addresses.working_dir(self.working_dir) if self.working_dir else None,
        )


def _checked(option: str, name: str | None) -> str | None:
    return checked(option, name) if name else None
