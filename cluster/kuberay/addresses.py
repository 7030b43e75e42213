"""What outlives a cluster: where a sweep's results are kept, and where its code comes from.

A manifest is read by many: no address in it may hold a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from cluster.kuberay.names import checked
from pruning.errors import InputError
from sweeps.file.sweep import Sweep
from sweeps.tracking.address import without_password


def volumes(claims: Sequence[str]) -> dict[str, str]:
    """``CLAIM:PATH`` each, as claims by path. Raises InputError."""
    found: dict[str, str] = {}
    for text in claims:
        claim, _, path = text.partition(":")
        checked("--volume", claim)
        plain = re.fullmatch(r"(/[A-Za-z0-9._-]+)+", path) and ".." not in path.split("/")
        if not plain or path.startswith("/etc") or path in found:
            raise InputError(
                f"--volume: {text!r} is not allowed: CLAIM:PATH is needed with an absolute path of "
                f"its own, for example runs:/storage"
            )
        found[path] = claim
    return found


def run_arguments(
    sweep: Sweep,
    storage: str | None,
    mounted: Mapping[str, str],
    tracking_uri: str | None,
    study: str | None,
    secrets: Sequence[str],
) -> list[str]:
    """The arguments of ``earlyprune run`` about what is to last. Raises InputError."""
    kept = _storage(storage, mounted)
    if study:
        sweep = sweep.kept_in(study)
    within = sweep.search.study if sweep.search else None
    for option, address in (("--tracking-uri", tracking_uri), ("--study", study or within)):
        if address:
            without_secret(option, address)
    if "://" in kept and not secrets:  # a Secret may hold MLFLOW_TRACKING_URI, EARLYPRUNE_STUDY
        if not tracking_uri:
            raise InputError(
                _lost(kept, "--tracking-uri", "MLflow's database", "http://mlflow:5000")
            )
        if sweep.search and not within:
            raise InputError(
                _lost(kept, "--study", "the search's database", "postgresql+psycopg2://...")
            )
    given = {"--storage": kept, "--tracking-uri": tracking_uri, "--study": study}
    return [word for option, value in given.items() if value for word in (option, value)]


def working_dir(address: str) -> str:
    """Where Ray fetches code from. Raises InputError."""
    if not re.fullmatch(r"(https|s3|gs)://\S+\.zip", address):
        raise InputError(
            f"--working-dir: {address!r} is not allowed: the address of a .zip is needed, "
            f"https://..., s3://... or gs://..., as pods see no folder of this machine"
        )
    return without_secret("--working-dir", address)


def without_secret(option: str, address: str) -> str:
    """An address as it stands in the manifest. Raises InputError if it holds a password."""
    user = re.match(r"(https?://)[^/@]*@", address)
    shown = f"{user[1]}***@..." if user else without_password(address)
    if shown != address:
        raise InputError(
            f"{option}: {shown!r} is not allowed: a manifest is no place for a password; put it "
            f"into a Secret (PGPASSWORD, MLFLOW_TRACKING_PASSWORD, ...) and give --secret NAME"
        )
    return address


def _storage(given: str | None, mounted: Mapping[str, str]) -> str:
    storage = given or next(iter(mounted), None)
    if storage is None:
        raise InputError(
            "--storage: missing: what is trained would be lost with the pods; an address is "
            "needed, such as s3://bucket/folder, or a --volume"
        )
    if "://" in storage:
        return without_secret("--storage", storage)
    folders = {str(folder) for folder in (PurePosixPath(storage), *PurePosixPath(storage).parents)}
    if folders.isdisjoint(mounted) or ".." in PurePosixPath(storage).parts:
        raise InputError(
            f"--storage: {storage!r} is not allowed: an address is needed, such as "
            f"s3://bucket/folder, or a folder on a --volume ({', '.join(mounted) or 'none given'})"
        )
    return storage


def _lost(storage: str, option: str, what: str, example: str) -> str:
    return (
        f"{option}: missing: beside {storage} {what} would be lost with the head; give for "
        f"example {example}, or a --secret that holds it"
    )
