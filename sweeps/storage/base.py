"""What every storage can do with files, and the seal: a SHA-256 in front of the content."""

from __future__ import annotations

import hashlib
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

_warned: set[str] = set()


@dataclass(frozen=True)
class Entry:
    """A file of the storage: its name, its bytes on disk, seconds since 1970."""

    name: str
    size: int
    modified: float


class Files(ABC):
    """Files by name (``a/b/c``); parts that begin with a dot are temporary and never listed.

    An object is for one process and its forks; another process opens the same address. Whatever
    goes wrong with the storage itself is raised as StorageError.
    """

    remote: ClassVar[bool]

    def __init__(self, address: str) -> None:
        self.address = address
        self.damaged: set[str] = set()

    def read(self, name: str) -> bytes | None:
        """What `write` wrote; None if it is missing or damaged (which is warned of once)."""
        sealed = self.read_plain(name)
        if sealed is None:
            return None
        if hashlib.sha256(sealed[32:]).digest() == sealed[:32]:
            return sealed[32:]
        self.damaged.add(name)
        full = f"{self.address}/{name}"
        if full not in _warned:
            _warned.add(full)
            warnings.warn(f"{full} is damaged and will be made again", stacklevel=2)
        return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all, with its SHA-256 in front."""
        self.write_plain(name, hashlib.sha256(data).digest() + data)

    @abstractmethod
    def check(self) -> None:
        """Create the storage and write to it. Raises InputError if that fails."""

    @abstractmethod
    def read_plain(self, name: str) -> bytes | None:
        """A file as it is, None if there is none."""

    @abstractmethod
    def write_plain(self, name: str, data: bytes) -> None:
        """Write or replace a file, whole or not at all, without a seal."""

    @abstractmethod
    def create(self, name: str, data: bytes) -> bool:
        """Write a plain file that must not be there yet; False if it is. Of many, one succeeds."""

    @abstractmethod
    def swap(self, name: str, old: bytes, new: bytes | None) -> bool:
        """Replace (None: delete) a plain file if it still is ``old``. Of many, one succeeds.

        False if it is something else. ``new`` must differ from all that was ever there.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a file; it may be missing."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is such a file, damaged or not."""

    @abstractmethod
    def entries(self, prefix: str = "") -> list[Entry]:
        """All files below a folder, by name; nothing if there is no such folder."""


def checked(name: str) -> str:
    """A name that cannot leave the storage."""
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError(f"not the name of a file in a storage: {name!r}")
    return name
