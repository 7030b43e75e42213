"""The benchmark of searches on a small table: what must hold whatever the figures are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import in_process
import numpy as np
import pytest

from benchmarks.fidelity import study, tasks
from benchmarks.search import __main__ as command
from benchmarks.search import sweep as spaces
from benchmarks.search.even import evened
from benchmarks.search.simulation import Course
from benchmarks.search.table import Table
from pruning.history import Record
from sweeps.file.spaces import Space
from sweeps.storage.store import Store, Stored

TASK: dict[str, Any] = {
    "model": {"name": "small_cnn", "options": {"widths": [8, 8], "pool_after": [0]}},
    "data": {"source": "digits", "train_limit": 128},
    "epochs": 4,
}
PLAIN = {"name": "magnitude", "normalize": "none"}
POLICIES: list[Any] = [
    "dense",
    {
        "policy": "at_epoch",
        "epoch": {"int": [0, 2]},
        "ratio": {"uniform": [0.25, 0.5], "step": 0.25},
        "saliency": PLAIN,
    },
    {
        "policy": "epi",
        "threshold": {"choice": [0.5, 0.95]},
        "ratio": 0.5,
        "saliency": PLAIN,
        "window": 1,
        "latest": 0.5,
    },
]
SEEDS = range(2)


@pytest.fixture(scope="module")
def small() -> Iterator[pytest.MonkeyPatch]:
    """The small sweep in place of the benchmark's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spaces, "POLICIES", POLICIES)
        for field, value in TASK.items():
            patch.setitem(tasks.DIGITS, field, value)
        yield patch


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory, small: pytest.MonkeyPatch) -> Path:
    """Where all of it is stored."""
    folder = tmp_path_factory.mktemp("table")
    in_process.train(spaces.sweep(SEEDS), Store(folder))
    return folder


@pytest.fixture(scope="module")
def table(storage: Path) -> Table:
    return Table.read(spaces.sweep(SEEDS), Store(storage))


def ran(table: Table, **search: Any) -> Course:
    asked = {"sampler": "random", "trials": 60, "parallel": 1, "seeds": "all"}
    return command.simulated(table, SEEDS, {**asked, **search})


@pytest.mark.parametrize("parallel", [1, 3])
def test_trying_everything_finds_and_costs_everything(table: Table, parallel: int) -> None:
    course = ran(table, parallel=parallel)

    assert course.found.keys() == table.means.keys()
    assert table.shares(list(course.found))[-1] == pytest.approx(1.0)
    assert course.spent == pytest.approx(table.total)
    assert course.trainings == len(table.ways)
    assert course.begun == sorted(course.begun)


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2", "gp"])
def test_every_search_pays_no_more_than_all_there_is(table: Table, sampler: str) -> None:
    course = ran(table, sampler=sampler, trials=12, seeds="front")

    assert len(course.begun) == 12
    assert 0 < course.spent <= table.total * (1 + 1e-9)
    assert not course.paused
    shares = table.shares(list(course.found))
    assert all(shares[1:] >= shares[:-1])
    assert shares[-1] <= 1 + 1e-9


def test_stopping_early_never_costs_more(table: Table) -> None:
    """Random draws are the same either way; repeats of what is paused do not hold it up."""
    some_paused = False
    for seed in range(3):
        plain = ran(table, seed=seed, trials=20)
        stopped = ran(table, seed=seed, trials=20, early_stopping={"keep": 0.2})

        assert len(stopped.begun) == len(plain.begun)
        assert stopped.settings == plain.settings
        assert stopped.spent <= plain.spent * (1 + 1e-9)
        assert stopped.found.keys() == plain.found.keys() - stopped.paused
        some_paused |= bool(stopped.paused)
    assert some_paused


def test_the_command(
    storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(study, "train", lambda *_: None)
    monkeypatch.setattr(command, "SAMPLERS", ("random", "tpe"))
    json_file, picture = tmp_path / "found.json", tmp_path / "found.png"
    asked = "--seeds 2 --trials 11 --repetitions 2".split()
    asked += ["--storage", str(storage), "--json", str(json_file), "--picture", str(picture)]

    assert command.main(asked) == 0

    found = json.loads(json_file.read_text())
    assert found["table"]["settings"] == 9
    assert list(found["searches"]["random"]["share_at"]) == ["10", "11"]
    assert found["searches"]["random"]["of_random"] > 0
    assert found["early_stopping"].keys() == {"random", "tpe"}
    assert str(tmp_path) not in json_file.read_text()
    assert picture.stat().st_size > 10_000
    assert "trials" in capsys.readouterr().out


def test_only_what_ends_can_be_walked() -> None:
    assert spaces.values(Space.parse({"int": [2, 8], "step": 3}, "x")) == [2, 5, 8]
    assert spaces.values(Space.parse({"uniform": [0.25, 0.5], "step": 0.125}, "x")) == [
        0.25,
        0.375,
        0.5,
    ]
    with pytest.raises(ValueError, match="only options and steps"):
        spaces.values(Space.parse({"uniform": [0, 1]}, "x"))


def test_seconds_are_evened_by_size() -> None:
    """A slow hour counts for all networks of the size alike; the sum stays."""

    def stored(epoch: int, macs: int, seconds: dict[str, float]) -> Stored:
        record = Record(epoch, np.zeros(0, dtype=np.bool_), {}, seconds=seconds)
        return Stored(replace(record, costs={"macs": macs}))

    found = evened(
        {
            ("a", 0): stored(0, 100, {"startup": 5.0}),
            ("a", 1): stored(1, 100, {"train": 3.0, "other": 0.5}),
            ("a", 2): stored(2, 100, {"train": 1.0, "other": 0.1}),
            ("b", 1): stored(1, 50, {"train": 0.5, "other": 1.0}),
            ("b", 2): stored(2, 50, {"train": 1.5, "other": 0.3}),
        }
    )

    seconds = {place: dict(one.record.seconds) for place, one in found.items()}
    assert seconds["a", 0] == {"startup": 5.0}
    assert seconds["a", 1] == seconds["a", 2] == pytest.approx({"train": 2.0, "other": 0.3})
    assert seconds["b", 1] == pytest.approx({"train": 1.0, "other": 1.0})
    assert seconds["b", 2] == pytest.approx({"train": 1.0, "other": 0.3})
