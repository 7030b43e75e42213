"""Making room: what is shown, what goes, and what must never go."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import announce, train
from sweep_files import SMALL, changed

from pruning.actions import Prune
from pruning.errors import InputError
from pruning.history import Record
from pruning.training.task import Task
from sweeps.file.sweep import Sweep
from sweeps.planning.plan import plan
from sweeps.storage import housekeeping
from sweeps.storage.housekeeping import (
    Removal,
    down_to,
    of_sweep,
    older_than,
    only_snapshots,
    prune,
)
from sweeps.storage.inventory import show
from sweeps.storage.lock import Lock
from sweeps.storage.store import Origin, Store, Stored
from sweeps.storage.survey import survey

TASK = Task.parse(SMALL["task"])
DAY = 86400.0


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty storage, of both kinds."""
    return Store(tmp_path if request.param == "local" else f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def local(tmp_path: Path) -> Store:
    return Store(tmp_path / "storage")


def fill(store: Store, path: str, epochs: range, snapshots: tuple[int, ...] = ()) -> str:
    for epoch in epochs:
        record = Record(epoch, np.ones(3, dtype=bool), {"random": np.ones(3, dtype=np.float32)})
        store.write_record(path, Stored(record, {"trial": 1.0}, measured=frozenset({"random"})))
    for epoch in snapshots:
        store.write_snapshot(path, epoch, b"s" * 1000)
    return path


def tree(store: Store) -> dict[str, str]:
    """A trunk, a fork of it, a fork of that, and another fork of the trunk."""
    trunk = fill(store, store.know(Origin(TASK, 0)), range(5), (0, 1, 2, 4))
    fork = fill(store, store.fork(trunk, 1, Prune((0,))), range(2, 5), (4,))
    twig = fill(store, store.fork(fork, 3, Prune((1,))), range(4, 5), (4,))
    other = fill(store, store.fork(trunk, 2, Prune((2,))), range(3, 5), (3, 4))
    return {"trunk": trunk, "fork": fork, "twig": twig, "other": other}


def sweep(store: Store, name: str, ends: dict[str, str | None], seed: int = 0) -> None:
    """A sweep with trials that ended on these paths; None: that have not ended."""
    trials = [{"key": key, "id": key, "setting": {"policy": "x"}, "seed": seed} for key in ends]
    config = {"task": TASK.model_dump(mode="json")}
    store.write_sweep(name, {"name": name, "trials": trials, "objectives": {}, "config": config})
    for key, path in ends.items():
        if path is not None:
            state = {"path": path, "epoch": 4, "decided": [], "turns": [], "failure": None}
            store.write_trial(key, {"status": "finished", "reason": "", "state": state})


def age(store: Store, days: float, *parts: str) -> None:
    """Make the files whose name has one of these parts look older."""
    for entry in store.files.entries():
        if any(part in entry.name for part in parts):
            at = time.time() - days * DAY
            os.utime(Path(store.files.address, entry.name), (at, at))


def left(store: Store) -> set[str]:
    return {entry.name for entry in store.files.entries() if not entry.name.startswith("locks")}


def go(store: Store, choose: housekeeping.Choose) -> Removal:
    """Prune, and check what holds of every prune."""
    before, there = survey(store).size, left(store)
    dry = prune(store, choose, lambda _: pytest.fail("asked in a dry run"), dry_run=True)
    assert left(store) == there
    assert prune(store, choose, lambda _: False).entries == dry.entries
    assert left(store) == there
    removal = prune(store, choose, lambda _: True)
    assert removal == dry
    assert there - left(store) == {entry.name for entry in removal.entries}
    found = survey(store)
    assert found.size == removal.left == before - removal.size
    for path in found.paths.values():
        assert path.parent is None or path.parent in found.paths
    return removal


# Shown


def test_show_counts_tasks_and_sweeps(store: Store) -> None:
    paths = tree(store)
    fill(store, store.know(Origin(TASK, 3)), range(2))
    fill(store, store.know(Origin(TASK.model_copy(update={"epochs": 9}), 0)), range(3))
    sweep(store, "one", {"a": paths["trunk"], "b": paths["twig"]})
    sweep(store, "two", {"b": paths["twig"], "c": paths["other"], "d": None})
    sweep(store, "far", {"e": None}, seed=3)
    found = show(store)
    entries = [entry for entry in store.files.entries() if not entry.name.startswith("locks")]
    assert found["bytes"] == sum(entry.size for entry in entries)
    assert found["other_bytes"] == 0
    first, second = found["tasks"]
    assert (first["model"], first["data"], first["epochs"]) == ("small_cnn", "digits", 4)
    assert first["seeds"] == [0, 3]
    assert (first["paths"], first["records"], first["snapshots"]) == (5, 5 + 3 + 1 + 2 + 2, 8)
    assert first["snapshot_bytes"] == 8 * (1000 + 32)
    assert first["trials"] == 5
    assert (second["epochs"], second["paths"], second["trials"]) == (9, 1, 0)
    assert sum(row["bytes"] for row in found["tasks"]) < found["bytes"]
    sizes = {row["name"]: row["only_bytes"] for row in found["sweeps"]}
    ended = {row["name"]: (row["trials"], row["ended"]) for row in found["sweeps"]}
    assert ended == {"one": (2, 2), "two": (3, 2), "far": (1, 0)}
    for name, size in sizes.items():
        assert prune(store, of_sweep(name), lambda _: False).size == size


def test_nothing_is_no_error(store: Store) -> None:
    assert show(store)["tasks"] == []
    assert go(store, older_than("0h")).entries == ()
    assert go(store, down_to("0B")).entries == ()


# By age


def test_by_age_a_path_stays_as_long_as_its_forks(local: Store) -> None:
    paths = tree(local)
    sweep(local, "one", {"a": paths["twig"]})
    age(local, 40, paths["trunk"], paths["fork"], paths["other"])
    removal = go(local, older_than("30d"))
    assert {e.name.split("/")[1] for e in removal.entries} == {paths["other"]}
    assert not Path(local.files.address, "paths", paths["other"]).exists()
    age(local, 40, paths["twig"])
    assert go(local, older_than("6w")).entries == ()
    go(local, older_than("4w"))
    assert left(local) == {"sweeps/one", "trials/a"}


def test_by_age_one_new_file_is_enough(local: Store) -> None:
    paths = tree(local)
    age(local, 40, *paths.values())
    age(local, 0, f"{paths['twig']}/record-0004")
    removal = go(local, older_than("30d"))
    assert {e.name.split("/")[1] for e in removal.entries} == {paths["other"]}


def test_by_age_anywhere(store: Store) -> None:
    tree(store)
    assert go(store, older_than("1h")).entries == ()
    go(store, older_than("1h", now=time.time() + 2 * 3600))
    assert left(store) == set()


# By sweep


def test_by_sweep_what_others_stand_on_stays(store: Store) -> None:
    paths = tree(store)
    sweep(store, "one", {"a": paths["trunk"], "b": paths["twig"], "c": paths["other"]})
    sweep(store, "two", {"b": paths["twig"]})
    go(store, of_sweep("one"))
    assert {name.split("/")[1] for name in left(store) if name.startswith("paths")} == {
        paths["trunk"],
        paths["fork"],
        paths["twig"],
    }
    assert {"sweeps/two", "trials/b"} <= left(store)
    assert not {"sweeps/one", "trials/a", "trials/c"} & left(store)
    go(store, of_sweep("two"))
    assert left(store) == set()


def test_by_sweep_the_unfinished_keep_the_trunk_and_what_nobody_has_ended_on(store: Store) -> None:
    paths = tree(store)
    sweep(store, "one", {"a": paths["other"]})
    sweep(store, "two", {"b": None})
    go(store, of_sweep("one"))
    assert {name.split("/")[1] for name in left(store) if name.startswith("paths")} == {
        paths["trunk"],
        paths["fork"],
        paths["twig"],
    }
    sweep(store, "three", {"c": None}, seed=1)
    fill(store, store.know(Origin(TASK, 1)), range(2))
    go(store, of_sweep("two"))
    assert survey(store).paths.keys() == {Origin(TASK, 1).address}


def test_by_sweep_trials_that_shared_nothing_have_trunks_of_their_own(store: Store) -> None:
    paths = tree(store)
    alone = fill(store, store.know(Origin(TASK, 0, "a")), range(5))
    sweep(store, "one-independent", {"a": alone})
    assert {e.name.split("/")[1] for e in go(store, of_sweep("one-independent")).entries} == {
        alone,
        "a",
        "one-independent",
    }
    assert survey(store).paths.keys() == set(paths.values())


def test_by_sweep_one_that_is_not_there(store: Store) -> None:
    sweep(store, "mine", {})
    with pytest.raises(InputError, match=r"--sweep: 'yours' is not in this storage \(there: mine"):
        prune(store, of_sweep("yours"), lambda _: True)


# By size


def test_to_size_in_order_of_worth(local: Store) -> None:
    paths = tree(local)
    sweep(local, "one", {"a": paths["twig"]})
    age(local, 3, f"{paths['trunk']}/snapshot-0002")
    age(local, 2, f"{paths['other']}/snapshot-0003")
    age(local, 9, f"{paths['twig']}/snapshot-0004")
    age(local, 1, f"{paths['trunk']}/snapshot-0001")
    whole = survey(local).size

    def dry(size: float) -> list[str]:
        removal = prune(local, down_to(f"{size}B"), lambda _: True, dry_run=True)
        assert removal.left <= size
        return [entry.name for entry in removal.entries]

    assert dry(whole) == []
    assert dry(whole - 1) == [f"paths/{paths['trunk']}/snapshot-0002"]
    order = dry(0.0 + sum(e.size for e in local.files.entries("trials")) + 5000)
    first = [name.removeprefix("paths/") for name in order[:4]]
    assert first == [
        f"{paths['trunk']}/snapshot-0002",
        f"{paths['other']}/snapshot-0003",
        f"{paths['trunk']}/snapshot-0001",
        f"{paths['trunk']}/snapshot-0000",
    ]
    assert order[4] == f"paths/{paths['twig']}/snapshot-0004"
    go(local, down_to("0B"))
    assert left(local) == {"sweeps/one", "trials/a"}


def test_to_size_whole_paths_from_the_leaves(local: Store) -> None:
    paths = tree(local)
    for days, name in ((30, "trunk"), (20, "other"), (10, "fork"), (5, "twig")):
        age(local, days, paths[name])
    names = [entry.name for entry in go(local, down_to("0B")).entries]
    places = [names.index(f"paths/{paths[n]}/path") for n in ("other", "twig", "fork", "trunk")]
    assert places == sorted(places)


def test_snapshots_only(store: Store) -> None:
    paths = tree(store)
    sweep(store, "one", {"a": paths["other"], "b": paths["trunk"]})
    sweep(store, "two", {"b": paths["trunk"]})
    go(store, only_snapshots(of_sweep("one")))
    assert survey(store).paths[paths["other"]].snapshots == {}
    assert "sweeps/one" in left(store)
    removal = go(store, only_snapshots(down_to("0B")))
    assert removal.by_kind()["records"] == (0, 0)
    assert removal.left > 0
    assert not any("snapshot" in name for name in left(store))
    assert sum("record" in name for name in left(store)) == 11


# What is damaged, foreign or in use


def test_damaged_and_foreign_files_are_no_harm(store: Store) -> None:
    paths = tree(store)
    sweep(store, "one", {"a": paths["twig"], "b": paths["trunk"]})
    foreign = {
        "paths/note.txt": b"note",
        f"paths/{paths['trunk']}/note.txt": b"note",
        "paths/strange/record-0001": b"x",
        "paths/looping/path": b"",
        "sweeps/strange": b"x",
        "sweeps/list": b"",
        "trials/strange": b"x",
        "trials/deep/strange": b"x",
        "mlflow.db": b"x" * 77,
    }
    for name, content in foreign.items():
        store.files.write_plain(name, content)
    store.files.write("paths/looping/path", b'{"parent": "looping", "epoch": 1, "units": []}')
    store.files.write("paths/listed/path", b'{"parent": ["x"], "epoch": 1, "units": []}')
    store.files.write("sweeps/list", b"[1]")
    trunk = json.dumps({**Origin(TASK, 0).to_json(), "seed": "x"}).encode()
    store.files.write("paths/unseeded/path", trunk)
    store.files.write("trials/listed", b'{"state": {"path": ["x"]}}')
    store.files.write_plain(f"paths/{paths['fork']}/path", b"damaged")
    fresh = Store(store.files)
    found = show(fresh)
    assert found["unreadable"] == 2
    assert found["other_bytes"] == 77 + 4 + 4 + 1
    assert {row["model"] for row in found["tasks"]} == {"small_cnn", "unreadable"}
    prune(fresh, of_sweep("one"), lambda _: True)
    prune(fresh, older_than("1h", now=time.time() + 7200), lambda _: True)
    prune(fresh, down_to("0B"), lambda _: True)
    stay = left(store)
    assert {"mlflow.db", "paths/note.txt", f"paths/{paths['trunk']}/note.txt"} <= stay
    assert not any(name.endswith(("/path", "record-0001")) for name in stay)


def test_not_while_a_driver_works(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.storage.lock.BEAT_SECONDS", 0.1)
    tree(local)
    there = left(local)
    with (
        Lock(local.files, "sweep-x", "sweep 'x'"),
        pytest.raises(InputError, match=f"in use by sweep 'x', process {os.getpid()} on"),
    ):
        prune(local, down_to("0B"), lambda _: True)
    assert left(local) == there
    prune(local, down_to("0B"), lambda _: True)


@pytest.mark.parametrize("content", [b"foreign", b'{"pid": 1}', b"[1]"])
def test_what_is_no_lock_holds_nobody_up(local: Store, content: bytes) -> None:
    local.files.write_plain("locks/note", content)
    prune(local, down_to("0B"), lambda _: True)
    assert local.files.read_plain("locks/note") == content


def test_the_lock_of_a_driver_that_died_elsewhere(
    local: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.storage.lock.STALE_SECONDS", 0.5)
    monkeypatch.setattr("sweeps.storage.busy.POLL_SECONDS", 0.1)
    tree(local)
    name = f"locks/task-{TASK.address()}"
    local.files.write_plain(name, b'{"owner": "x", "host": "far", "pid": 1, "token": "t"}')
    assert prune(local, down_to("0B"), lambda _: True).entries
    assert not local.files.exists(name)


def test_no_driver_starts_while_it_asks(local: Store) -> None:
    tree(local)
    started = threading.Event()

    def driver() -> None:
        with Lock(local.files, f"task-{TASK.address()}", "driver"):
            started.set()

    def agreed(_: Removal) -> bool:
        thread.start()
        assert not started.wait(0.5)
        return True

    thread = threading.Thread(target=driver)
    prune(local, down_to("0B"), agreed)
    assert left(local) == set()
    thread.join(10)
    assert started.is_set()


# What is asked for


@pytest.mark.parametrize("text", ["30", "d", "-3d", "3 m", "", "1e3d", "3dd"])
def test_a_time_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match=r"--older-than: .* is not allowed: give a number and h"):
        older_than(text)


@pytest.mark.parametrize("text", ["10", "GB", "-1GB", "10 PB", "", "1,5GB"])
def test_a_size_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match=r"--to-size: .* is not allowed: give a number and B"):
        down_to(text)


@pytest.mark.parametrize(
    ("make", "text"), [(older_than, "1.5 D"), (older_than, "12h"), (down_to, "1.5gib")]
)
def test_units(make: Callable[[str], Any], text: str) -> None:
    make(text)


# And then


def test_pruned_and_run_again(local: Store) -> None:
    one = Sweep.parse(changed(seeds=[0], name="one"))
    two = Sweep.parse(changed(seeds=[0], name="two", policies=["dense"]))
    for each in (one, two):
        announce(each, local)
        train(each, local)
    results = {e.name: local.files.read(e.name) for e in local.files.entries("trials")}

    def missing(each: Sweep) -> dict[str, int]:
        figures: dict[str, int] = plan(each, each.trials(), Store(local.files))["epochs_left"]
        return figures

    assert missing(one) == missing(two) == {"min": 0, "max": 0}
    prune(local, only_snapshots(down_to("0B")), lambda _: True)
    assert missing(one) == {"min": 0, "max": 0}
    prune(local, of_sweep("one"), lambda _: True)
    assert missing(one)["min"] > 0
    assert missing(two) == {"min": 0, "max": 0}
    prune(local, older_than("0h", now=time.time() + 1), lambda _: True)
    assert missing(two) == {"min": 4, "max": 4}
    assert local.read_sweep("two")
    kept = {e.name: local.files.read(e.name) for e in local.files.entries("trials")}
    assert kept.items() <= results.items()
    assert len(kept) == 1
    assert train(two, Store(local.files)) == 4
