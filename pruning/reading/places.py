"""What lies at a path, where it is not what is read."""

from __future__ import annotations

from pathlib import Path

SPECIAL = "is no regular file, but a pipe, a socket or a device"


def is_special(path: Path) -> bool:
    """Whether it is there, and reading it may wait for ever."""
    return path.exists() and not (path.is_file() or path.is_dir())


def instead_of_file(path: Path) -> str:
    """What is where a file is needed."""
    if path.is_dir():
        return "is a folder"
    return SPECIAL if is_special(path) else "does not exist"


def instead_of_folder(path: Path) -> str:
    """What is where a folder is needed."""
    if path.is_file():
        return "is a file"
    return SPECIAL if is_special(path) else "does not exist"
