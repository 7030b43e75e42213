"""The pods of a cluster: the head, the workers, and the one that submits the job.

None runs as root or gains a right. What is secret comes from Secrets, by reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster.kuberay.options import Options, Size
from cluster.kuberay.spot import never_on_spot, toleration

Json = dict[str, Any]

USER = 1000
"""The user of cluster/Dockerfile, and of Ray's own images."""
SWEEP_FOLDER = "/etc/earlyprune"
CONFINED: Json = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}

GPU = "nvidia.com/gpu"
GPU_NODES = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}

LEAVE_SECONDS = 30  # no cloud gives a spot node less
LEAVE = {"preStop": {"exec": {"command": ["/bin/sh", "-c", "ray stop --grace-period 10"]}}}


def head(options: Options, sweep: str | None) -> Json:
    """The head. sweep: the ConfigMap with the sweep file that its driver runs, if any."""
    container = {
        "name": "ray-head",
        **_ray(options, options.head, sweep),
        "ports": [
            {"name": "gcs-server", "containerPort": 6379},
            {"name": "dashboard", "containerPort": 8265},
        ],
    }
    return _pod(
        container,
        serviceAccountName=options.service_account,
        affinity=never_on_spot(options.spot) if options.spot else None,
        volumes=_volumes(options, sweep),
    )


def worker(options: Options, sweep: str | None = None) -> Json:
    """A worker, on spot nodes if so asked. Told to go, it leaves the cluster by itself.

    sweep: the ConfigMap with the sweep file, where code lies beside it.
    """
    spot = [options.spot] if options.spot else []
    container = {"name": "ray-worker", **_ray(options, options.worker, sweep)}
    container["lifecycle"] = LEAVE
    return _pod(
        container,
        serviceAccountName=options.service_account,
        automountServiceAccountToken=False,
        terminationGracePeriodSeconds=LEAVE_SECONDS,
        nodeSelector={**options.nodes, **dict(spot)},
        tolerations=[*([GPU_NODES] if options.worker.gpus else []), *map(toleration, spot)],
        volumes=_volumes(options, sweep),
    )


def submitter(options: Options) -> Json:
    """The pod that hands the job to the head and prints what it says."""
    container = {
        "name": "ray-job-submitter",
        "image": options.image,
        "resources": _resources(Size(1, "1Gi")),
        "securityContext": CONFINED,
    }
    return _pod(
        container,
        restartPolicy="Never",
        automountServiceAccountToken=False,
        affinity=never_on_spot(options.spot) if options.spot else None,
    )


def _pod(container: Json, **spec: Any) -> Json:
    user = {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER}
    confined = {**user, "seccompProfile": {"type": "RuntimeDefault"}}
    given = {**spec, "securityContext": confined, "containers": [_given(container)]}
    return {"spec": _given(given)}


def _ray(options: Options, size: Size, sweep: str | None = None) -> Json:
    """What the containers of head and workers have in common."""
    mounts = [{"name": claim, "mountPath": path} for path, claim in options.volumes.items()]
    if sweep:
        mounts.append({"name": sweep, "mountPath": SWEEP_FOLDER})
    return {
        "image": options.image,
        "resources": _resources(size),
        "envFrom": [{"secretRef": {"name": name}} for name in options.secrets],
        "volumeMounts": mounts,
        "securityContext": CONFINED,
    }


def _volumes(options: Options, sweep: str | None = None) -> list[Json]:
    claims = dict.fromkeys(options.volumes.values())
    volumes: list[Json] = [
        {"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims
    ]
    return volumes + ([{"name": sweep, "configMap": {"name": sweep}}] if sweep else [])


def _resources(size: Size) -> Json:
    """Ray takes a pod's limits for what its node has."""
    amounts = {"cpu": str(size.cpus), "memory": size.memory}
    if size.gpus:
        amounts[GPU] = str(size.gpus)
    return {"requests": amounts, "limits": amounts}


def _given(fields: Mapping[str, Any]) -> Json:
    """The fields without those that say nothing."""
    return {name: value for name, value in fields.items() if value not in (None, [], {})}
