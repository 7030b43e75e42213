"""Where a sweep runs: the Ray cluster at RAY_ADDRESS, or one started here for the while."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ray_session() -> Iterator[None]:
    """Connect to the cluster at ``RAY_ADDRESS``; without one, run a local Ray while inside.

    The local one serves no dashboard. Raises ConnectionError if the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    here: dict[str, object] = {} if address else {"include_dashboard": False}
    ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **here)
    try:
        yield
    finally:
        ray.shutdown()
