"""Looking at a sweep imports nothing that trains, searches or tracks one."""

from __future__ import annotations

import json
from pathlib import Path

import made_sweep
import pytest
import yaml
from loading import HEAVY, ROOT, loaded

QUICKSTART = ROOT / "sweeps/configs/quickstart.yaml"
EVERY_POLICY = ROOT / "sweeps/configs/every-policy.yaml"
LOOKS = {
    "results made": "at_epoch",
    "results made --format csv": "at_epoch",
    "results made --format json": "at_epoch",
    "oracle made": "epi",
    "store show": "records",
    "policies": "early_bird",
    f"plan {QUICKSTART}": "trials",
    f"plan {EVERY_POLICY}": "trials",
    f"plan {EVERY_POLICY} --json": "epochs_alone",
}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("storage")
    made_sweep.make(folder)
    return folder


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_loads_nothing_heavy(look: str, storage: Path) -> None:
    where = [] if look == "policies" else ["--storage", str(storage)]
    found, done = loaded("-m", "earlyprune", *look.split(), *where)
    assert done.returncode == 0, done.stderr
    assert LOOKS[look] in done.stdout
    assert not HEAVY & found


def test_a_plan_goes_by_what_is_stored_without_torch(storage: Path, tmp_path: Path) -> None:
    """Its records are read for it, each a file of tensors."""
    task = {"model": "small_cnn", "data": "digits", "epochs": 6}
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump({"name": "made", "task": task, "policies": ["dense"]}))
    found, done = loaded(
        *("-m", "earlyprune", "plan", str(file), "--json", "--storage", str(storage))
    )
    assert json.loads(done.stdout)["trials"] == 1
    assert "safetensors" in found
    assert not HEAVY & found


def test_a_report_loads_only_what_draws(storage: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    found, done = loaded(
        *("-m", "earlyprune", "report", "made"),
        *("--storage", str(storage), "--output", str(file)),
    )
    assert done.returncode == 0, done.stderr
    assert file.exists()
    assert HEAVY & found == {"plotly"}
