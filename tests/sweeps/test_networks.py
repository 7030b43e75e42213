"""The network of a trial, from what a sweep has stored."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import here
import pytest
import torch
from rich.console import Console
from sweep_files import changed

from pruning.errors import InputError
from pruning.export import load_network, read_card, write
from sweeps.file.sweep import Sweep
from sweeps.results.networks import trained
from sweeps.running import preflight
from sweeps.running.run import Outcome, run
from sweeps.storage.store import Store


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Outcome]:
    """SMALL, and a policy that cuts twice."""
    folder = tmp_path_factory.mktemp("swept")
    twice = {"policy": "gradual", "ratio": 0.6, "begin": 0.0, "end": 0.75, "steps": 3}
    policies: list[Any] = [*changed()["policies"], twice]
    sweep = Sweep.parse(changed(seeds=[0], policies=policies))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeps.running.run._train", here.train)
        store = Store(folder)
        uri = f"sqlite:///{folder}/mlflow.db"
        return store, run(sweep, preflight.check(sweep), store, uri, Console(quiet=True))


def test_every_trial_has_the_network_its_row_speaks_of(
    swept: tuple[Store, Outcome], tmp_path: Path
) -> None:
    store, outcome = swept
    name = "small"
    for row in outcome.rows:
        found = trained(store, name, row["trial"])
        assert found.again == 0
        assert found.row["val_accuracy"] == row["val_accuracy"]
        path = tmp_path / "network.safetensors"
        write(found.training, path, "safetensors", found.about(name), bare=True)
        card, model = read_card(path), load_network(path)
        assert (card["trial"], card["setting"]) == (row["trial"], row["setting"])
        assert sum(p.numel() for p in model.parameters()) == row["params"]
        right = count = 0
        with torch.no_grad():
            for x, y in found.training.data.test.in_order(100):
                right, count = right + int((model(x).argmax(1) == y).sum()), count + len(y)
        assert right / count == row["test_accuracy"] == card["test_accuracy"]


def test_what_went_is_trained_again_to_the_last_bit(
    swept: tuple[Store, Outcome], tmp_path: Path
) -> None:
    whole_store, outcome = swept
    store = Store(shutil.copytree(whole_store.files.address, tmp_path / "copy"))
    cut = max(outcome.rows, key=lambda row: len(row["prune_epochs"]))
    assert len(cut["prune_epochs"]) > 1
    before = trained(store, "small", cut["trial"])
    whole = before.training.model.state_dict()
    for entry in store.files.entries("paths"):
        if "/snapshot-" in entry.name and not entry.name.endswith("snapshot-0000"):
            store.files.delete(entry.name)
    after = trained(store, "small", cut["trial"])
    assert after.again == 4
    again = after.training.model.state_dict()
    assert whole.keys() == again.keys()
    assert all(torch.equal(value, again[key]) for key, value in whole.items())


def test_trials_without_a_network_say_why(swept: tuple[Store, Outcome], tmp_path: Path) -> None:
    store, outcome = swept
    name = outcome.rows[0]["trial"]
    with pytest.raises(InputError, match=rf"unknown trial '{name}x'; did you mean '{name}'"):
        trained(store, "small", f"{name}x")
    with pytest.raises(InputError, match="sweep: 'other' is not in"):
        trained(store, "other", name)
    other = Store(tmp_path)
    other.write_sweep("small", store.read_sweep("small"))
    with pytest.raises(InputError, match=f"trial: '{name}' has no network: it is unfinished"):
        trained(other, "small", name)
    key = store.read_sweep("small")["trials"][0]["key"]
    other.write_trial(key, {"status": "failed", "reason": "RuntimeError: no"})
    with pytest.raises(InputError, match=r"it is failed \(RuntimeError: no\)"):
        trained(other, "small", name)
    known = store.trial(key)
    assert known is not None
    other.write_trial(key, known)
    with pytest.raises(InputError, match="is not stored any more; run the sweep again"):
        trained(other, "small", name)
