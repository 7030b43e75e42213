"""Whether a policy reads the clock while it decides."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from types import FrameType
from typing import Any

from pruning.policies.base import Policy
from pruning.testing.findings import BreachError

_NAMES = ("time", "monotonic", "perf_counter", "process_time")

CLOCKS = frozenset(
    [getattr(time, name + unit) for name in _NAMES for unit in ("", "_ns")]
    + [datetime.now, datetime.utcnow, datetime.today, date.today]
)


@contextmanager
def no_clock(policy: Policy, epoch: int) -> Iterator[None]:
    """Raises BreachError at the end if code of the policy's package has read a clock meanwhile.

    Libraries may: they time themselves, and log.
    """
    packages = {_package(kind.__module__) for kind in type(policy).__mro__} - {"pydantic"}
    seen: list[str] = []

    def watch(frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call" or called not in CLOCKS:
            return
        if _package(frame.f_globals.get("__name__", "")) in packages:
            seen.append(f"{called.__name__} in {frame.f_code.co_filename}:{frame.f_lineno}")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)
    if seen:
        raise BreachError(f"it reads the clock: {seen[0]}", "settings and history", epoch)


def _package(module: str) -> str:
    return module.partition(".")[0]
