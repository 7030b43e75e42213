"""A command in this process, and what the process has cost at its end.

    python -P benchmarks/startup/one.py FIGURES COMMAND...

``earlyprune`` comes from PYTHONPATH, which may be another checkout: nothing else of ours is
imported. FIGURES: a file for ``cpu_seconds``, of all threads of this process from its start on and
of no child, and ``peak_mib``, as Linux says it.
"""

from __future__ import annotations

import atexit
import json
import re
import runpy
import sys
import time
from pathlib import Path


def main() -> None:
    """The command."""
    file, *command = sys.argv[1:]
    atexit.register(_write, Path(file))  # the first to be registered is the last to be called
    sys.argv = ["earlyprune", *command]
    runpy.run_module("earlyprune", run_name="__main__", alter_sys=True)


def _write(file: Path) -> None:
    file.write_text(json.dumps({"cpu_seconds": time.process_time(), "peak_mib": _peak()}))


def _peak() -> float:
    # not ru_maxrss, which begins at what the parent held
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    main()
