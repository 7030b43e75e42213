"""The store: addresses, records and their books, what is lost."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pruning.actions import Prune
from pruning.errors import InputError
from pruning.history import Record
from pruning.structure.layout import Layout
from pruning.training.task import Task
from sweeps.storage.store import Origin, Store, Stored, folder_name

TASK = Task.parse({"model": "small_cnn", "data": "digits", "epochs": 4})


def stored(epoch: int = 1, key: str = "taylor", trial: str = "a", seconds: float = 2.0) -> Stored:
    alive = np.array([True, False, True])
    probes = {key: np.array([1, np.nan, 3], dtype=np.float32)}
    record = Record(
        epoch, alive, probes, {"val_accuracy": 0.5}, {"test_accuracy": 0.25}, {"macs": 7}
    )
    record = dataclasses.replace(record, seconds={"train": seconds, f"probe:{key}": 0.5})
    return Stored(record, {trial: seconds + 0.5}, 2, frozenset({key}))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def test_addresses_depend_on_what_fixes_the_training_and_on_nothing_else() -> None:
    trunk = Origin(TASK, 0).address
    same = Task.parse(TASK.model_dump() | {"label_smoothing": 0.0})  # a default, said aloud
    other = Task.parse(TASK.model_dump() | {"batch_size": 32})
    assert Origin(same, 0).address == trunk
    different = [
        Origin(other, 0),
        Origin(TASK, 1),
        Origin(TASK, 0, alone="a trial"),
        Origin(parent=trunk, epoch=1, action=Prune((1, 2))),
        Origin(parent=trunk, epoch=2, action=Prune((1, 2))),
        Origin(parent=trunk, epoch=1, action=Prune((1, 3))),
    ]
    assert len({trunk, *(origin.address for origin in different)}) == 7


def test_a_path_is_known_to_the_next_process(store: Store) -> None:
    trunk = store.know(Origin(TASK, 3, alone="x"))
    fork = store.fork(trunk, 2, Prune((4, 5)))
    again = store.fork(fork, 3, Prune((6,)))
    other = Store(store.files.address)
    assert other.line(again) == [(trunk, 2), (fork, 3), (again, -1)]
    found = other.path(trunk)
    assert found is not None
    assert (found.task, found.seed, found.alone, found.address) == (TASK, 3, "x", trunk)
    assert other.path("0" * 16) is None
    assert other.line("0" * 16) is None


def test_a_record_comes_back_with_its_books(store: Store) -> None:
    layout = Layout(("a", "b"), (1, 2))
    written = dataclasses.replace(stored(0), layout=layout)
    store.write_record("p", written)
    found = store.record("p", 0)
    assert found is not None
    assert (found.charges, found.devices, found.measured) == ({"a": 2.5}, 2, {"taylor"})
    assert (found.trained, found.layout) == (1, layout)
    for name in ("epoch", "metrics", "test", "costs", "seconds"):
        assert getattr(found.record, name) == getattr(written.record, name)
    assert np.array_equal(found.record.alive, written.record.alive)
    assert np.array_equal(found.record.probes["taylor"], [1, np.nan, 3], equal_nan=True)
    light = Stored.from_json(found.figures().to_json())
    assert (light.charges, light.record.metrics) == (found.charges, found.record.metrics)
    assert not len(light.record.alive)


def test_an_epoch_trained_again_keeps_all_measured_and_both_costs() -> None:
    whole = stored().again(stored(key="magnitude", trial="b", seconds=9.0))
    assert whole.charges == {"a": 2.5, "b": 9.5}
    assert set(whole.record.probes) == whole.measured == {"taylor", "magnitude"}
    assert whole.record.seconds == {"train": 2.0, "probe:taylor": 0.5, "probe:magnitude": 0.5}
    assert whole.trained == 2


def test_epochs_there_are(store: Store) -> None:
    assert store.epochs("p") == (set(), set())
    for epoch in (0, 1, 12345):
        store.write_record("p", stored(epoch))
    for epoch in (0, 1):
        store.write_snapshot("p", epoch, b"weights")
    store.drop_snapshot("p", 0)
    store.drop_snapshot("p", 7)
    assert store.epochs("p") == ({0, 1, 12345}, {1})
    assert store.snapshot("p", 1) == b"weights"
    assert store.snapshot("p", 0) is None


def test_an_unknown_sweep_is_refused_with_those_there_are(store: Store) -> None:
    store.write_sweep("mine", {"name": "mine"})
    assert store.read_sweep("mine") == {"name": "mine"}
    with pytest.raises(InputError, match="there: mine"):
        store.read_sweep("yours")


def test_names_become_safe_and_distinct_file_names() -> None:
    names = ["digits", "a/b", "a-b", "../x", "<script>", "ä", "x" * 100]
    files = [folder_name(name) for name in names]
    assert files[0] == "digits"
    assert len(set(files)) == len(files)
    assert all("/" not in file and not file.startswith(".") for file in files)
