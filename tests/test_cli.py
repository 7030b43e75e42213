"""The command line, as a user calls it: in processes of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

ROOT = Path(__file__).parents[1]
SWEEP: dict[str, Any] = {
    "name": "a small sweep",
    "task": {
        "model": {"name": "small_cnn", "options": {"widths": [8, 8], "pool_after": [0]}},
        "data": {"source": "digits", "train_limit": 128},
        "epochs": 3,
        "batch_size": 32,
    },
    "policies": ["dense", {"policy": "at_epoch", "epoch": {"grid": [0, 1]}, "ratio": 0.4}],
}


def earlyprune(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "150"}
    return subprocess.run(
        [sys.executable, "-m", "earlyprune", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("cli")
    (found / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    return found


@pytest.fixture(scope="module")
def ran(folder: Path) -> subprocess.CompletedProcess[str]:
    return earlyprune(folder, "run", "sweep.yaml")


def test_plan_counts_and_trains_nothing(folder: Path) -> None:
    plan = ("plan", "sweep.yaml", "--storage", "none")
    planned = earlyprune(folder, *plan, "--json", "--set", "seeds=[0, 1]")
    assert planned.returncode == 0, planned.stderr
    figures = json.loads(planned.stdout)
    assert figures["trials"] == 6
    assert figures["epochs_alone"] == 18
    assert figures["epochs_shared"] == figures["epochs_left"] == {"min": 16, "max": 16}
    told = earlyprune(folder, *plan, "--set", "task.data=imagefolder:/nowhere")
    assert "epochs shared: 8 (1.1 times fewer than 9 alone)" in told.stdout
    assert not (folder / "none").exists()


def test_plan_calibrates_where_it_is_told_to(folder: Path) -> None:
    planned = earlyprune(folder, "plan", "sweep.yaml", "--storage", "none", "--json", "--calibrate")
    assert planned.returncode == 0, planned.stderr
    figures = json.loads(planned.stdout)
    assert figures["timings"] == "calibrated"
    assert figures["expected_hours_alone"] > figures["expected_hours_shared"]["max"] > 0


def test_run_prints_the_table_the_plot_and_the_way_to_mlflow(
    folder: Path, ran: subprocess.CompletedProcess[str]
) -> None:
    assert ran.returncode == 0, ran.stderr
    assert "at_epoch" in ran.stdout
    assert "*" in ran.stdout
    assert (folder / "earlyprune-runs" / "plots").is_dir()
    (plot,) = (folder / "earlyprune-runs" / "plots").iterdir()
    assert f"plot: {plot.relative_to(folder)}" in ran.stdout
    assert "ui" in ran.stdout.splitlines()[-1]


def test_results_in_every_format(folder: Path, ran: subprocess.CompletedProcess[str]) -> None:
    table, text, data = (
        earlyprune(folder, "results", SWEEP["name"], "--format", form).stdout  # type: ignore[arg-type]
        for form in ("table", "csv", "json")
    )
    rows = json.loads(data)
    assert [row["policy"] for row in rows] == ["dense", "at_epoch", "at_epoch"]
    assert [row["trial"] for row in csv.DictReader(io.StringIO(text))] == [
        row["trial"] for row in rows
    ]
    assert all(row["settings"].split()[0] in table for row in rows[1:])
    assert rows[1]["sparsity"] > 0.2
    assert rows[0]["sparsity"] == 0


def test_a_finished_sweep_plans_nothing_more(
    folder: Path, ran: subprocess.CompletedProcess[str]
) -> None:
    figures = json.loads(earlyprune(folder, "plan", "sweep.yaml", "--json").stdout)
    assert (figures["trials_finished"], figures["epochs_stored"]) == (3, 8)
    assert figures["epochs_left"] == {"min": 0, "max": 0}
    assert figures["timings"] == "stored"
    assert figures["expected_hours_alone"] > 0


def test_policies_are_listed_with_their_papers(folder: Path) -> None:
    listed = earlyprune(folder, "policies")
    assert listed.returncode == 0
    for text in ("dense", "at_epoch", "epi", "Shen"):
        assert text in listed.stdout


def test_ui_serves_the_recorded_runs(folder: Path, ran: subprocess.CompletedProcess[str]) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "earlyprune", "ui", "--port", str(port)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get-by-name"
    name = urllib.parse.quote(str(SWEEP["name"]))
    try:
        for _ in range(120):
            try:
                with urllib.request.urlopen(f"{address}?experiment_name={name}") as answer:
                    found = json.loads(answer.read())
                break
            except urllib.error.URLError:
                time.sleep(0.5)
        assert found["experiment"]["name"] == SWEEP["name"]
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)


def test_help_names_every_command(folder: Path) -> None:
    shown = earlyprune(folder, "--help")
    for command in ("run", "plan", "inspect", "results", "store", "policies", "ui"):
        assert command in shown.stdout


@pytest.mark.usefixtures("ran")
def test_export_writes_the_network_and_says_what_it_is(folder: Path) -> None:
    rows = json.loads(earlyprune(folder, "results", SWEEP["name"], "--format", "json").stdout)
    row = rows[-1]
    done = earlyprune(folder, "export", SWEEP["name"], row["trial"], "--format", "pt2")
    assert done.returncode == 0, done.stderr
    first, takes, second = done.stdout.splitlines()
    assert first.startswith(f"{row['trial']}.pt2: {row['params']:,} parameters")
    assert takes == "input: float64 [n, 8, 8]"
    assert "its outputs differ from the trained network's by 0 at most" in second
    model = torch.export.load(folder / f"{row['trial']}.pt2").module()
    assert model(torch.zeros(5, 8, 8, dtype=torch.float64)).shape == (5, 10)
    bare = ["--format", "pt2", "--without-preprocessing"]
    done = earlyprune(folder, "export", SWEEP["name"], row["trial"], *bare)
    assert done.returncode == 0, done.stderr
    said = "input: float32 [n, 1, 8, 8], prepared from float64 [n, 8, 8]: divided by 16, as "
    assert done.stdout.splitlines()[1].startswith(said)
    model = torch.export.load(folder / f"{row['trial']}.pt2").module()
    assert model(torch.zeros(5, 1, 8, 8)).shape == (5, 10)
    wrong = earlyprune(folder, "export", SWEEP["name"], "dense-s0")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: trial: unknown trial 'dense-s0'")


def test_what_is_warned_of_is_a_line(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((40, 4))
    np.savez(tmp_path / "a.npz", x=x, y=np.array(["cat", "dog"] * 20))
    task = {"model": "small_mlp", "data": "npz:a.npz", "epochs": 1, "batch_size": 8}
    sweep = {"name": "words", "task": task, "policies": ["dense"]}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(sweep))
    done = earlyprune(tmp_path, "run", "s.yaml", "--replay", "--storage", "runs")
    first = done.stderr.splitlines()[0]
    assert first.startswith("warning: task.data: the words of the training part are classes 0 to 1")
    assert "_labelled" not in done.stderr
