"""``earlyprune store``, as it is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from in_process import announce, train
from sweep_files import changed
from typer.testing import CliRunner, Result

from earlyprune.commands import app
from pruning.errors import InputError
from sweeps.file.sweep import Sweep
from sweeps.storage.store import Store
from sweeps.storage.survey import survey


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = Store(tmp_path / "runs")
    for name, seeds in (("one [1]", [0]), ("two", [1])):
        sweep = Sweep.parse(changed(name=name, seeds=seeds, task__epochs=2, policies=["dense"]))
        announce(sweep, store)
        train(sweep, store)
    return tmp_path / "runs"


def call(folder: Path, *arguments: str, answer: str | None = None) -> Result:
    command = ["store", *arguments, "--storage", str(folder)]
    result = CliRunner().invoke(app, command, input=answer)
    if isinstance(result.exception, InputError):
        raise result.exception
    return result


def test_show(folder: Path) -> None:
    (folder / "mlflow.db").write_bytes(b"x" * 2000)
    shown = call(folder, "show").output
    for text in ("small_cnn", "digits", "0 1", "one [1]", "two", "other files", "2.0 kB"):
        assert text in shown
    found = json.loads(call(folder, "show", "--json").output)
    assert found["bytes"] == survey(Store(folder)).size
    assert [row["name"] for row in found["sweeps"]] == ["one [1]", "two"]
    assert "nothing is stored" in call(folder / "none", "show").output
    assert not (folder / "none").exists()


def test_prune_asks_first(folder: Path) -> None:
    before = survey(Store(folder)).size
    dry = call(folder, "prune", "--sweep", "two", "--dry-run")
    assert dry.exit_code == 0
    assert "would be removed" in dry.output
    assert "snapshots" in dry.output
    for answer in ("n\n", "\n", ""):
        refused = call(folder, "prune", "--sweep", "two", answer=answer)
        assert refused.exit_code == 1
        assert "remove this?" in refused.output
    assert survey(Store(folder)).size == before
    agreed = call(folder, "prune", "--sweep", "two", answer="y\n")
    assert agreed.exit_code == 0
    assert "removed, " in agreed.output
    assert [sweep.name for sweep in survey(Store(folder)).sweeps] == ["one [1]"]


def test_prune_without_a_question(folder: Path) -> None:
    assert call(folder, "prune", "--to-size", "0B", "--snapshots-only", "--yes").exit_code == 0
    found = survey(Store(folder))
    assert all(path.records and not path.snapshots for path in found.paths.values())
    assert call(folder, "prune", "--older-than", "0h", "--yes").exit_code == 0
    assert survey(Store(folder)).paths == {}
    assert "nothing removed" in call(folder, "prune", "--older-than", "0h").output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give one of --older-than, --sweep and --to-size"),
        (("--sweep", "two", "--to-size", "1GB"), "give one of"),
        (("--older-than", "soon"), "--older-than: 'soon' is not allowed"),
        (("--to-size", "10"), "--to-size: '10' is not allowed"),
        (
            ("--sweep", "three"),
            r"--sweep: 'three' is not in this storage \(there: one \[1\], two\)",
        ),
    ],
)
def test_bad_values_are_refused(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        call(folder, "prune", *arguments, "--yes")
