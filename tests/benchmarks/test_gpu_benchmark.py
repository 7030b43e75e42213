"""The GPU benchmark, tiny and on a CPU: it runs to its end and writes what it promises."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import packages
from benchmarks.gpu import plan as plans
from benchmarks.gpu.measure import around
from benchmarks.gpu.runs import Pace, Runs


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_gpu_benchmark_without_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that cannot be had costs its own rows only."""
    plan = replace(plans.tiny(None), networks=("no_such_network", "small_cnn"))
    monkeypatch.setattr(plans, "tiny", lambda cifar: plan)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert gpu.main(["--out", str(tmp_path), "--epochs", "4", "--no-tests"]) == 1

    summary = read(tmp_path / "summary.json")
    rows = summary["runs"]
    runs = len(plans.policies(4))
    assert not summary["gpu"]
    assert "No GPU figure exists yet" in summary["note"]
    assert [row["status"] for row in rows] == ["failed"] * runs + ["done"] * runs
    assert "no_such_network" in rows[0]["reason"]
    assert "no_such_network" in summary["calibration"]["errors"]
    for row in rows[runs + 1 :]:
        assert row["macs_after"] < row["macs_before"]
        assert min(row["train_seconds_before"], row["train_seconds_after"]) > 0
        assert row["epochs_before"] + row["epochs_after"] == 4
    lines = (tmp_path / "epochs.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4] * runs
    assert "No GPU figure exists yet" in (tmp_path / "table.txt").read_text(encoding="utf-8")
    assert str(tmp_path) not in (tmp_path / "summary.json").read_text(encoding="utf-8")


def test_as_many_epochs_as_the_time_allows() -> None:
    def fitting(seconds: float) -> int:
        cpu = torch.device("cpu")
        deadline = time.perf_counter() + seconds
        runs = Runs(replace(plans.tiny(None), most_epochs=30), 0, cpu, deadline, print, print)
        return runs.fitting([Pace(startup=1, tuning=1, epoch=3), Pace(1, 1, 1)])

    assert fitting(400) == 15  # 5 runs of both: 5 * (2 * 3 + 4 * epochs) * 1.15 < 400
    assert fitting(1) == plans.LEAST_EPOCHS
    assert fitting(10_000) == 30


def test_a_run_without_time_is_stopped() -> None:
    rows: list[dict[str, Any]] = []
    plan, late = plans.tiny(None), time.perf_counter() - 1

    row = Runs(plan, 0, torch.device("cpu"), late, print, rows.append).one(
        "small_cnn", "dense", 6, late
    )

    assert row["status"] == "failed"
    assert "time budget" in row["reason"]


def test_epochs_that_tune_kernels_do_not_count() -> None:
    keys = ("prune_seconds", "probe_seconds", "images_per_second", "peak_memory_mib")
    times = [9.0, 2.0, 2.0, 9.0, 1.0]
    lines = [dict.fromkeys(keys, 1.0) | {"train_seconds": t, "macs": int(t)} for t in times]

    found = around(lines, prune=3)

    assert (found["train_seconds_before"], found["train_seconds_after"]) == (2.0, 1.0)
    assert (found["first_epoch_seconds"], found["first_epoch_after_prune_seconds"]) == (9.0, 9.0)
    assert around(lines, prune=None)["train_seconds_after"] is None


def test_lacking_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(packages, "missing", lambda names: [n for n in names if n == "pydantic"])

    with pytest.raises(SystemExit, match=r"^error: pydantic cannot be imported; run `make wheels`"):
        packages.provide()
