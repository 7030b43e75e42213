"""Keeping drivers out while a storage is tidied, and out of their way while they work."""

from __future__ import annotations

import time
from typing import Any

from pruning.errors import InputError
from sweeps.storage.files import Files
from sweeps.storage.lock import Watch, holder_of

POLL_SECONDS = 0.5


def refuse_if_busy(files: Files) -> None:
    """Raise InputError if a driver works on this storage, and take the locks of dead ones away.

    A driver that lives shows it within seconds; one that died on another machine is given up after
    a minute, as by the next driver.
    """
    for entry in files.entries("locks"):
        watch, first = Watch(), files.read_plain(entry.name)
        held = first
        # Files of others that lie there hold nobody up.
        while held is not None and "token" in holder_of(held):
            if held != first:
                raise busy(files, holder_of(held))
            watch.look(held)
            if not watch.alive:
                files.swap(entry.name, held, None)
                break
            time.sleep(POLL_SECONDS)
            held = files.read_plain(entry.name)


def busy(files: Files, holder: dict[str, Any]) -> InputError:
    """What is said where ``holder`` works."""
    return InputError(
        f"storage: {files.address!r} is in use by {holder.get('owner', 'another earlyprune')}, "
        f"process {holder.get('pid')} on {holder.get('host')}; try again when that has ended"
    )
