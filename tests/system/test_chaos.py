"""A sweep that is killed again and again, and one whose disk is full: the table stays the same."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from mlflow import MlflowClient
from processes import below, gone, kill
from sweeping import ROOT, facts

from benchmarks.chaos.verdict import TIMES
from benchmarks.trained import trainings
from sweeps.results.rows import METRICS
from sweeps.storage.store import Store

SEED = int(os.environ.get("EARLYPRUNE_SEED", "1"))
KILLS = 10
WORKERS = 2
EVERY_POLICY = [
    {"policy": "at_epoch", "epoch": 4, "saliency": "batch_norm_scale", "round_to": 8},
    {"policy": "at_epoch", "epoch": 2, "saliency": {"name": "random", "seed": 7}},
    {"policy": "epi", "saliency": "taylor", "scope": "global", "window": 2, "latest": 0.5},
]


def command(storage: Path, *options: str) -> list[str]:
    place = ["--storage", str(storage), "--tracking-uri", f"sqlite:///{storage}.db"]
    config = str(storage.parent / "sweep.yaml")
    return [sys.executable, "-m", "earlyprune", "run", config, *place, *options]


def start(storage: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(storage, *options),
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=(storage.parent / "out.txt").open("a"),
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(storage: Path, *options: str) -> str:
    done = subprocess.run(
        command(storage, *options),
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def records(storage: Path) -> int:
    return sum(1 for _ in storage.glob("paths/*/record-????"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("chaos")
    sweep = yaml.safe_load((ROOT / "sweeps/configs/quickstart.yaml").read_text())
    sweep |= {"seeds": [0], "policies": [*sweep["policies"], *EVERY_POLICY]}
    (found / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    return found


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> SimpleNamespace:
    storage = folder / "undisturbed"
    said = finish(storage)
    counts = trainings(Store(storage))
    assert set(counts) == {1}
    return SimpleNamespace(facts=facts(storage, "quickstart"), distinct=len(counts), said=said)


def test_alone_every_column_that_is_no_time_is_the_same(
    folder: Path, undisturbed: SimpleNamespace
) -> None:
    finish(folder / "alone", "--independent")
    assert facts(folder / "alone", "quickstart-independent") == undisturbed.facts
    counts = trainings(Store(folder / "alone"))
    assert len(counts) == len(undisturbed.facts) * 18
    assert undisturbed.distinct < len(counts)


def test_killed_again_and_again(folder: Path, undisturbed: SimpleNamespace) -> None:
    draw, storage = random.Random(SEED), folder / "killed"
    kills: list[str] = []
    process = start(storage)
    while True:
        target = records(storage) + draw.randint(
            undisturbed.distinct // 40, undisturbed.distinct // 15
        )
        while records(storage) < target and process.poll() is None:
            time.sleep(0.02)
        if process.poll() is not None:
            assert process.returncode == 0, (folder / "out.txt").read_text()[-3000:]
            break
        kind = draw.choice(["driver", "ray", "worker", "worker", "worker", "worker"])
        family = below(process.pid)
        if kind == "worker":
            workers = [pid for pid, text in family.items() if "Trainable" in text]
            kill(*workers[:1])
            kills += [kind] * bool(workers)
            continue
        kills.append(kind)
        if kind == "driver":
            kill(process.pid)
        else:
            kill(*family)
        process.wait(timeout=120)  # nor may it hang without its Ray
        workers = [pid for pid, text in family.items() if "Trainable" in text]
        assert gone(workers, 30), "workers outlive their driver"
        process = start(storage)
    assert len(kills) >= KILLS, kills
    assert {"driver", "worker", "ray"} == set(kills)
    assert facts(storage, "quickstart") == undisturbed.facts
    counts = trainings(Store(storage))
    assert len(counts) == undisturbed.distinct
    assert sum(counts) - len(counts) <= len(kills) * WORKERS
    print(f"{len(kills)} kills, {sum(counts) - len(counts)} epochs stored twice")


def test_no_curve_is_doubled_or_broken(folder: Path, undisturbed: SimpleNamespace) -> None:
    client = MlflowClient(f"sqlite:///{folder}/killed.db")
    experiment = client.get_experiment_by_name("quickstart")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    trials = {
        run.data.tags["earlyprune.trial"]: run
        for run in runs
        if "earlyprune.trial" in run.data.tags
    }
    assert len(trials) == len(runs) - 1 == len(undisturbed.facts)
    for row in undisturbed.facts:
        run = trials[row["trial"]]
        assert run.info.status == "FINISHED"
        assert all(run.data.metrics[name] == row[name] for name in {*METRICS} - {*TIMES})
        points = client.get_metric_history(run.info.run_id, "val_accuracy")
        assert sorted({point.step for point in points}) == list(range(1, 19))
        assert len({(point.step, point.value) for point in points}) == 18


def test_a_full_disk_stops_the_sweep_and_it_goes_on_when_there_is_room(
    folder: Path, undisturbed: SimpleNamespace
) -> None:
    storage = folder / "full"
    storage.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(storage)], check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        done = subprocess.run(
            command(storage),
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 3, done.stdout + done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert "no space left" in line
        assert str(storage) in line
        assert "Traceback" not in done.stderr
        before = records(storage)
        assert before > 10
        subprocess.run(["mount", "-o", "remount,size=512m", str(storage)], check=True)
        finish(storage)
        assert facts(storage, "quickstart") == undisturbed.facts
        assert sum(trainings(Store(storage))) <= undisturbed.distinct + WORKERS
    finally:
        subprocess.run(["umount", "-l", str(storage)], check=True)
        shutil.rmtree(storage)
