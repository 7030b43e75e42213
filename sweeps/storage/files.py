"""The storage's files, on a local folder or at any fsspec address."""

from __future__ import annotations

from pathlib import Path

from sweeps.storage.base import Entry, Files
from sweeps.storage.errors import StorageError
from sweeps.storage.local import LocalFiles

__all__ = ["DEFAULT_STORAGE", "Entry", "Files", "StorageError", "here", "open_files"]

DEFAULT_STORAGE = "earlyprune-runs"


def here(address: str | Path) -> Path:
    """The folder on this machine for what is not kept at a remote address."""
    return Path(DEFAULT_STORAGE if "://" in str(address) else address)


def open_files(address: str | Path) -> Files:
    """The files at an address; plain paths and ``file://`` are local. Nothing is touched yet.

    Raises InputError for a kind of address that is not known.
    """
    if isinstance(address, Path) or "://" not in address:
        return LocalFiles(str(address))
    protocol, _, rest = address.partition("://")
    if protocol in ("file", "local"):
        return LocalFiles(rest)
    from sweeps.storage.remote import RemoteFiles

    return RemoteFiles(address)
