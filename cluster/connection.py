"""Where a sweep runs: the Ray cluster at RAY_ADDRESS, or one started here for the while."""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pruning.errors import InputError


@contextmanager
def ray_session(cpus: float = 1, gpus: float = 0) -> Iterator[None]:
    """Connect to the cluster at ``RAY_ADDRESS``; without one, run a local Ray while inside.

    cpus, gpus: what one trial needs. The local Ray serves no dashboard, and obeys nobody else: it
    has a token of its own. Raises InputError if this machine lacks what a trial needs (it would
    wait for ever), or the cluster cannot be reached, or refuses the token.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Zero GPUs hide none from a process: Ray's own default by now, but not that of older versions.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _knock(address)
    else:
        _check_machine(cpus, gpus)
        os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "10")  # killed: say so soon
        if "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:  # read at its import
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray
    from ray.exceptions import AuthenticationError

    if ray.is_initialized():
        yield
        return
    here: dict[str, object] = {} if address else {"include_dashboard": False}
    try:
        # Without an address, Ray would join any cluster that it finds running here.
        ray.init(
            address=address or "local", logging_level=logging.ERROR, log_to_driver=False, **here
        )
    except AuthenticationError:
        raise refused("RAY_ADDRESS", address) from None
    except (ConnectionError, ValueError) as error:
        raise _unreachable(address, error) from None
    try:
        if address:
            _look_at_cluster(ray.cluster_resources(), cpus, gpus)
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Try the address: Ray itself would end this process without an exception."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host:  # "auto", "local"
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise _unreachable(address, error) from None


def _unreachable(address: str | None, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:200]
    return InputError(
        f"RAY_ADDRESS: {address!r} cannot be reached ({reason}); host:port of a running cluster "
        f"is needed (and its token in RAY_AUTH_TOKEN), or nothing to run here"
    )


def job_server(address: str) -> str:
    """The address, if it may be that of a cluster's job server. Raises InputError."""
    if not re.match(r"https?://[^/]", address):
        raise InputError(
            f"--address: {address!r} is not allowed: http://HOST:8265 of a Ray cluster's head"
        )
    return address


def refused(field: str, address: str | None) -> InputError:
    """What is said where a cluster does not take our token."""
    return InputError(
        f"{field}: {address!r} refuses the token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or "
        f"RAY_AUTH_TOKEN_PATH, a file) to the one its nodes were started with"
    )


def _check_machine(cpus: float, gpus: float) -> None:
    import torch

    for name, wanted, there in (
        ("cpus", cpus, os.cpu_count() or 1),
        ("gpus", gpus, torch.cuda.device_count()),
    ):
        if wanted > there:
            raise InputError(
                f"resources.{name}: {wanted:g} is not allowed: this machine has {there} "
                f"(or give the address of a cluster in RAY_ADDRESS)"
            )
    if torch.cuda.device_count() and not gpus:
        warnings.warn(
            "this machine has a GPU that the sweep leaves idle; give trials a share of it with "
            "resources: {gpus: 0.5}",
            stacklevel=2,
        )


def _look_at_cluster(there: dict[str, float], cpus: float, gpus: float) -> None:
    """A cluster may grow when asked, so what it lacks now is no error."""
    for name, wanted in (("CPU", cpus), ("GPU", gpus)):
        if wanted > there.get(name, 0):
            warnings.warn(
                f"a trial needs {wanted:g} {name}s, the cluster has {there.get(name, 0):g} now: "
                f"the sweep waits until it has grown",
                stacklevel=2,
            )
