"""CPU seconds, and the most memory that the process ever held meanwhile."""

from __future__ import annotations

import resource
import time
from contextlib import suppress
from pathlib import Path
from typing import Any


class Meter:
    """Of what runs within it. Linux forgets the peak of before; elsewhere it counts, too."""

    def __init__(self) -> None:
        self._cpu = self._wall = self._peak = 0.0

    def __enter__(self) -> Meter:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self._wall, self._cpu = -time.perf_counter(), -time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self._wall += time.perf_counter()
        self._cpu += time.process_time()
        self._peak = _peak()

    def result(self) -> dict[str, Any]:
        return {"cpu_seconds": self._cpu, "wall_seconds": self._wall, "peak_mib": self._peak}


def _peak() -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        line = next(line for line in lines if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
