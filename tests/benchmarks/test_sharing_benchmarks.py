"""The benchmarks of shared training, small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.sharing import __main__ as sharing
from benchmarks.sharing import replay, scale
from sweeps.file.sweep import Sweep


def test_scale_trains_every_distinct_epoch_once_though_gpus_fail(tmp_path: Path) -> None:
    small = "--trials 120 --epochs 40 --gpus 12 --seeds 2 --fails 0.02 --json".split()
    assert scale.main([*small, str(tmp_path / "scale.json")]) == 0
    found = json.loads((tmp_path / "scale.json").read_text())
    assert found["failures"] > 10
    assert found["epochs_trained"] == found["epochs_distinct"] < found["epochs_alone"]
    assert 1 <= found["makespan_over_bound"] < 1.5


def test_replay_decides_after_every_epoch(tmp_path: Path) -> None:
    asked = ["--epochs", "3", "--thresholds", "2", "--json", str(tmp_path / "replay.json")]
    assert replay.main(asked) == 0
    found = json.loads((tmp_path / "replay.json").read_text())
    assert found["units"] == 11456
    assert found["ms_per_rider_epoch_of_6"] > 0


@pytest.mark.parametrize(("full", "trials"), [(False, 53), (True, 169)])
def test_the_study_that_is_compared(full: bool, trials: int) -> None:
    assert len(Sweep.parse(sharing.study(full)).trials()) == trials


def test_what_counts_as_identical() -> None:
    row = dict.fromkeys(sharing.FINALS, 1) | {"train_seconds": 1.0}
    assert sharing.agree([{"a": row}, {"a": row | {"train_seconds": 2.0}}])
    assert not sharing.agree([{"a": row}, {"a": row | {"val_accuracy": 1.0000001}}])
    assert not sharing.agree([{"a": row}, {"b": row}])
