"""The store: whole files, digests, damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pruning.errors import InputError
from pruning.history import Record
from sweeps.store import Store, folder_name, read, write


def record(epoch: int) -> Record:
    alive = np.ones(3, dtype=bool)
    return Record(epoch, alive, {"taylor": np.arange(3, dtype=np.float32)}, {"val_accuracy": 0.5})


def test_a_file_comes_back_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b", b"content")
    write(tmp_path / "a" / "b", b"other")
    assert read(tmp_path / "a" / "b") == b"other"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_damage_is_noticed_and_counts_as_missing(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "file"
    write(path, b"some content that matters")
    data = bytearray(path.read_bytes())
    if damage == "truncate":
        data = data[:-3]
    elif damage == "flip":
        data[40] ^= 1
    else:
        data = bytearray()
    path.write_bytes(bytes(data))
    with pytest.warns(UserWarning, match="damaged"):
        assert read(path) is None


def test_a_trial_resumes_only_with_all_its_records(tmp_path: Path) -> None:
    trial = Store(tmp_path).trial("abc")
    assert trial.resume_point() is None
    for epoch in range(3):
        trial.write_record(record(epoch))
    trial.write_snapshot(1, b"weights")
    found = trial.resume_point()
    assert found is not None
    data, records = found
    assert data == b"weights"
    assert [one.epoch for one in records] == [0, 1]
    (tmp_path / "trials" / "abc" / "record-0000").unlink()
    assert trial.resume_point() is None


def test_an_unknown_sweep_is_refused_with_those_there_are(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_sweep("mine", {"name": "mine"})
    with pytest.raises(InputError, match="there: mine"):
        store.read_sweep("yours")


def test_names_become_safe_and_distinct_file_names() -> None:
    names = ["digits", "a/b", "a-b", "../x", "<script>", "ä", "x" * 100]
    files = [folder_name(name) for name in names]
    assert files[0] == "digits"
    assert len(set(files)) == len(files)
    assert all("/" not in file and not file.startswith(".") for file in files)
