"""Kubernetes' own models, held against plain data: no field too many, none missing, right types."""

from __future__ import annotations

import re
from typing import Any

from kubernetes import client

QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
LABEL = re.compile(r"([A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?)?")
SINGLE = {"str": str, "int": int, "bool": bool}
ENUMS = {
    ("V1Toleration", "operator"): ("Equal", "Exists"),
    ("V1Toleration", "effect"): ("NoSchedule", "PreferNoSchedule", "NoExecute"),
    ("V1PodSpec", "restartPolicy"): ("Always", "OnFailure", "Never"),
    ("V1NodeSelectorRequirement", "operator"): ("In", "NotIn", "Exists", "DoesNotExist"),
    ("V1SeccompProfile", "type"): ("RuntimeDefault", "Localhost", "Unconfined"),
}


class RuleError(AssertionError):
    """Data that is not of its kind: where, and why."""


def text(value: Any, path: str) -> None:
    if not isinstance(value, str) or not value:
        raise RuleError(f"{path}: {value!r} is no text")


def build(value: Any, kind: str, path: str) -> Any:
    """``value`` as Kubernetes' model ``kind``. Raises RuleError with the dotted path."""
    if inner := re.fullmatch(r"(?i)(list|dict)[\[(](?:str, ?)?(.+)[\])]", kind):
        if inner[1].lower() == "list":
            return [
                build(item, inner[2], f"{path}[{i}]")
                for i, item in enumerate(_is(value, list, path))
            ]
        items = _is(value, dict, path).items()
        return {_is(key, str, path): build(item, inner[2], f"{path}.{key}") for key, item in items}
    if kind in SINGLE:
        return _is(value, SINGLE[kind], path)
    model = getattr(client, kind)
    names = {model.attribute_map[attribute]: attribute for attribute in model.openapi_types}
    for name in _is(value, dict, path):
        if name not in names:
            raise RuleError(f"{path}.{name}: unknown field of {kind}")
        if value[name] not in ENUMS.get((kind, name), (value[name],)):
            raise RuleError(f"{path}.{name}: {value[name]!r} is none of {ENUMS[kind, name]}")
    parts = {
        names[name]: build(item, model.openapi_types[names[name]], f"{path}.{name}")
        for name, item in value.items()
    }
    try:
        built = model(**parts)
    except ValueError as error:  # what is required
        raise RuleError(f"{path}: {error}") from None
    _more(value, kind, path)
    return built


def _more(value: Any, kind: str, path: str) -> None:
    """What the models leave to the API server."""
    if kind == "V1ResourceRequirements":
        for amounts in value.values():
            for name, amount in amounts.items():
                if not QUANTITY.fullmatch(amount):
                    raise RuleError(f"{path}.{name}: {amount!r} is no quantity")
        if value.get("requests", {}).get("nvidia.com/gpu") != value["limits"].get("nvidia.com/gpu"):
            raise RuleError(f"{path}: GPUs are requested as they are limited")
    if kind == "V1ObjectMeta":
        for label in value.get("labels", {}).values():
            if not LABEL.fullmatch(label):
                raise RuleError(f"{path}.labels: {label!r} is no value of a label")
    if kind == "V1PodSpec":
        volumes = [volume["name"] for volume in value.get("volumes", [])]
        if len(set(volumes)) < len(volumes):
            raise RuleError(f"{path}.volumes: two of one name in {volumes}")
        for container in value["containers"]:
            mounts = container.get("volumeMounts", [])
            if unknown := {mount["name"] for mount in mounts} - set(volumes):
                raise RuleError(f"{path}.volumes: mounted, but not there: {unknown}")
            if len({mount["mountPath"] for mount in mounts}) < len(mounts):
                raise RuleError(f"{path}: two volumes at one place")


def _is(value: Any, kind: type, path: str) -> Any:
    if type(value) is not kind:
        raise RuleError(f"{path}: {value!r} is no {kind.__name__}")
    return value
