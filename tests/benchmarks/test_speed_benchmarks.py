"""The benchmarks of speed, small."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.speed import epochs


def test_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    early = replace(epochs.quickstart(), cut_after=1)
    monkeypatch.setattr(epochs, "quickstart", lambda: early)
    file = tmp_path / "epochs.json"

    assert epochs.main(["--repeats", "1", "--json", str(file)]) == 0

    found = json.loads(file.read_text(encoding="utf-8"))
    assert [row["ratio"] for row in found["rows"]] == [0.0, 0.5, 0.7]
    macs = [row["macs"] for row in found["rows"]]
    assert macs == sorted(macs, reverse=True)
    assert len(set(macs)) == 3
    assert all(len(row["seconds"]) == 1 and row["time_share_min"] > 0 for row in found["rows"])
    assert found["device"] == "CPU, 1 thread"
    assert found["left_out"]
    assert str(tmp_path) not in file.read_text(encoding="utf-8")
    assert "of dense" in capsys.readouterr().out
