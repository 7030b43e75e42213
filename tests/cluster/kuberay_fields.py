"""The fields of KubeRay's RayJob and RayCluster: which there are and must be, and their types.

Written after the Go types of KubeRay 1.7. What is unknown or deprecated is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubernetes_models import RuleError, build, text

Rule = Callable[[Any, str], object]


def fields(rules: dict[str, Rule]) -> Rule:
    """A mapping with these fields and no others; those with a ! must be there."""
    known = {name.rstrip("!"): rule for name, rule in rules.items()}

    def checked(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise RuleError(f"{path}: {value!r} is no mapping")
        for name in value.keys() - known.keys():
            raise RuleError(f"{path}.{name}: unknown field")
        for name in rules:
            if name.endswith("!") and name[:-1] not in value:
                raise RuleError(f"{path}.{name[:-1]}: missing")
        for name, item in value.items():
            known[name](item, f"{path}.{name}")

    return checked


def model(name: str) -> Rule:
    return lambda value, path: build(value, name, path)


def choice(*allowed: str) -> Rule:
    def checked(value: Any, path: str) -> None:
        if value not in allowed:
            raise RuleError(f"{path}: {value!r} is none of {allowed}")

    return checked


def whole(least: int = 0) -> Rule:
    def checked(value: Any, path: str) -> None:
        if type(value) is not int or not least <= value < 2**31:
            raise RuleError(f"{path}: {value!r} is no whole number from {least}")

    return checked


def flag(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        raise RuleError(f"{path}: {value!r} is neither true nor false")


def list_of(rule: Rule) -> Rule:
    def checked(value: Any, path: str) -> None:
        if not isinstance(value, list) or not value:
            raise RuleError(f"{path}: {value!r} is no list with something in it")
        for index, item in enumerate(value):
            rule(item, f"{path}[{index}]")

    return checked


def deprecated(instead: str) -> Rule:
    def refuse(value: Any, path: str) -> None:
        raise RuleError(f"{path}: deprecated, use {instead}")

    return refuse


def _amount(value: Any, path: str) -> None:
    if type(value) not in (int, float) or value < 0:
        raise RuleError(f"{path}: {value!r} is no amount")


MAP = model("Dict[str, str]")
POD = model("V1PodTemplateSpec")
MANAGER = choice("ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue")

CLUSTER = fields(
    {
        "upgradeStrategy": fields({"type": choice("Recreate", "None")}),
        "authOptions": fields(
            {"mode": choice("disabled", "token"), "secretName": text, "enableK8sTokenAuth": flag}
        ),
        "suspend": flag,
        "managedBy": MANAGER,
        "autoscalerOptions": fields(
            {
                "resources": model("V1ResourceRequirements"),
                "image": text,
                "imagePullPolicy": choice("Always", "IfNotPresent", "Never"),
                "securityContext": model("V1SecurityContext"),
                "idleTimeoutSeconds": whole(),
                "upscalingMode": choice("Default", "Aggressive", "Conservative"),
                "version": choice("v1", "v2"),
                "env": list_of(model("V1EnvVar")),
                "envFrom": list_of(model("V1EnvFromSource")),
                "volumeMounts": list_of(model("V1VolumeMount")),
                "command": list_of(text),
                "args": list_of(text),
            }
        ),
        "headServiceAnnotations": MAP,
        "enableInTreeAutoscaling": flag,
        "headGroupSpec!": fields(
            {
                "template!": POD,
                "headService": model("V1Service"),
                "enableIngress": flag,
                "resources": MAP,
                "labels": MAP,
                "rayStartParams!": MAP,  # optional since 1.4, and still so for older ones
                "serviceType": choice("ClusterIP", "NodePort", "LoadBalancer"),
            }
        ),
        "rayVersion": text,
        "workerGroupSpecs": list_of(
            fields(
                {
                    "groupName!": text,
                    "replicas": whole(),
                    "minReplicas!": whole(),
                    "maxReplicas!": whole(),
                    "idleTimeoutSeconds": whole(),
                    "priority": whole(),
                    "resources": MAP,
                    "labels": MAP,
                    "rayStartParams!": MAP,
                    "template!": POD,
                    "scaleStrategy": fields({"workersToDelete": list_of(text)}),
                    "numOfHosts": whole(1),
                }
            )
        ),
    }
)

RULES = list_of(
    fields(
        {
            "policy!": choice("DeleteCluster", "DeleteWorkers", "DeleteSelf", "DeleteNone"),
            "condition!": fields(
                {
                    "jobStatus": choice("SUCCEEDED", "FAILED"),
                    "jobDeploymentStatus": choice("Failed"),
                    "ttlSeconds": whole(),
                }
            ),
        }
    )
)

JOB = fields(
    {
        "activeDeadlineSeconds": whole(1),
        "backoffLimit": whole(),
        "rayClusterSpec": CLUSTER,
        "submitterPodTemplate": POD,
        "metadata": MAP,
        "clusterSelector": MAP,
        "submitterConfig": fields({"backoffLimit": whole()}),
        "managedBy": MANAGER,
        "deletionStrategy": fields(
            {
                "onSuccess": deprecated("deletionRules"),
                "onFailure": deprecated("deletionRules"),
                "deletionRules!": RULES,
            }
        ),
        "entrypoint!": text,
        "runtimeEnvYAML": text,
        "jobId": text,
        "submissionMode": choice("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
        "entrypointResources": text,
        "entrypointNumCpus": _amount,
        "entrypointNumGpus": _amount,
        "ttlSecondsAfterFinished": deprecated("deletionRules"),
        "shutdownAfterJobFinishes": flag,
        "suspend": flag,
    }
)

SPECS = {"RayJob": JOB, "RayCluster": CLUSTER}
