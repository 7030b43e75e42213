"""A small storage made by an earlier build (68524ab, as its folder is called) is read as before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from pruning.export import write
from sweeps.file.sweep import read
from sweeps.judging.table import read_rows
from sweeps.results.networks import trained
from sweeps.results.rows import to_json
from sweeps.running import preflight
from sweeps.running.run import Mode, run
from sweeps.storage.store import Store

OLD = Path(__file__).parent / "storage_of_68524ab"
TABLE = [{**row, "wall_seconds": None} for row in json.loads((OLD / "results.json").read_text())]
"""Of what passed meanwhile nothing was kept."""

PRICED_ANEW = {"train_seconds", "probe_seconds", "decide_seconds", "gpu_hours"}
"""A policy whose source has changed decides again on what is stored, and is timed again; and when a
sweep has been run, its epochs count what epochs of their shape took."""


def untimed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: row[key] for key in row if key not in PRICED_ANEW} for row in rows]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    for part in ("paths", "sweeps", "trials"):
        shutil.copytree(OLD / part, tmp_path / part)
    return Store(tmp_path)


def test_its_table_is_the_one_it_printed(store: Store) -> None:
    assert json.loads(to_json(read_rows(store, "small"))) == TABLE


def test_its_sweep_file_stands_on_it_and_trains_nothing(store: Store) -> None:
    sweep = read(OLD / "sweep.yaml")
    uri = f"sqlite:///{store.files.address}/mlflow.db"
    mode = Mode(train=False)
    outcome = run(sweep, preflight.check(sweep), store, uri, Console(quiet=True), mode)
    assert outcome.trained == 0
    assert untimed(json.loads(to_json(outcome.rows))) == untimed(TABLE)


def test_the_networks_of_its_trials_are_rebuilt_from_it(store: Store, tmp_path: Path) -> None:
    for row in TABLE:
        found = trained(store, "small", row["trial"])
        assert found.again == 0
        write(found.training, tmp_path / "network.safetensors", "safetensors", found.about("small"))
        right = count = 0
        with torch.no_grad():
            for x, y in found.training.data.test.in_order(100):
                right, count = (
                    right + int((found.training.model(x).argmax(1) == y).sum()),
                    count + len(y),
                )
        assert right / count == row["test_accuracy"]
