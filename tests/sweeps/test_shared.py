"""Shared training: what is trained, and that it changes no result.

Where it makes no difference who trains, this process does.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import here
import pytest
import yaml
from rich.console import Console
from sweep_files import SMALL, changed

from pruning.policies.registry import policy
from pruning.training.trial import Trial
from sweeps.file.sweep import Sweep
from sweeps.results.rows import METRICS, TIMES, Row
from sweeps.running import preflight
from sweeps.running.run import Outcome, run
from sweeps.storage.store import Store

ROOT = Path(__file__).parents[2]


def swept(storage: Path | str, tracking: Path, **fields: Any) -> Outcome:
    """Run SMALL with these changes on a storage."""
    sweep = Sweep.parse(changed(**fields))
    uri = f"sqlite:///{tracking}/mlflow.db"
    return run(sweep, preflight.check(sweep), Store(storage), uri, Console(quiet=True))


def facts(rows: list[Row]) -> list[Row]:
    return [{k: v for k, v in row.items() if k not in {*TIMES, "pareto"}} for row in rows]


@pytest.fixture
def train_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps are trained in this process."""
    monkeypatch.setattr("sweeps.running.run._train", here.train)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """SMALL, by this process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeps.running.run._train", here.train)
        return swept(folder, folder)


@pytest.mark.usefixtures("train_here")
def test_a_policy_added_trains_its_tail_and_a_seed_only_that_seed(
    tmp_path: Path, undisturbed: Outcome
) -> None:
    whole = undisturbed.rows
    dense = [{**SMALL, "policies": ["dense"]}["policies"][0]]
    first = swept(tmp_path, tmp_path, seeds=[0], policies=[*dense, *SMALL["policies"][2:]])
    assert first.trained == first.distinct == 4 + 3  # EPI cuts after 1
    cut = {"policy": "at_epoch", "epoch": 2, "ratio": 0.5}  # of a saliency that was measured
    more = swept(tmp_path, tmp_path, seeds=[0], policies=[*dense, *SMALL["policies"][2:], cut])
    assert more.trained == 2
    both = swept(tmp_path, tmp_path, policies=[*dense, *SMALL["policies"][2:], cut])
    seed = [row for row in both.rows if row["seed"] == 1]
    assert both.trained == 4 + sum(4 - row["prune_epochs"][0] for row in seed[1:])
    again = swept(tmp_path, tmp_path, policies=[*dense, *SMALL["policies"][2:], cut])
    assert again.trained == 0
    known = {row["trial"]: row for row in facts(whole)}
    shared = [row for row in facts(both.rows) if row["trial"] in known]
    assert shared == [known[row["trial"]] for row in shared]
    assert len(shared) == 4


@pytest.mark.usefixtures("train_here")
def test_a_probe_that_was_not_measured_is_measured_where_it_is_needed(tmp_path: Path) -> None:
    dense = swept(tmp_path, tmp_path, seeds=[0], policies=["dense"])
    cut = {"policy": "at_epoch", "epoch": 2, "ratio": 0.5, "saliency": "taylor"}
    outcome = swept(tmp_path, tmp_path, seeds=[0], policies=["dense", cut])
    assert outcome.trained == 2 + 2  # to the cut once more, and the tail
    assert facts(outcome.rows[:1]) == facts(dense.rows)
    alone = Trial(Sweep.parse(changed()).task, policy(cut), 0).run()
    assert outcome.rows[1]["test_accuracy"] == alone["test_accuracy"]


@pytest.mark.usefixtures("train_here")
def test_aims_are_met_alike_shared_and_alone(tmp_path: Path) -> None:
    aims = {"macs": {"grid": [0.4, 0.6]}}
    cuts = [
        {"policy": "at_epoch", "epoch": {"grid": [0, 2]}, "aim": aims, "scope": "price"},
        {"policy": "epi", "window": 1, "threshold": 0.8, "latest": 0.75, "aim": {"params": 0.5}},
    ]
    given = {"seeds": [0], "policies": ["dense", *cuts]}
    given["task__model__options__widths"] = [16, 24]
    outcome = swept(tmp_path, tmp_path, **given)
    dense = outcome.rows[0]
    for row in outcome.rows[1:]:
        assert "ratio" not in row["setting"]
        alone = Trial(Sweep.parse(changed(**given)).task, policy(row["setting"]), 0).run()
        for column in ("prune_epochs", "params", "macs", "val_accuracy", "test_accuracy"):
            assert row[column] == alone[column]
        ((price, share),) = row["setting"]["aim"].items()
        assert row[price] / dense[price] == pytest.approx(share, rel=0.02)
    shown = [row["settings"] for row in outcome.rows[1:2]]
    assert shown == ["aim=macs:0.4 scope=price epoch=0"]
    assert swept(tmp_path, tmp_path, **given).trained == 0


@pytest.mark.usefixtures("train_here")
@pytest.mark.parametrize("keep", ["all", "forks", 3])
def test_whatever_snapshots_are_kept(tmp_path: Path, undisturbed: Outcome, keep: Any) -> None:
    outcome = swept(tmp_path, tmp_path, snapshots=keep)
    assert facts(outcome.rows) == facts(undisturbed.rows)
    assert outcome.trained == outcome.distinct
    store = Store(tmp_path)
    names = [entry.name for entry in store.files.entries("paths")]
    trunks = {name.split("/")[1] for name in names if name.endswith("record-0000")}
    kept = {path: store.epochs(path)[1] for path in {name.split("/")[1] for name in names}}
    forked = {store.path(p).parent: store.path(p).epoch for p in kept if p not in trunks}  # type: ignore[union-attr]
    for path, epochs in kept.items():
        assert 4 in epochs
        assert path not in forked or forked[path] in epochs
        if keep == "all":
            assert len(epochs) == len(store.epochs(path)[0])


def damage(store: Store, draw: random.Random, share: float) -> set[str]:
    """Truncate, flip, empty or delete some of a store's records and snapshots."""
    harmed = set()
    for entry in store.files.entries("paths"):
        if not entry.name.endswith("/path") and draw.random() < share:
            path = Path(store.files.address, entry.name)
            way = draw.choice(["truncate", "flip", "empty", "delete"])
            data = path.read_bytes()
            if way == "delete":
                path.unlink()
                continue
            at = draw.randrange(len(data))
            flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            path.write_bytes({"truncate": data[:at], "flip": flipped, "empty": b""}[way])
            harmed.add(entry.name)
    return harmed


@pytest.mark.usefixtures("train_here")
def test_what_is_damaged_is_noticed_reported_once_and_trained_again(
    tmp_path: Path, undisturbed: Outcome
) -> None:
    swept(tmp_path, tmp_path)
    store = Store(tmp_path)
    harmed = damage(store, random.Random(3), 0.3)
    assert len(harmed) > 4
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = swept(tmp_path, tmp_path)
    said = [str(warning.message) for warning in caught if "damaged" in str(warning.message)]
    records = {name for name in harmed if "/record-" in name}
    for name in records:
        assert sum(name in line for line in said) == 1, name
    assert all(sum(name in line for line in said) <= 1 for name in harmed)
    assert outcome.trained > 0
    assert facts(outcome.rows) == facts(undisturbed.rows)
    assert swept(tmp_path, tmp_path).trained == 0


@pytest.mark.usefixtures("train_here")
def test_two_hundred_thresholds_train_few_epochs(tmp_path: Path) -> None:
    thresholds = [round(0.80 + 0.002 * step, 3) for step in range(100)]
    settings = {"threshold": {"grid": thresholds}, "ratio": {"grid": [0.5, 0.7]}}
    epi = {"policy": "epi", "window": 3, "earliest": 5, "latest": 0.5, **settings}
    outcome = swept(tmp_path, tmp_path, seeds=[0], policies=[epi], task__epochs=18)
    assert len(outcome.rows) == 200
    assert outcome.trained == outcome.distinct <= 200 * 18 / 20
    for row in outcome.rows[:: int(os.environ.get("EARLYPRUNE_EVERY", "40"))]:
        task = Sweep.parse(changed(task__epochs=18)).task
        alone = Trial(task, policy(row["setting"]), 0).run()
        for name in {*METRICS, "prune_epochs"} - {*TIMES}:
            assert row[name] == alone[name], name


@pytest.mark.usefixtures("ray_here")
def test_on_an_s3_address(
    tmp_path: Path, s3_storage: Callable[[], str], undisturbed: Outcome
) -> None:
    address = s3_storage()
    outcome = swept(address, tmp_path)
    assert facts(outcome.rows) == facts(undisturbed.rows)
    assert outcome.trained == outcome.distinct
    assert swept(address, tmp_path).trained == 0


def earlyprune(folder: Path, name: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "earlyprune", "run", name, "--storage", "runs"]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_of_two_drivers_on_one_storage_one_waits_and_says_so(
    tmp_path: Path, undisturbed: Outcome
) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(changed(name=name)))
    both = [earlyprune(tmp_path, f"{name}.yaml") for name in ("one", "two")]
    said = [process.communicate(timeout=200)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert (
        sum("waiting for another earlyprune on this storage: sweep" in text for text in said) == 1
    )
    trained = [text.partition("epochs: ")[2].split()[0] for text in said]
    assert sorted(trained) == ["0", str(undisturbed.distinct)]
