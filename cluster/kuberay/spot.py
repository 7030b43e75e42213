"""Spot nodes: by which label each cloud marks them, so that workers go there and the head never."""

from __future__ import annotations

from typing import Any

from cluster.kuberay.names import label
from pruning.errors import InputError, nearest

LABELS = {
    "gke": ("cloud.google.com/gke-spot", "true"),
    "eks": ("eks.amazonaws.com/capacityType", "SPOT"),
    "aks": ("kubernetes.azure.com/scalesetpriority", "spot"),
    "karpenter": ("karpenter.sh/capacity-type", "spot"),
}


def spot_label(given: str) -> tuple[str, str]:
    """The label of spot nodes, by the cloud's name or as ``KEY=VALUE``. Raises InputError."""
    if "=" in given:
        return label("--spot", given)
    if given not in LABELS:
        raise InputError(
            f"--spot: {given!r} is not allowed{nearest(given, LABELS)} (allowed: "
            f"{', '.join(LABELS)}, or KEY=VALUE of the nodes' label)"
        )
    return LABELS[given]


def toleration(spot: tuple[str, str]) -> dict[str, Any]:
    """Some clouds taint their spot nodes with that label, too; elsewhere this changes nothing."""
    key, value = spot
    return {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}


def never_on_spot(spot: tuple[str, str]) -> dict[str, Any]:
    """The affinity of what must outlive a spot node."""
    key, value = spot
    elsewhere = {"matchExpressions": [{"key": key, "operator": "NotIn", "values": [value]}]}
    required = {"nodeSelectorTerms": [elsewhere]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
