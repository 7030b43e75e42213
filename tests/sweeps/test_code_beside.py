"""A model and words as labels beside the sweep file, through Ray, report and export."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from rich.console import Console

from dashboards import report
from pruning.errors import InputError
from pruning.export import read_card, write
from pruning.names import imported_from
from sweeps.file.sweep import read
from sweeps.results.networks import trained
from sweeps.running import preflight
from sweeps.running.run import run
from sweeps.storage.store import Store

MODEL = """
import torch

from helper_beside import hidden


def net(shape, classes):
    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(6, hidden), torch.nn.ReLU(),
        torch.nn.Linear(hidden, classes),
    )
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, ray_here: Path) -> SimpleNamespace:
    """A sweep whose folder is neither where it is started nor on anybody's path."""
    folder = tmp_path_factory.mktemp("beside")
    (folder / "model_beside.py").write_text(MODEL)
    (folder / "helper_beside.py").write_text("hidden = 8\n")
    labels = np.array(["cat", "dog", "emu"])[np.arange(90) % 3]
    samples = np.random.default_rng(0).normal(size=(90, 6)) + (np.arange(90) % 3)[:, None]
    np.savez(folder / "words.npz", x=samples, y=labels)
    task = {
        "model": "model_beside:net",
        "data": f"npz:{folder / 'words.npz'}",
        "epochs": 2,
        "batch_size": 16,
    }
    cut = {"policy": "at_epoch", "epoch": 1, "ratio": 0.5}
    content = {"name": "beside", "task": task, "policies": ["dense", cut]}
    (folder / "sweep.yaml").write_text(yaml.safe_dump({**content, "resources": {"workers": 2}}))
    assert str(folder) not in [*sys.path, os.getcwd(), str(ray_here)]
    sweep = read(folder / "sweep.yaml")
    store = Store(folder / "runs")
    with pytest.warns(UserWarning, match="the words of the training part are classes 0 to 2"):
        trials = preflight.check(sweep)
    uri = f"sqlite:///{folder}/mlflow.db"
    outcome = run(sweep, trials, store, uri, Console(quiet=True))
    return SimpleNamespace(folder=folder, store=store, rows=outcome.rows)


def test_code_beside_the_sweep_file_is_found_by_all_that_train(swept: SimpleNamespace) -> None:
    """The driver, Ray's workers, and the processes that these start."""
    assert str(swept.folder) in imported_from()
    assert [(row["status"], row["reason"]) for row in swept.rows] == [("finished", "")] * 2


def test_the_report_says_what_the_outputs_stand_for(swept: SimpleNamespace) -> None:
    page = report.write(swept.store, "beside", swept.folder / "report.html")
    assert "The classes: 0 cat, 1 dog, 2 emu." in page.read_text()


def test_so_does_an_exported_network(swept: SimpleNamespace) -> None:
    found = trained(swept.store, "beside", swept.rows[1]["trial"])
    file = swept.folder / "network.safetensors"
    write(found.training, file, "safetensors", found.about("beside"))
    assert read_card(file)["class_names"] == ["cat", "dog", "emu"]


def test_a_network_trained_on_what_is_read_otherwise_now(
    swept: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its samples would be prepared in another way than those it was trained on."""
    monkeypatch.setattr("pruning.reading.spec.READING", 3)
    with pytest.raises(InputError, match="as an earlier version read it; run the sweep again"):
        trained(Store(swept.folder / "runs"), "beside", swept.rows[0]["trial"])
