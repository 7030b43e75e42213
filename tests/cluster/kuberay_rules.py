"""What KubeRay and Kueue take: the rules of their objects, stricter than an API server is.

Beside the fields, what KubeRay's operator checks (``utils/validation.go`` of 1.7) and what Kueue's
webhooks refuse; and that nothing is open which we promise to be closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from kuberay_fields import SPECS, fields, model
from kubernetes_models import RuleError, build, text

QUEUE = "kueue.x-k8s.io/queue-name"


def load(stream: str) -> list[Any]:
    """The documents of a YAML stream; a key that stands twice is refused."""

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value]
            if len(set(keys)) < len(keys):
                raise RuleError(f"{node.start_mark}: a key twice in {keys}")
            return super().construct_mapping(node, deep)

    return list(yaml.load_all(stream, Loader))


def check(document: Any) -> None:
    """Raise RuleError if a cluster would not take this object, or it uses what is deprecated."""
    kind = document.get("kind")
    if kind == "ConfigMap":
        build(document, "V1ConfigMap", "ConfigMap")
        _name(document["metadata"]["name"], "ConfigMap.metadata.name", 253)
        return
    if kind not in SPECS or document.get("apiVersion") != "ray.io/v1":
        raise RuleError(f"{document.get('apiVersion')} {kind}: not an object of KubeRay")
    metadata = {"metadata!": model("V1ObjectMeta")}
    fields({"apiVersion!": text, "kind!": text, **metadata, "spec!": SPECS[kind]})(document, kind)
    _name(document["metadata"]["name"], f"{kind}.metadata.name", 47 if kind == "RayJob" else 53)
    spec, queue = document["spec"], document["metadata"].get("labels", {}).get(QUEUE)
    problems = [*(_job(spec, queue) if kind == "RayJob" else _cluster(spec, queue))]
    if problems:
        raise RuleError(f"{kind}: {'; '.join(problems)}")


def _job(spec: dict[str, Any], queue: str | None) -> Iterator[str]:
    """What fields of a RayJob demand of each other."""
    cluster, selector = spec.get("rayClusterSpec"), spec.get("clusterSelector")
    shutdown = spec.get("shutdownAfterJobFinishes", False)
    rules = spec.get("deletionStrategy", {}).get("deletionRules", [])
    if (cluster is None) == (selector is None):
        yield "one of rayClusterSpec and clusterSelector is needed"
    if spec.get("suspend") and not shutdown:
        yield "suspend needs shutdownAfterJobFinishes"
    if shutdown and rules:
        yield "shutdownAfterJobFinishes and deletionRules exclude each other"
    if shutdown and not queue:
        yield "shutdownAfterJobFinishes: deprecated, use deletionRules"
    if queue and not shutdown:
        yield "Kueue needs shutdownAfterJobFinishes"
    if spec.get("submissionMode") == "InteractiveMode" and spec.get("backoffLimit"):
        yield "backoffLimit is not for InteractiveMode"
    if spec.get("submissionMode") == "SidecarMode" and "submitterPodTemplate" in spec:
        yield "submitterPodTemplate is not for SidecarMode"
    if not isinstance(yaml.safe_load(spec.get("runtimeEnvYAML", "{}")), dict):
        yield "runtimeEnvYAML is no mapping"
    yield from _deletion(rules, bool(cluster and cluster.get("enableInTreeAutoscaling")))
    if cluster:
        yield from _cluster(cluster, queue)


def _deletion(rules: list[Any], autoscaling: bool) -> Iterator[str]:
    order = ("DeleteWorkers", "DeleteCluster", "DeleteSelf")
    seconds: dict[str, dict[str, int]] = {}
    for rule in rules:
        policy, condition = rule["policy"], rule["condition"]
        states = [
            condition[name] for name in ("jobStatus", "jobDeploymentStatus") if name in condition
        ]
        if len(states) != 1:
            yield "a deletion rule needs jobStatus or jobDeploymentStatus, and not both"
            continue
        if policy == "DeleteWorkers" and autoscaling:
            yield "DeleteWorkers is not for a cluster that scales itself"
        if policy in seconds.setdefault(states[0], {}):
            yield f"two rules of {policy} at {states[0]}"
        seconds[states[0]][policy] = condition.get("ttlSeconds", 0)
    for state, given in seconds.items():
        times = [given[policy] for policy in order if policy in given]
        if times != sorted(times):
            yield f"at {state} the smaller part is deleted after the larger one"


def _cluster(spec: dict[str, Any], queue: str | None) -> Iterator[str]:
    """What fields of a RayCluster demand of each other, and what we demand besides."""
    groups = spec.get("workerGroupSpecs", [])
    scales = spec.get("enableInTreeAutoscaling", False)
    if spec.get("authOptions", {}).get("mode") != "token":
        yield "authOptions.mode is not token"
    numbers = re.match(r"(\d+)\.(\d+)\.", spec.get("rayVersion", ""))
    if not numbers or (int(numbers[1]), int(numbers[2])) < (2, 52):
        yield "token authentication needs a rayVersion from 2.52.0"
    if spec["headGroupSpec"].get("serviceType", "ClusterIP") != "ClusterIP":
        yield "the head is open to the outside"
    if spec["headGroupSpec"].get("enableIngress"):
        yield "the head has an ingress"
    if "autoscalerOptions" in spec and not scales:
        yield "autoscalerOptions without enableInTreeAutoscaling"
    names = [group["groupName"] for group in groups]
    if len(set(names)) < len(names):
        yield "two groups of one name"
    for group in groups:
        if not group["minReplicas"] <= group.get("replicas", 0) <= group["maxReplicas"]:
            yield "replicas beyond minReplicas and maxReplicas"
        if group.get("resources") and {"num-cpus", "num-gpus"} & group["rayStartParams"].keys():
            yield "resources in rayStartParams too"
    if queue:
        if scales:
            yield "Kueue takes no cluster that scales itself"
        if len(groups) > 7 or "head" in names:
            yield "Kueue takes seven groups at most, none of them named head"
    for part in (spec["headGroupSpec"], *groups):
        restart = part["template"]["spec"].get("restartPolicy", "Never")
        if scales and restart != "Never":
            yield "the autoscaler needs restartPolicy Never"


def _name(name: str, path: str, longest: int) -> None:
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name) or len(name) > longest:
        raise RuleError(f"{path}: {name!r} is no name of at most {longest} characters")
