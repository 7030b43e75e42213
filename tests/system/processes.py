"""The processes below another, as Linux shows them, and how to kill them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path


def below(root: int) -> dict[int, str]:
    """Every living process below ``root``, by number, with its command line."""
    parents, commands = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError, ValueError):
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if state not in "ZX":
                    parents[int(folder.name)] = int(parent)
                    text = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    commands[int(folder.name)] = text.decode(errors="replace")
    found: dict[int, str] = {}
    for pid in parents:
        above, seen = pid, set()
        while above in parents and above not in seen:
            seen.add(above)
            above = parents[above]
            if above == root:
                found[pid] = commands[pid]
                break
    return found


def kill(*pids: int) -> None:
    """SIGKILL; who has gone already is no error."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def gone(pids: list[int], seconds: float) -> bool:
    """Whether all have ended within some time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(Path(f"/proc/{pid}").exists() and not _zombie(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
