"""Locks: one holder, whoever dies, sleeps or comes at the same time."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from s3_server import unreliable_s3

from sweeps.storage import lock as locks
from sweeps.storage import remote
from sweeps.storage.files import Files, StorageError, open_files
from sweeps.storage.lock import Lock, locked

FORK = multiprocessing.get_context("fork")


@pytest.fixture(params=["local", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setattr(locks, "REMOTE_POLL_SECONDS", 0.2)
    monkeypatch.setattr(locks, "POLL_SECONDS", 0.1)
    if request.param == "local":
        return open_files(tmp_path)
    return open_files(request.getfixturevalue("s3_storage")())


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setattr(locks, "POLL_SECONDS", 0.05)
    return open_files(tmp_path)


class Driver:
    """Another process that wants the lock "x", holds it until told, and says what it sees."""

    def __init__(self, files: Files, owner: str) -> None:
        self.ours, theirs = FORK.Pipe()
        self.process = FORK.Process(target=drive, args=(files, owner, theirs), daemon=True)
        self.process.start()

    def told(self, seconds: float = 20) -> Any:
        assert self.ours.poll(seconds), "the other process says nothing"
        return self.ours.recv()

    def release(self) -> None:
        self.ours.send("release")
        assert self.told() == "released"
        self.process.join(10)
        assert self.process.exitcode == 0

    def kill(self) -> None:
        """As kill -9 does; it stays a zombie, as nobody asks for its exit code."""
        os.kill(self.process.pid or 0, signal.SIGKILL)


def drive(files: Files, owner: str, pipe: Connection) -> None:
    lock = Lock(files, "x", owner)
    lock.acquire(lambda holder: pipe.send(("waits for", holder["owner"])))
    pipe.send("holds")
    pipe.recv()
    lock.release()
    pipe.send("released")


@pytest.fixture
def driver() -> Iterator[Callable[[Files, str], Driver]]:
    started: list[Driver] = []

    def start(files: Files, owner: str) -> Driver:
        started.append(Driver(files, owner))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.join(10)


Start = Callable[[Files, str], Driver]


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this never came true"
        time.sleep(0.02)


def test_a_free_lock_is_taken_and_given_up(files: Files) -> None:
    with Lock(files, "x", "me") as lock:
        (entry,) = files.entries("locks")
        assert entry.name == "locks/x"
        content = json.loads(files.read_plain("locks/x") or b"")
        assert content["owner"] == "me"
        assert content["pid"] == os.getpid()
        assert content["host"] == socket.gethostname()
    assert not lock.lost
    assert files.entries() == []
    with lock:
        assert files.exists("locks/x")
    assert not files.exists("locks/x")


def test_a_held_lock_is_waited_for(files: Files, driver: Start) -> None:
    other = driver(files, "the first")
    assert other.told() == "holds"
    second = driver(files, "the second")
    assert second.told() == ("waits for", "the first")
    assert not second.ours.poll(0.6)
    other.release()
    assert second.told() == "holds"
    second.release()
    assert files.entries() == []


def test_a_killed_holder_is_taken_over_at_once(files: Files, driver: Start) -> None:
    other = driver(files, "the killed")
    assert other.told() == "holds"
    waiting = driver(files, "the waiting")
    assert waiting.told() == ("waits for", "the killed")
    other.kill()
    began = time.monotonic()
    assert waiting.told() == "holds"
    waiting.kill()
    until(lambda: locks._started(waiting.process.pid or 0) == "dead")
    waits: list[dict[str, Any]] = []
    lock = Lock(files, "x", "me")
    lock.acquire(waits.append)
    lock.release()
    assert time.monotonic() - began < 20
    assert waits == []


def test_of_many_who_see_a_dead_lock_one_gets_it(files: Files, driver: Start) -> None:
    other = driver(files, "the killed")
    assert other.told() == "holds"
    other.kill()
    until(lambda: locks._started(other.process.pid or 0) == "dead")
    drivers = [driver(files, f"number {number}") for number in range(3)]
    while drivers:
        heard: dict[Driver, Any] = {}

        def all_heard(heard: dict[Driver, Any] = heard) -> bool:
            for each in drivers:
                while each.ours.poll():
                    heard[each] = each.ours.recv()
            return "holds" in heard.values()

        until(all_heard, 20)
        time.sleep(0.3)
        all_heard()
        (holder,) = [each for each, told in heard.items() if told == "holds"]
        holder.release()
        drivers.remove(holder)
    assert files.entries() == []


def test_many_threads_and_a_lock_that_keeps_dying(local: Files) -> None:
    """Every holder leaves a dead lock behind, and all who wait see it at the same time."""
    inside, seen, mutex = [0], [0], threading.Lock()

    def work() -> None:
        for _ in range(5):
            lock = Lock(local, "x", "me")
            lock.acquire()
            with mutex:
                inside[0] += 1
                seen[0] += 1
                assert inside[0] == 1
            time.sleep(0.002)
            lock._released.set()
            with mutex:
                inside[0] -= 1
            held = json.loads(local.read_plain("locks/x") or b"")
            local.write_plain("locks/x", json.dumps(held | {"started": "before"}).encode())

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [30]


def foreign(beat: float = 0.0, **more: Any) -> bytes:
    holder = {"owner": "she", "host": "elsewhere", "boot": "b", "pid": 1, "token": "t"}
    return json.dumps({**holder, "beat": beat, **more}).encode()


def test_another_machine_that_is_silent_is_taken_over(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "STALE_SECONDS", 0.6)
    files.write_plain("locks/x", foreign())
    waits: list[dict[str, Any]] = []
    lock, began = Lock(files, "x", "me"), time.monotonic()
    lock.acquire(waits.append)
    assert 0.6 <= time.monotonic() - began < 20
    assert [holder["owner"] for holder in waits] == ["she"]
    lock.release()
    assert not files.exists("locks/x")


def test_another_machine_that_beats_is_left_alone(
    local: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock is years behind, which says nothing."""
    monkeypatch.setattr(locks, "STALE_SECONDS", 0.5)
    stopped, end = [0.0], time.monotonic() + 1.0

    def beat() -> None:
        number = 0
        while time.monotonic() < end:
            local.write_plain("locks/x", foreign(beat=number))
            number += 1
            time.sleep(0.1)
        stopped[0] = time.monotonic()

    local.write_plain("locks/x", foreign())
    thread = threading.Thread(target=beat)
    thread.start()
    with Lock(local, "x", "me"):
        assert stopped[0]
        assert time.monotonic() - stopped[0] >= 0.3
    thread.join()


def test_we_who_slept_do_not_call_the_holder_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    now, watch = [1000.0], locks.Watch()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch.look(foreign())
    now[0] += 3600
    watch.look(foreign())
    assert watch.alive
    for _ in range(20):
        now[0] += 3
        watch.look(foreign())
    assert not watch.alive


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'"x"', b"{}"])
def test_a_torn_lock_is_taken_over(
    local: Files, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "STALE_SECONDS", 0.2)
    local.write_plain("locks/x", content)
    waits: list[dict[str, Any]] = []
    lock = Lock(local, "x", "me")
    lock.acquire(waits.append)
    lock.release()
    assert waits == [{}]


def ours(**more: Any) -> bytes:
    """A holder on this machine: its process is that of the tests."""
    here = {"host": socket.gethostname(), "boot": locks._boot(), "pid": os.getpid()}
    return foreign(**{**here, "started": locks._started(os.getpid()), **more})


@pytest.mark.parametrize(
    ("holder", "gone"),
    [
        (ours(), False),
        (ours(started="12345"), True),
        (ours(pid=2**22 + 1), True),
        (ours(pid="x"), False),
        (ours(pid=2**22 + 1, host="elsewhere"), False),
        (ours(pid=2**22 + 1, boot="another"), False),
        (foreign(), False),
    ],
)
def test_who_is_surely_gone(holder: bytes, gone: bool) -> None:
    assert locks._gone(json.loads(holder)) is gone


def test_a_machine_without_proc_trusts_beats_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_boot", lambda: "")
    assert not locks._gone(json.loads(ours(boot="", pid=2**22 + 1)))


def test_the_holder_beats(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.05)
    with Lock(files, "x", "me") as lock:
        first = files.read_plain("locks/x")
        until(lambda: files.read_plain("locks/x") not in (first, None))
        second = json.loads(files.read_plain("locks/x") or b"")
        assert second["token"] == json.loads(first or b"")["token"]
        assert second["beat"] > json.loads(first or b"")["beat"]
        assert not lock.lost
    time.sleep(0.3)
    assert files.entries() == []


@pytest.mark.parametrize("content", [foreign(), None])
def test_a_holder_that_slept_too_long_is_told(
    files: Files, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.5)
    with Lock(files, "x", "me") as lock:
        if content is None:
            files.delete("locks/x")
        else:
            files.write_plain("locks/x", content)
        until(lambda: lock.lost)
    assert files.read_plain("locks/x") == content


def test_a_stopped_process_loses_its_lock(
    local: Files, driver: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(locks, "STALE_SECONDS", 0.6)
    other = driver(local, "the stopped")
    assert other.told() == "holds"
    os.kill(other.process.pid or 0, signal.SIGSTOP)
    with Lock(local, "x", "me"):
        os.kill(other.process.pid or 0, signal.SIGCONT)
        other.release()
        time.sleep(0.3)
        assert json.loads(local.read_plain("locks/x") or b"")["owner"] == "me"


def test_an_unreliable_storage_costs_no_lock(
    s3_storage: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(remote, "WAITS", ())
    with unreliable_s3() as server:
        files = open_files(s3_storage())
        with Lock(files, "x", "me") as lock:
            for trouble in ("500", "drop", "lose", "vanish"):
                server.plan = ["pass", "pass", trouble, trouble]
                until(lambda: not server.plan)
            assert not lock.lost
            server.plan = []
            first = files.read_plain("locks/x")
            until(lambda: files.read_plain("locks/x") != first)
        assert not lock.lost
        assert not files.exists("locks/x")


@pytest.mark.parametrize("trouble", ["lose", "vanish"])
def test_a_lock_is_had_though_the_answer_is_lost(
    s3_storage: Callable[[], str], trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "WAITS", (0.01,))
    with unreliable_s3() as server:
        files = open_files(s3_storage())
        server.plan = ["pass", trouble]
        with Lock(files, "x", "me"):
            assert server.plan == []
        assert not files.exists("locks/x")


def test_a_storage_that_is_gone_is_no_reason_to_fail_at_the_end(
    local: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageError("storage: gone")

    with Lock(local, "x", "me"):
        monkeypatch.setattr(local, "swap", fail)


def test_a_fork_neither_holds_nor_releases(local: Files) -> None:
    with Lock(local, "x", "me") as lock:
        child = FORK.Process(target=lock.release)
        child.start()
        child.join(10)
        assert child.exitcode == 0
        assert local.exists("locks/x")
    assert not local.exists("locks/x")


def test_locks_are_taken_in_order_and_given_up_together(files: Files) -> None:
    with locked(files, ["b", "a", "b"], "me") as held:
        assert [lock.name for lock in held] == ["a", "b"]
        assert [entry.name for entry in files.entries()] == ["locks/a", "locks/b"]
    assert files.entries() == []


def test_what_is_held_is_given_up_when_waiting_is_broken_off(local: Files) -> None:
    def stop(_: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    local.write_plain("locks/b", foreign())
    with pytest.raises(KeyboardInterrupt), locked(local, ["a", "b"], "me", stop):
        pass
    assert [entry.name for entry in local.entries()] == ["locks/b"]


def test_a_lock_keeps_no_process_alive(tmp_path: Path, s3_storage: Callable[[], str]) -> None:
    root = Path(locks.__file__).parents[1]
    code = (
        "import sys, types\n"
        # Without torch, which takes seconds to import.
        "sys.modules['pruning'] = types.ModuleType('pruning')\n"
        f"sys.modules['pruning'].__path__ = [{str(root / 'pruning')!r}]\n"
        "from sweeps.storage.files import open_files\n"
        "from sweeps.storage.lock import Lock\n"
        "for address in sys.argv[1:]: Lock(open_files(address), 'x', 'me').acquire()\n"
        "print('end', flush=True)"
    )
    places = [str(tmp_path), s3_storage()]
    command = [sys.executable, "-W", "error", "-c", code, *places]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "end\n"
    began = time.monotonic()
    _, told = process.communicate(timeout=10)
    assert (process.returncode, told) == (0, "")
    assert time.monotonic() - began < 10
    for place in places:
        with Lock(open_files(place), "x", "the next"):
            assert time.monotonic() - began < 10
