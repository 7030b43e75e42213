"""Where a sweep's files are looked for: in one place, or one could be taken for another."""

from __future__ import annotations

from pathlib import Path

from pruning.names import imported_from


def absent(what: str, path: Path) -> ValueError:
    """What to raise for a file or folder that is not there.

    A relative path is from the current folder: that is named, and so is what lies at the same path
    from the sweep file's folder.
    """
    if path.is_absolute():
        return ValueError(f"{what} {str(path)!r} does not exist")
    beside = next((one for one in map(Path, imported_from()) if (one / path).exists()), None)
    hint = f"; there is one beside the sweep file: give {str(beside / path)!r}" if beside else ""
    return ValueError(
        f"{what} {str(path)!r} does not exist in {str(Path.cwd())!r}: relative paths are from the "
        f"current folder{hint}"
    )
