"""The storage's files: whole, sealed, exclusive; on a folder, in memory and on S3."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import subprocess
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from s3_server import S3Storage, unreliable_s3

from pruning.errors import InputError
from sweeps.storage import local, remote
from sweeps.storage.errors import failed
from sweeps.storage.files import Entry, Files, StorageError, open_files

KINDS = ["local", "memory", "s3"]
FORK = multiprocessing.get_context("fork")


class Disk(LocalFileSystem):
    """A remote file system that has folders."""

    protocol = "disk"


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        made: str = request.getfixturevalue("s3_storage")()
        return made
    return str(tmp_path / "runs") if request.param == "local" else f"memory://{uuid.uuid4().hex}"


@pytest.fixture
def files(address: str) -> Files:
    return open_files(address)


def test_a_file_comes_back_whole_and_leaves_nothing_beside_it(files: Files, address: str) -> None:
    files.write("a/b", b"content")
    files.write("a/b", b"other")
    assert files.read("a/b") == b"other"
    assert len(files.read_plain("a/b") or b"") == 32 + len(b"other")
    assert [entry.name for entry in files.entries()] == ["a/b"]
    if not files.remote:
        assert [path.name for path in Path(address, "a").iterdir()] == ["b"]


def test_any_content_comes_back(files: Files) -> None:
    for data in (b"", b"\0" * 3, bytes(range(256)) * 50_000):
        files.write("x", data)
        assert files.read("x") == data


def test_what_is_missing(files: Files) -> None:
    assert files.read("a/b") is None
    assert files.read_plain("a/b") is None
    assert not files.exists("a/b")
    files.delete("a/b")
    files.write("a/b", b"x")
    assert files.exists("a/b")
    assert not files.exists("a")
    files.delete("a/b")
    assert files.read("a/b") is None
    assert not files.exists("a/b")
    assert files.damaged == set()


def test_damage_is_told_once_and_counts_as_missing(files: Files) -> None:
    files.write("whole", b"some content that matters")
    data = files.read_plain("whole") or b""
    broken = {
        "truncated": data[:-3],
        "flipped": data[:40] + bytes([data[40] ^ 1]) + data[41:],
        "emptied": b"",
        "short": data[:20],
    }
    other = open_files(files.address)
    for name, content in broken.items():
        files.write_plain(name, content)
        with pytest.warns(UserWarning, match=f"/{name} is damaged and will be made again"):
            assert files.read(name) is None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert files.read(name) is None
            assert other.read(name) is None
    assert files.damaged == set(broken)
    files.write("flipped", b"again")
    assert files.read("flipped") == b"again"


def test_entries(files: Files) -> None:
    before = time.time()
    for name in ("paths/b/record-1", "paths/a/record-0", "paths/ab", "other/x", "top"):
        files.write(name, b"four")
    files.write_plain("paths/a/.hidden", b"")
    assert [entry.name for entry in files.entries()] == [
        "other/x", "paths/a/record-0", "paths/ab", "paths/b/record-1", "top",
    ]  # fmt: skip
    assert [entry.name for entry in files.entries("paths/a")] == ["paths/a/record-0"]
    assert files.entries("nowhere") == []
    assert files.entries("pat") == []
    (entry,) = files.entries("other")
    assert entry == Entry("other/x", 36, entry.modified)
    assert before - 2 <= entry.modified <= time.time() + 2


def test_another_process_finds_everything_new(files: Files) -> None:
    assert files.entries("a") == []
    assert not files.exists("a/b")
    other = open_files(files.address)
    other.write("a/b", b"x")
    assert files.exists("a/b")
    assert [entry.name for entry in files.entries("a")] == ["a/b"]
    other.delete("a/b")
    assert not files.exists("a/b")
    assert files.entries("a") == []


def test_an_empty_storage_has_no_entries(files: Files) -> None:
    assert files.entries() == []
    files.check()
    files.check()
    assert files.entries() == []


def test_names_stay_in_the_storage(files: Files) -> None:
    for name in ("", "/etc/x", "../x", "a/../../x", "a//b", "a/"):
        with pytest.raises(ValueError, match="not the name of a file"):
            files.read(name)


def test_create_does_not_replace(files: Files) -> None:
    assert files.create("locks/x", b"first")
    assert not files.create("locks/x", b"first")
    assert not files.create("locks/x", b"second")
    assert files.read_plain("locks/x") == b"first"
    files.delete("locks/x")
    assert files.create("locks/x", b"third")
    assert [entry.name for entry in files.entries()] == ["locks/x"]


def test_create_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(local.os, "link", refuse)
    files = open_files(tmp_path)
    assert files.create("x", b"first")
    assert not files.create("x", b"second")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_swap_replaces_only_what_is_expected(files: Files) -> None:
    assert not files.swap("x", b"old", b"new")
    assert not files.swap("x", b"old", None)
    files.write_plain("x", b"old")
    assert not files.swap("x", b"other", b"new")
    assert not files.swap("x", b"other", None)
    assert files.swap("x", b"old", b"new")
    assert files.read_plain("x") == b"new"
    assert files.swap("x", b"new", None)
    assert not files.exists("x")
    assert files.entries() == []


def test_of_many_threads_one_creates_and_one_swaps(files: Files) -> None:
    count, rounds = 4, 5
    barrier, won = threading.Barrier(count), [[0, 0] for _ in range(rounds)]
    mutex = threading.Lock()

    def work(number: int) -> None:
        for turn in range(rounds):
            barrier.wait()
            created = files.create(f"locks/{turn}", f"{number}".encode())
            barrier.wait()
            held = files.read_plain(f"locks/{turn}") or b""
            barrier.wait()
            swapped = files.swap(f"locks/{turn}", held, f"{number} again".encode())
            with mutex:
                won[turn][0] += created
                won[turn][1] += swapped

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [[1, 1]] * rounds


def _fork(work: Callable[..., None], *arguments: object) -> None:
    processes = [FORK.Process(target=work, args=(n, *arguments)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]


def _rewrite(number: int, files: Files) -> None:
    warnings.simplefilter("error")
    for turn in range(5):
        files.write("same/file", bytes([number]) * (1 + turn * 997))
        found = files.read("same/file")
        assert found is not None
        assert len(set(found)) == 1


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_processes_write_one_file_at_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    where = tmp_path if kind == "local" else request.getfixturevalue("s3_storage")()
    files = open_files(where)
    files.write("before/the fork", b"x")
    _fork(_rewrite, files)
    assert files.read("before/the fork") == b"x"
    assert [entry.name for entry in files.entries("same")] == ["same/file"]


def test_plain_paths_and_file_addresses_are_local(tmp_path: Path) -> None:
    open_files(tmp_path / "a").write("x", b"x")
    assert open_files(f"file://{tmp_path}/a").read("x") == b"x"
    assert open_files(str(tmp_path / "a")).read("x") == b"x"
    assert not open_files(f"file://{tmp_path}").remote
    assert open_files(tmp_path).address == str(tmp_path)


def test_a_remote_file_system_with_folders(tmp_path: Path) -> None:
    fsspec.register_implementation("disk", Disk, clobber=True)
    files = open_files(f"disk://{tmp_path}/deep/down/")
    files.check()
    files.write("a/b", b"x")
    assert files.read("a/b") == b"x"
    assert files.create("locks/x", b"x")
    assert not files.create("locks/x", b"y")
    assert files.swap("locks/x", b"x", b"z")
    assert not files.swap("locks/x", b"x", None)
    assert [entry.name for entry in files.entries()] == ["a/b", "locks/x"]
    assert [entry.name for entry in files.entries("a")] == ["a/b"]


# What cannot be used


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match=r"storage: '.*file/x' cannot be written \(Not a dir.*--stor"
    ):
        open_files(tmp_path / "file" / "x").check()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("s33://bucket/x", "unknown kind of address 's33' in 's33://bucket/x'; did you mean 's3'"),
        ("nonsense://x", r"unknown kind of address 'nonsense' .* such as s3://bucket/prefix\)"),
        ("gs://bucket/x", "'gs://bucket/x' needs a package more: .*gcsfs"),
        ("s3://", "names no bucket"),
        ("http://127.0.0.1:1/x", "cannot be written"),
    ],
)
def test_an_address_that_cannot_be_used(
    address: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "CHECK_WAITS", ())
    with pytest.raises(InputError, match=f"^storage: .*{told}"):
        open_files(address).check()


def test_s3_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(protocol: str) -> None:
        raise ImportError(f"Install s3fs to access {protocol}")

    monkeypatch.setattr(remote, "_systems", {})
    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with pytest.raises(InputError, match=r"needs a package more: pip install 'earlyprune\[s3\]'$"):
        open_files("s3://bucket/x").check()


def test_a_missing_bucket(s3_storage: S3Storage) -> None:
    files = open_files("s3://not-there/prefix")
    with pytest.raises(InputError, match="'s3://not-there/prefix': there is no such bucket; make"):
        files.check()
    for call in (lambda: files.read("x"), lambda: files.write("x", b""), lambda: files.entries()):
        with pytest.raises(StorageError, match="there is no such bucket"):
            call()


def test_a_whole_bucket_is_a_storage(s3_storage: S3Storage) -> None:
    prefix = s3_storage().rpartition("/")[2]
    files = open_files("s3://storage/")
    files.check()
    files.write(f"{prefix}/a", b"x")
    assert files.read(f"{prefix}/a") == b"x"
    assert [entry.name for entry in files.entries(prefix)] == [f"{prefix}/a"]
    assert f"{prefix}/a" in [entry.name for entry in files.entries()]


# A storage that fails in use


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_the_storages_fault(small_disk: Path) -> None:
    files = open_files(small_disk)
    files.write("a/b", b"x")
    with pytest.raises(StorageError) as caught:
        files.write("a/b", bytes(2_000_000))
    assert str(caught.value) == (
        f"storage: no space left in {str(small_disk)!r} (writing a/b); make room and run it again"
    )
    assert files.read("a/b") == b"x"
    assert [path.name for path in (small_disk / "a").iterdir()] == ["b"]


def test_a_read_only_disk(small_disk: Path) -> None:
    files = open_files(small_disk)
    files.write("a/b", b"x")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for call in (lambda: files.write("a/c", b""), lambda: files.delete("a/b")):
        with pytest.raises(StorageError, match=r"^storage: '.*' is read-only \("):
            call()
    with pytest.raises(InputError, match="Read-only file system"):
        files.check()
    assert files.read("a/b") == b"x"


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EDQUOT, "no space left in 'runs' (writing a/b); make room and run it again"),
        (errno.EACCES, "no permission in 'runs' (writing a/b): Permission denied"),
        (errno.EIO, "'runs' failed (writing a/b): Input/output error"),
        (errno.ETIMEDOUT, "'runs' is out of reach (writing a/b): Connection timed out; run it"),
    ],
)
def test_the_reason_is_told(number: int, told: str) -> None:
    error = failed("runs", "writing a/b", OSError(number, os.strerror(number)))
    assert str(error).startswith(f"storage: {told}")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_file_replaced_while_a_shared_disk_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, answers = open_files(tmp_path), [OSError(errno.ESTALE, "Stale file handle")] * 2
    files.write("x", b"x")
    real = Path.read_bytes

    def read(path: Path) -> bytes:
        if answers:
            raise answers.pop()
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    assert files.read("x") == b"x"
    answers += [OSError(errno.ESTALE, "Stale file handle")] * 3
    with pytest.raises(StorageError, match=r"failed \(reading x\): Stale file handle"):
        files.read("x")


@pytest.mark.parametrize("trouble", [["500", "503"], ["drop", "drop"]])
def test_s3_that_fails_at_first_is_tried_again(
    s3_storage: S3Storage, trouble: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "WAITS", (0.01, 0.02, 0.03, 0.04))
    with unreliable_s3() as server:
        files = open_files(s3_storage())
        for call, expected in [
            (lambda: files.write("x", b"x"), None),
            (lambda: files.read("x"), b"x"),
            (lambda: files.exists("x"), True),
            (lambda: [entry.name for entry in files.entries()], ["x"]),
            (lambda: files.create("y", b"y"), True),
            (lambda: files.swap("y", b"y", b"z"), True),
            (lambda: files.delete("x"), None),
            (lambda: files.read("x"), None),
        ]:
            server.plan = [*trouble]
            assert call() == expected
            assert server.plan == []


def test_s3_whose_answer_is_lost(s3_storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "WAITS", (0.01,))
    with unreliable_s3() as server:
        files = open_files(s3_storage())
        server.plan = ["lose"]
        assert files.create("x", b"a")
        server.plan = ["pass", "pass", "lose"]
        assert files.swap("x", b"a", b"b")
        assert server.plan == []
        assert files.read_plain("x") == b"b"
        server.plan = ["500"]
        assert not files.create("x", b"c")


def test_s3_that_stays_out_of_reach(s3_storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    address = s3_storage()
    with unreliable_s3() as server:
        server.plan = ["503"] * 100
        files = open_files(address)
        monkeypatch.setattr(remote, "CHECK_WAITS", (0.01,))
        monkeypatch.setattr(remote, "WAITS", (0.01,) * 4)
        with pytest.raises(
            StorageError, match=r"^storage: 's3.*' is out of reach \(writing a/x\): "
        ):
            open_files(address).write("a/x", b"x")
        assert server.requests == ["PUT"] * 5
        with pytest.raises(InputError, match="cannot be written"):
            files.check()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StorageError, match=r"is out of reach \(reading a/x\): Could not connect"):
        open_files(address).read("a/x")


def test_s3_is_read_with_one_request(s3_storage: S3Storage) -> None:
    with unreliable_s3() as server:
        files = open_files(s3_storage())
        files.write("a/b", b"x")
        files.read("a/b")
        files.read("a/missing")
        files.entries("a")
        assert server.requests == ["PUT", "GET", "GET", "GET"]


def test_s3_without_rights(s3_storage: S3Storage) -> None:
    with unreliable_s3() as server:
        files = open_files(s3_storage())
        server.plan = ["403"]
        with pytest.raises(
            StorageError, match=r"^storage: no permission in 's3.*' \(writing x\): "
        ):
            files.write("x", b"x")
        server.plan = ["403"]
        with pytest.raises(InputError, match="cannot be written"):
            files.check()


def test_s3_that_knows_no_conditions_is_warned_of(
    s3_storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = open_files(s3_storage())
    put = remote.RemoteFiles._put
    monkeypatch.setattr(
        remote.RemoteFiles,
        "_put",
        lambda self, system, path, data, **_: put(self, system, path, data),
    )
    with pytest.warns(UserWarning, match="cannot create a file exclusively"):
        files.check()
    assert files.entries() == []
