"""What docs/tasks.md shows runs as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import here
import pytest
import yaml
from rich.console import Console

from sweeps.file.sweep import Sweep
from sweeps.running import preflight
from sweeps.running.run import run
from sweeps.storage.store import Store

PAGE = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
SWEEPS = {
    text.split("\n")[0].removeprefix("name: "): text for kind, text in BLOCKS if kind == "yaml"
}


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (code,) = (text for kind, text in BLOCKS if kind == "python")
    (tmp_path / "mytasks.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("mytasks", None)
    monkeypatch.setattr("sweeps.running.run._train", here.train)
    return tmp_path


@pytest.mark.parametrize("name", SWEEPS)
def test_each_sweep(name: str, own_code: Path) -> None:
    sweep = Sweep.parse(yaml.safe_load(SWEEPS[name]))
    store, uri = Store(own_code / "runs"), f"sqlite:///{own_code}/runs/mlflow.db"
    rows = run(sweep, preflight.check(sweep), store, uri, Console(quiet=True)).rows
    assert [row["status"] for row in rows] == ["finished"] * len(rows)
    assert rows[1]["sparsity"] > 0
    assert {f"{split}_{metric}" for split in ("val", "test") for metric in sweep.task.measured} <= {
        column for column, value in rows[0].items() if value is not None
    }


def test_all_are_there() -> None:
    assert list(SWEEPS) == ["diabetes", "traits", "pixels", "own-loss"]
