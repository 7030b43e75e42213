"""What lies at a path where it is not what is read. Files are looked for in one place alone."""

from __future__ import annotations

from pathlib import Path

from pruning.names import imported_from

SPECIAL = "is no regular file, but a pipe, a socket or a device"


def is_special(path: Path) -> bool:
    """Whether it is there, and reading it may wait for ever."""
    return path.exists() and not (path.is_file() or path.is_dir())


def instead_of_file(path: Path) -> str:
    """What is where a file is needed."""
    if path.is_dir():
        return "is a folder"
    return SPECIAL if is_special(path) else _absent(path)


def instead_of_folder(path: Path) -> str:
    """What is where a folder is needed."""
    if path.is_file():
        return "is a file"
    return SPECIAL if is_special(path) else _absent(path)


def _absent(path: Path) -> str:
    """A relative path is from the current folder: that is named, and so is what lies at the same
    path from the sweep file's folder. Looked for in both, one could be taken for another."""
    if path.is_absolute():
        return "does not exist"
    beside = next((one for one in map(Path, imported_from()) if (one / path).exists()), None)
    hint = f"; there is one beside the sweep file: give {str(beside / path)!r}" if beside else ""
    return (
        f"does not exist in {str(Path.cwd())!r}: relative paths are from the current folder{hint}"
    )
