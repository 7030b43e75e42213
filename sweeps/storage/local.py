"""The storage's files in a folder: written beside the place meant, synced, then renamed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sweeps.storage.base import Entry, Files, checked
from sweeps.storage.errors import failed, unusable

# What disks say that know no hard links.
NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV, errno.EMLINK}


class LocalFiles(Files):
    """A folder of this machine, or of a disk that machines share.

    One winner of `create` holds everywhere; one winner of `swap` wherever flock works (local
    disks, NFS 4), elsewhere the last of those who meet within a millisecond wins.
    """

    remote = False

    def check(self) -> None:
        try:
            Path(self.address).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.address) as probe:
                probe.write(b"probe")
        except OSError as error:
            raise unusable(self.address, error) from None

    def read_plain(self, name: str) -> bytes | None:
        with self._explained("reading", name):
            return _read(self._path(name))

    def write_plain(self, name: str, data: bytes) -> None:
        with self._explained("writing", name), self._temporary(name, data) as temporary:
            os.replace(temporary, self._path(name))

    def create(self, name: str, data: bytes) -> bool:
        with self._explained("creating", name), self._temporary(name, data) as temporary:
            # A link appears with all its content, or not at all; O_EXCL shows an empty file first.
            try:
                os.link(temporary, self._path(name))
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                return _create_without_links(self._path(name), data)
        return True

    def swap(self, name: str, old: bytes, new: bytes | None) -> bool:
        with self._explained("replacing", name), self._guarded(name):
            if self.read_plain(name) != old:
                return False
            if new is None:
                self.delete(name)
            else:
                self.write_plain(name, new)
        return True

    def delete(self, name: str) -> None:
        with self._explained("deleting", name):
            self._path(name).unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        with self._explained("looking for", name):
            return self._path(name).is_file()

    def entries(self, prefix: str = "") -> list[Entry]:
        root, found = Path(self.address), []
        start = self._path(prefix) if prefix else root
        with self._explained("listing", prefix or "everything"):
            for folder, below, names in os.walk(start, onerror=_raise_unless_gone):
                below[:] = [name for name in below if not name.startswith(".")]
                for path in (Path(folder, name) for name in names if not name.startswith(".")):
                    # Another driver may drop a snapshot while we walk.
                    with contextlib.suppress(FileNotFoundError):
                        status = path.stat()
                        name = path.relative_to(root).as_posix()
                        found.append(Entry(name, status.st_size, status.st_mtime))
        return sorted(found, key=lambda entry: entry.name)

    def _path(self, name: str) -> Path:
        return Path(self.address, checked(name))

    @contextlib.contextmanager
    def _temporary(self, name: str, data: bytes) -> Iterator[str]:
        """A file with this content beside the one meant, safely on disk; gone afterwards."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        # A writer that is killed leaves it behind: hidden, never listed, and never read.
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                _write_synced(file.fileno(), data)
            yield temporary
        finally:
            Path(temporary).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        """One at a time in this folder, where the disk knows flock."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        # A file of its own, and none that is renamed: a lock on what was replaced holds nobody up.
        with open(path.parent / ".guard", "ab") as guard:
            with contextlib.suppress(OSError):
                fcntl.flock(guard, fcntl.LOCK_EX)
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    fcntl.flock(guard, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def _explained(self, doing: str, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise failed(self.address, f"{doing} {name}", error) from error


def _read(path: Path, tries: int = 3) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        # What a shared disk says of a file that was replaced while we read it.
        if error.errno != errno.ESTALE or tries == 1:
            raise
        return _read(path, tries - 1)


def _create_without_links(path: Path, data: bytes) -> bool:
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "wb") as file:
        _write_synced(file.fileno(), data)
    return True


def _write_synced(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
    os.fsync(handle)


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error
