"""Names as Kubernetes allows them."""

from __future__ import annotations

import re

from pruning.errors import InputError
from pruning.settings import digest

LONGEST = 47
"""KubeRay appends to a RayJob's name for its cluster, and to that for its services: 63 in all."""


def object_name(sweep: str) -> str:
    """A sweep's name as that of an object: unchanged where allowed, else told apart by a digest."""
    if re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", sweep) and len(sweep) <= LONGEST:
        return sweep
    words = re.sub(r"[^a-z0-9]+", "-", sweep.lower()).strip("-")
    start = words if words[:1].isalpha() else f"sweep-{words}"
    return f"{start[: LONGEST - 9].rstrip('-')}-{digest(sweep, 8)}"


def checked(option: str, name: str) -> str:
    """The name of an object that is there already. Raises InputError."""
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name):
        raise InputError(
            f"{option}: {name!r} is not allowed: lower-case letters, digits and -, at most 63, are "
            f"what Kubernetes takes as a name"
        )
    return name


def label(option: str, text: str) -> tuple[str, str]:
    """``KEY=VALUE`` as a node label. Raises InputError."""
    part = r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"
    key, _, value = text.partition("=")
    prefix, _, name = key.rpartition("/")
    domain = r"([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?)?"
    if not (
        re.fullmatch(domain, prefix) and re.fullmatch(part, name) and re.fullmatch(part, value)
    ):
        raise InputError(
            f"{option}: {text!r} is not allowed: KEY=VALUE of a node label is needed, for example "
            f"cloud.google.com/gke-accelerator=nvidia-l4"
        )
    return key, value
