"""The objects themselves: a RayJob with its sweep file, or a RayCluster.

KubeRay 1.6 or newer is needed, for ``authOptions`` and deletion rules. A RayJob that is tried again
gets a new cluster, on which the same command goes on from what is stored.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import yaml

from cluster.kuberay import pods
from cluster.kuberay.options import Options
from cluster.kuberay.pods import CONFINED, SWEEP_FOLDER, Json

IDLE_SECONDS = 300  # a worker without a trial goes after that


def ray_job(
    name: str,
    sweep: str,
    arguments: Sequence[str],
    options: Options,
    modules: Mapping[str, str] = {},
) -> list[Json]:
    """The ConfigMap with the sweep file, and the RayJob that runs it.

    sweep: the text of the file. arguments: of ``earlyprune run``, after the file. They stand in a
    script, as KubeRay would have two shells read them. modules: the text of files with code that
    the sweep names; they lie beside it on head and workers alike.
    """
    config = f"{name}-sweep"
    command = shlex.join(["earlyprune", "run", f"{SWEEP_FOLDER}/sweep.yaml", *arguments])
    data = {"sweep.yaml": sweep, "run.sh": f"exec {command}\n", **modules}
    spec: Json = {
        "entrypoint": f"sh {SWEEP_FOLDER}/run.sh",
        "submissionMode": "K8sJobMode",
        "submitterPodTemplate": pods.submitter(options),
        "backoffLimit": options.retries,
    }
    if options.working_dir:
        spec["runtimeEnvYAML"] = yaml.safe_dump({"working_dir": options.working_dir})
    if options.queue:  # Kueue and KubeRay agree on this alone: kubernetes-sigs/kueue#3994
        spec |= {"suspend": True, "shutdownAfterJobFinishes": True}
    else:
        spec["deletionStrategy"] = {"deletionRules": list(_deletion_rules(options.ttl))}
    spec["rayClusterSpec"] = _cluster(options, config, bool(modules))
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(config, name, options.namespace),
        "data": data,
    }
    return [config_map, _object("RayJob", name, spec, options)]


def ray_cluster(name: str, options: Options) -> list[Json]:
    """A RayCluster that stays until it is deleted, for jobs that are submitted to it."""
    suspended = {"suspend": True} if options.queue else {}
    return [_object("RayCluster", name, suspended | _cluster(options), options)]


def to_yaml(objects: Iterable[Json]) -> str:
    return yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _cluster(options: Options, config: str | None = None, with_code: bool = False) -> Json:
    least, most = options.workers
    spec: Json = {
        "rayVersion": version("ray"),
        "authOptions": {"mode": "token"},
        "enableInTreeAutoscaling": least < most,
    }
    if least < most:
        spec["autoscalerOptions"] = {
            "idleTimeoutSeconds": IDLE_SECONDS,
            "securityContext": CONFINED,
        }
    spec["headGroupSpec"] = {
        "serviceType": "ClusterIP",
        "rayStartParams": {"num-cpus": "0"},  # no trial on the head
        "template": pods.head(options, config),
    }
    workers = {
        "groupName": "workers",
        "replicas": least,
        "minReplicas": least,
        "maxReplicas": most,
        "rayStartParams": {},
        "template": pods.worker(options, config if with_code else None),
    }
    return spec | {"workerGroupSpecs": [workers]}


def _deletion_rules(seconds: int) -> Iterable[Json]:
    for condition in (
        {"jobStatus": "SUCCEEDED"},
        {"jobStatus": "FAILED"},
        {"jobDeploymentStatus": "Failed"},  # it could not even be submitted
    ):
        yield {"policy": "DeleteCluster", "condition": {**condition, "ttlSeconds": seconds}}


def _object(kind: str, name: str, spec: Json, options: Options) -> Json:
    metadata = _metadata(name, name, options.namespace)
    if options.queue:
        metadata["labels"]["kueue.x-k8s.io/queue-name"] = options.queue
    return {"apiVersion": "ray.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _metadata(name: str, instance: str, namespace: str | None) -> Json:
    labels = {"app.kubernetes.io/name": "earlyprune", "app.kubernetes.io/instance": instance}
    return {"name": name} | ({"namespace": namespace} if namespace else {}) | {"labels": labels}


class _Dumper(yaml.SafeDumper):
    """Every object in full, and text of several lines as it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
