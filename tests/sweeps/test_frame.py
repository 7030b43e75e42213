"""Results as a data frame: types, Parquet and CSV and back, files written whole."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import earlyprune
from earlyprune.commands import app
from pruning import InputError
from sweeps.results.frame import frame, to_parquet
from sweeps.results.output import write
from sweeps.results.rows import COLUMNS, METRICS, Row, row, to_csv
from sweeps.storage.store import Store


def rows() -> list[Row]:
    """Dense, two cuts, a trial that failed and one that has not ended; settings of every type."""
    figures: dict[str, Any] = {name: 0.25 for name in METRICS}
    figures |= {"params": 2**40, "macs": 7, "prune_epochs": [2, 5]}
    saliency = {"name": "magnitude", "normalize": "none"}
    full = {"policy": "at_epoch", "ratio": 0.5, "epoch": 2, "saliency": saliency}
    text = {"policy": "gradual", "ratio": 1, "saliency": "taylor", "quick": True, "floor": "low"}
    done = {"status": "finished", "summary": figures}
    return [
        row("d", {"policy": "dense"}, 3, {**done, "summary": figures | {"prune_epochs": []}}),
        row("a", {**full, "task.epochs": 6}, 0, done),
        row("g", {**text, "floor": 0.1}, 1, done),
        row("f", text, 0, {"status": "failed", "reason": 'ValueError: "no", it said'}),
        row("u", full, 1, {"status": "unfinished"}),
    ]


def test_types_and_order() -> None:
    found = frame(rows())
    settings = ["ratio", "epoch", "saliency", "task.epochs", "quick", "floor"]
    assert sorted(found.columns[len(COLUMNS) :]) == sorted(f"setting.{name}" for name in settings)
    assert list(found.columns[: len(COLUMNS)]) == COLUMNS
    assert list(found["trial"]) == ["d", "a", "g", "f", "u"]
    assert list(found["prune_epochs"]) == [[], [2, 5], [2, 5], None, None]
    types = {str(found[name].dtype): name for name in reversed(found.columns)}
    assert set(types) == {"string", "int64", "Int64", "float64", "object", "bool", "boolean"}
    for name in set(METRICS) - {"params", "macs"}:
        assert found[name].dtype == "float64"
        assert list(found[name].isna()) == [False] * 3 + [True] * 2
    assert found["params"].dtype == "Int64"
    assert found["params"][1] == 2**40
    assert found["seed"].dtype == "int64"
    assert found["pareto"].dtype == "bool"
    assert found["reason"][3] == 'ValueError: "no", it said'
    assert found["setting.ratio"].dtype == "float64"
    assert list(found["setting.ratio"])[1:] == [0.5, 1.0, 1.0, 0.5]
    assert list(found["setting.epoch"].dropna()) == [2, 2]
    assert list(found["setting.saliency"])[1:3] == ["magnitude(normalize=none)", "taylor"]
    assert found["setting.quick"].dtype == "boolean"
    assert list(found["setting.floor"].dropna()) == ["0.1", "low"]


def test_parquet_and_back() -> None:
    found = frame(rows())
    again = pd.read_parquet(io.BytesIO(to_parquet(rows())))
    lists = [None if one is None else list(one) for one in again["prune_epochs"]]
    assert lists == list(found["prune_epochs"])
    pd.testing.assert_frame_equal(
        again.drop(columns="prune_epochs"), found.drop(columns="prune_epochs")
    )


def test_csv_says_the_same() -> None:
    found = frame(rows())
    read = pd.read_csv(io.StringIO(to_csv(rows())), keep_default_na=False, na_values={"params": ""})
    assert [json.loads(text) for text in read["prune_epochs"]] == list(found["prune_epochs"])
    for name in ("trial", "policy", "settings", "status", "reason", "seed", "pareto"):
        assert list(read[name]) == list(found[name])
    for name in METRICS:
        csv = pd.to_numeric(read[name]).astype("float64")
        assert csv.equals(found[name].astype("float64"))


@pytest.mark.parametrize("count", [0, 1])
def test_a_frame_of_nothing_has_every_column(count: int) -> None:
    some = rows()[4 : 4 + count]
    found, again = frame(some), pd.read_parquet(io.BytesIO(to_parquet(some)))
    assert list(found.columns)[: len(COLUMNS)] == COLUMNS
    assert len(found) == len(again) == count
    assert found.dtypes.equals(again.dtypes)
    assert found.dtypes[COLUMNS].equals(frame(rows()).dtypes[COLUMNS])


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "found.csv"
    write(place, b"old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(InputError, match=r"found.csv: cannot be written \(full\)"):
        write(place, b"new")
    assert place.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["found.csv"]
    with pytest.raises(InputError, match="No such file"):
        write(tmp_path / "nowhere" / "found.csv", b"new")


def stored(folder: Path) -> list[str]:
    """Arguments that name a sweep of two trials, of which one has not ended."""
    store = Store(folder)
    trials = [
        {"id": f"dense-s{seed}", "key": f"k{seed}", "setting": {"policy": "dense"}, "seed": seed}
        for seed in (1, 0)
    ]
    content = {"name": "mine", "objectives": {"val_accuracy": "max"}, "trials": trials}
    store.write_sweep("mine", content)
    summary = {"val_accuracy": 0.5, "prune_epochs": []}
    store.write_trial("k1", {"status": "finished", "reason": "", "summary": summary})
    return ["mine", "--storage", str(folder)]


def test_load_reads_a_sweep_that_is_running(tmp_path: Path) -> None:
    stored(tmp_path)
    found = earlyprune.load("mine", str(tmp_path))
    assert list(found["trial"]) == ["dense-s1", "dense-s0"]
    assert list(found["status"]) == ["finished", "unfinished"]
    assert found["val_accuracy"][0] == 0.5
    with pytest.raises(InputError, match=r"'other' is not in .* \(there: mine\)"):
        earlyprune.load("other", str(tmp_path))


@pytest.mark.parametrize("form", ["table", "csv", "json", "parquet"])
def test_results_in_a_file(form: str, tmp_path: Path) -> None:
    place = tmp_path / "found"
    asked = ["results", *stored(tmp_path / "runs"), "--format", form]
    done = CliRunner().invoke(app, [*asked, "--output", str(place)])
    assert (done.exit_code, done.output) == (0, "")
    if form == "parquet":
        assert list(pd.read_parquet(place)["trial"]) == ["dense-s1", "dense-s0"]
        bare = CliRunner().invoke(app, asked)
        assert isinstance(bare.exception, InputError)
        assert "--output" in str(bare.exception)
    else:
        text = place.read_text()
        assert text.index("dense-s1") < text.index("dense-s0")
        if form != "table":
            shown = CliRunner().invoke(app, asked)
            assert shown.output == text + "\n"
