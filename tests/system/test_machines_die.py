"""A sweep on three machines while all it stands on dies: `python -m benchmarks.chaos`, in small."""

from __future__ import annotations

import pytest

from benchmarks.chaos import faults
from benchmarks.chaos.__main__ import main

pytestmark = pytest.mark.timeout(1200)

MACHINES = 3


def test_the_table_stays_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "MINUTE", 20.0)
    small = ["--rounds", "0.1", "--seeds", "1", "--epochs", "9", "--pause", "0.2"]
    found = main(small)
    assert found["failed"] == []
    assert found["identical"]
    assert found["faults"] >= 8
    assert found["runs_lost"] == found["runs_doubled"] == 0
    assert found["epochs_distinct"] == found["epochs_distinct_undisturbed"]
    assert 0 <= found["epochs_retrained"] <= found["faults"] * MACHINES
