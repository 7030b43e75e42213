"""A lease on the storage for one driver, renewed while its process lives.

`locked` is how to take some: the driver of a sweep does for its tasks and its name, and so does who
tidies the storage. A lock is a file, as object stores know no flock, and not all shared disks do.
It is made with `Files.create` and changed only with `Files.swap`. Kept true:

- Of any number who want it, or see it dead, exactly one gets it, as far as these promise it.
- Clocks of two machines are never compared: a holder elsewhere lives as long as its file changes,
  by the clock of who looks on. Here it lives as long as its process, and is followed at once.
- An answer that the storage lost costs no lock: the file holds a token that is only its holder's.
- Who slept for longer than STALE_SECONDS finds that out with its next beat, and leaves the lock to
  who has it. A sweep does not ask for ``lost``: two drivers may train an epoch twice, to the same
  end.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from sweeps.storage.files import Files, StorageError

BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0  # twelve beats: the storage may fail for some of them
POLL_SECONDS = 1.0
REMOTE_POLL_SECONDS = 3.0

Wait = Callable[[dict[str, Any]], None]


class Lock:
    """The lock ``name``. ``lost``: we were silent for so long that someone else has it now."""

    def __init__(self, files: Files, name: str, owner: str) -> None:
        self.name = name
        self.owner = owner
        self.lost = False
        self._files = files
        self._file = f"locks/{name}"
        self._content = b""
        self._token = ""
        self._turn = threading.Lock()
        self._released = threading.Event()

    def acquire(self, wait: Wait | None = None) -> None:
        """Take the lock, as soon as its holder gives it up or is dead.

        ``wait`` is called once, with what the holder says of itself, if that takes time.
        """
        self._token, self.lost, self._released = uuid.uuid4().hex, False, threading.Event()
        watch, poll = Watch(), REMOTE_POLL_SECONDS if self._files.remote else POLL_SECONDS
        while not self._take(watch):
            if watch.alive and wait is not None:
                wait(holder_of(watch.content or b""))
                wait = None
            time.sleep(poll if watch.alive else 0.1)
        name = f"lock {self.name}"
        threading.Thread(target=self._beat, args=(self._released,), name=name, daemon=True).start()

    def release(self) -> None:
        """Give the lock up. If the storage is gone, the lock dies with our process."""
        if holder_of(self._content).get("pid") != os.getpid():
            return  # never taken, or by the process that we are a fork of
        with self._turn, contextlib.suppress(StorageError):
            # Under the turn: a beat in between would change what is to be deleted.
            self._released.set()
            content, self._content = self._content, b""
            self._change(content, None)

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _take(self, watch: Watch) -> bool:
        ours, held = self._written(), self._files.read_plain(self._file)
        if held is None:
            watch.alive = False
            taken = self._files.create(self._file, ours)
        # Our own: it was made, and the answer lost; `create` saw it as somebody else's.
        elif holder_of(held).get("token") == self._token:
            ours, taken = held, True
        else:
            watch.look(held)
            taken = not watch.alive and self._files.swap(self._file, held, ours)
        if taken:
            self._content = ours
        return taken

    def _beat(self, released: threading.Event) -> None:
        while not released.wait(BEAT_SECONDS):
            with self._turn:
                if released.is_set():
                    return
                # A storage out of reach for a while: the next beat may get through in time.
                with contextlib.suppress(StorageError):
                    ours = self._written()
                    if not self._change(self._content, ours):
                        self.lost = True
                        return
                    self._content = ours

    def _change(self, content: bytes, new: bytes | None) -> bool:
        """Put ``new`` in place of what we wrote last; False if someone else has the lock."""
        if self._files.swap(self._file, content, new):
            return True
        # It may be ours all the same, where the answer to our last write was lost.
        held = self._files.read_plain(self._file) or b""
        return holder_of(held).get("token") == self._token and self._files.swap(
            self._file, held, new
        )

    def _written(self) -> bytes:
        return json.dumps(
            {
                "owner": self.owner,
                "host": socket.gethostname(),
                "boot": _boot(),
                "pid": os.getpid(),
                # Process numbers come again, with another begin.
                "started": _started(os.getpid()),
                "token": self._token,
                "beat": time.time(),
            }
        ).encode()


class Watch:
    """Whether the holder of a lock lives, by its process if that is here, else by its beats."""

    def __init__(self) -> None:
        self.alive = False
        self.content: bytes | None = None
        self._looked = 0.0
        self._silent = 0.0

    def look(self, content: bytes) -> None:
        """Take note of the lock's content."""
        now = time.monotonic()
        # Machines are suspended: if we slept for an hour, the holder may have, too, and not have
        # woken yet. So a look counts for no more than three polls of silence.
        since = min(now - self._looked, 3 * REMOTE_POLL_SECONDS)
        self._silent = self._silent + since if content == self.content else 0.0
        self.content, self._looked = content, now
        self.alive = self._silent <= STALE_SECONDS and not _gone(holder_of(content))


@contextlib.contextmanager
def locked(
    files: Files, names: Iterable[str], owner: str, wait: Wait | None = None
) -> Iterator[list[Lock]]:
    """Hold all these locks; taken in order of their names, so that no two wait for each other."""
    locks = [Lock(files, name, owner) for name in sorted(set(names))]
    with contextlib.ExitStack() as stack:
        for lock in locks:
            # Before it is had: Ctrl-C while we wait gives up those we hold, and harms no other.
            stack.callback(lock.release)
            lock.acquire(wait)
        yield locks


def holder_of(content: bytes) -> dict[str, Any]:
    """What a lock's file says of its holder; nothing if it is no such file."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _gone(holder: dict[str, Any]) -> bool:
    """Whether the holder ran here and surely runs no longer."""
    here = (socket.gethostname(), _boot())
    pid = holder.get("pid")
    if not here[1] or (holder.get("host"), holder.get("boot")) != here or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's: it is there
        pass
    started = _started(pid)
    return started is not None and started != holder.get("started")


def _boot() -> str:
    """This boot of this machine and, as containers share it, the space of its process numbers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process began, in ticks since the boot; "dead" for a zombie, None if untold."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # Who started a driver that was killed may never ask how it ended, and leave a zombie.
    return "dead" if fields[0] in "ZX" else fields[19]
