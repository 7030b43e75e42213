"""A file that somebody asked for."""

from __future__ import annotations

import os
from pathlib import Path

from pruning.errors import InputError


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises InputError if it cannot be written."""
    unfinished = path.parent / f".{path.name}.{os.getpid()}.part"
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
