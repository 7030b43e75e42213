"""The storage's files at any fsspec address: ``s3://bucket/prefix``, ``memory://name``, ...

Credentials and endpoint are found in the environment. Any thread may call, and a fork of us; only
``_try`` waits. Kept true:

- What may pass (500, 503, a connection that breaks) is tried a few times, and only here: fsspec and
  boto would each try as often for themselves, and wait within our waiting.
- The answer to a write may be lost, and the write done. So `create` and `swap` look what is there
  when they are refused: if it is what they wrote, they have won. This asks their callers for
  contents that nobody else writes, as a lock's are.
- Nothing is remembered of what is there: other machines write to the same address.
- A missing file is None; a missing bucket is an error, or a mistyped one would count as empty, and
  all that was ever trained as lost.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import fsspec

from pruning.errors import InputError, nearest
from sweeps.storage.base import Entry, Files, checked
from sweeps.storage.errors import (
    StorageError,
    failed,
    is_missing_bucket,
    is_refused,
    may_pass,
    unusable,
)

# Seconds before the second, third, ... try.
WAITS = (1.0, 2.0, 4.0, 8.0)
CHECK_WAITS = (1.0, 2.0)

S3 = ("s3", "s3a")
# One try a call, as the waiting is done here; one request a read; nothing remembered of listings.
# (s3fs asks for a file's size first, where it may read with several at a time.)
S3_OPTIONS: dict[str, Any] = {
    "use_listings_cache": False,
    "max_concurrency": 1,
    "config_kwargs": {"retries": {"total_max_attempts": 1}},
}
# These have no folders to make.
OBJECT_STORES = {*S3, "gs", "gcs", "abfs", "abfss", "az", "memory"}
# When a file was last written, by fsspec's file systems.
TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")

_systems: dict[tuple[object, ...], Any] = {}
# Memory has no exclusive creation of its own, but also no second process.
_one_at_a_time = threading.RLock()

T = TypeVar("T")
Call = Callable[[Any, str], T]


class RemoteFiles(Files):
    """An address fsspec knows. Raises InputError if it does not.

    Whole files hold on object stores, where a put appears at once or not at all. One winner of
    `create` and `swap` holds on memory and on S3 (If-None-Match, If-Match; a server that ignores
    these is warned of by `check`), of `create` on Google and Azure; elsewhere it is best effort.
    """

    remote = True

    def __init__(self, address: str, waits: Sequence[float] | None = None) -> None:
        super().__init__(address if address.endswith("://") else address.rstrip("/"))
        self._protocol = address.partition("://")[0]
        _check_protocol(address, self._protocol)
        self._waits = WAITS if waits is None else waits

    def check(self) -> None:
        # Who has mistyped an address waits for seconds, not for the patience of a sweep.
        quick = RemoteFiles(self.address, CHECK_WAITS)
        probe = f".probe-{uuid.uuid4().hex}"
        try:
            # Servers that speak S3 may ignore If-None-Match, and then let two drivers in at once.
            quick.create(probe, b"probe")
            twice = quick.create(probe, b"another probe")
            quick.delete(probe)
        except StorageError as error:
            if is_missing_bucket(error.__cause__):
                raise InputError(
                    f"storage: {self.address!r}: there is no such bucket; "
                    f"make it first, or give another with --storage"
                ) from None
            raise unusable(self.address, error.__cause__ or error) from None
        if twice:
            warnings.warn(
                f"{self.address} cannot create a file exclusively; never run a sweep twice at once",
                stacklevel=2,
            )

    def read_plain(self, name: str) -> bytes | None:
        return self._try("reading", name, _or_else(None, lambda system, path: _cat(system, path)))

    def write_plain(self, name: str, data: bytes) -> None:
        self._try("writing", name, lambda system, path: self._put(system, path, data))

    def create(self, name: str, data: bytes) -> bool:
        tries = 0

        def put(system: Any, path: str) -> bool:
            nonlocal tries
            tries += 1
            return _unless_refused(lambda: self._put(system, path, data, mode="create"))

        with self._alone():
            created = self._try("creating", name, put)
            # Refused by ourselves: an earlier try was written, and its answer lost on the way.
            return created or (tries > 1 and self.read_plain(name) == data)

    def swap(self, name: str, old: bytes, new: bytes | None) -> bool:
        def change(system: Any, path: str) -> bool:
            condition = {}
            # The tag before the content: who writes in between makes the tag old, and us refused.
            if self._protocol in S3:
                condition["IfMatch"] = system.info(path)["ETag"]
            if _cat(system, path) != old:
                return False
            if new is not None:
                return _unless_refused(lambda: self._put(system, path, new, **condition))
            return _unless_refused(lambda: _remove(system, path, condition))

        with self._alone():
            swapped = self._try("replacing", name, _or_else(False, change))
            # Deleted by a try whose answer was lost looks as if deleted by another; to a lock that
            # is given up it is the same.
            return swapped or (new is not None and self.read_plain(name) == new)

    def delete(self, name: str) -> None:
        self._try("deleting", name, _or_else(None, lambda system, path: system.rm_file(path)))

    def exists(self, name: str) -> bool:
        def look(system: Any, path: str) -> bool:
            system.invalidate_cache()
            return bool(system.info(path)["type"] == "file")

        return self._try("looking for", name, _or_else(False, look))

    def entries(self, prefix: str = "") -> list[Entry]:
        def find(system: Any, path: str) -> list[Entry]:
            system.invalidate_cache()
            root = path.removesuffix(prefix).rstrip("/") + "/"
            found = {
                full.removeprefix(root): info
                for full, info in system.find(path, detail=True).items()
                # Object stores have no folders: what is below ``pat`` would be that of ``paths``.
                if full.startswith(f"{path}/")
            }
            return [
                Entry(name, int(info["size"]), _modified(info))
                for name, info in sorted(found.items())
                if not re.search(r"(^|/)(\.|$)", name)
            ]

        return self._try("listing", prefix or None, _or_else([], find))

    def _put(self, system: Any, path: str, data: bytes, **how: Any) -> None:
        if self._protocol not in OBJECT_STORES:
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
        system.pipe_file(path, data, **how)

    def _try(self, doing: str, name: str | None, call: Call[T]) -> T:
        """What ``call`` returns for a file, or for the whole storage, after some patience."""
        path = "" if name is None else f"/{checked(name)}"
        system, root = _connected(self.address, self._protocol)
        for wait in (*self._waits, None):
            try:
                return call(system, root + path)
            except Exception as error:
                if wait is None or not may_pass(error):
                    raise failed(self.address, f"{doing} {name or 'everything'}", error) from error
                time.sleep(wait)
        raise AssertionError

    def _alone(self) -> contextlib.AbstractContextManager[Any]:
        return _one_at_a_time if self._protocol == "memory" else contextlib.nullcontext()


def _connected(address: str, protocol: str) -> tuple[Any, str]:
    """The file system and our root on it; one a process, and for S3 one a set of credentials.

    None survives a fork, and none is ever dropped: a fork that did would harm its parent's.
    """
    settings = frozenset(pair for pair in os.environ.items() if pair[0].startswith("AWS_"))
    # fsspec's own cache knows nothing of the environment, and a fork drops what is in it.
    key = (os.getpid(), "s3" if protocol in S3 else address, settings)
    system = _systems.get(key) or _systems.setdefault(key, _connect(address, protocol))
    root = str(system._strip_protocol(address)).rstrip("/")
    if not root and protocol in S3:
        raise InputError(f"storage: {address!r} names no bucket (s3://bucket/prefix)")
    return system, root


def _check_protocol(address: str, protocol: str) -> None:
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        install = "pip install 'earlyprune[s3]'" if protocol in S3 else str(error)
        raise InputError(f"storage: {address!r} needs a package more: {install}") from None
    except ValueError:
        hint = nearest(protocol, fsspec.available_protocols())
        raise InputError(
            f"storage: unknown kind of address {protocol!r} in {address!r}{hint} "
            f"(give a folder, or an address such as s3://bucket/prefix)"
        ) from None


def _connect(address: str, protocol: str) -> Any:
    options = S3_OPTIONS if protocol in S3 else {}
    try:
        system, _ = fsspec.core.url_to_fs(address, skip_instance_cache=True, **options)
    except Exception as error:
        raise unusable(address, error) from None
    if protocol in S3:
        system.retries = 1  # s3fs's own tries, which no option names
    return system


def _cat(system: Any, path: str) -> bytes:
    return bytes(system.cat_file(path))


def _remove(system: Any, path: str, condition: Mapping[str, str]) -> None:
    if condition:
        # s3fs deletes without conditions only.
        bucket, key, _ = system.split_path(path)
        system.call_s3("delete_object", Bucket=bucket, Key=key, **condition)
    else:
        system.rm_file(path)


def _or_else(default: T, call: Call[T]) -> Call[T]:
    """``call``, or ``default`` where there is no such file."""

    def guarded(system: Any, path: str) -> T:
        try:
            return call(system, path)
        except FileNotFoundError as error:
            # s3fs raises the same for both.
            if is_missing_bucket(error):
                raise
            return default

    return guarded


def _unless_refused(write: Callable[[], None]) -> bool:
    try:
        write()
    except Exception as error:
        if not is_refused(error):
            raise
        return False
    return True


def _modified(info: Mapping[str, Any]) -> float:
    found = next((info[key] for key in TIMES if info.get(key)), 0.0)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    return found.timestamp() if isinstance(found, datetime) else float(found)
