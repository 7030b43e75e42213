"""Exact resumption: continued from a snapshot in a new process, to the same bits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load
from small_tasks import ADAMW, SGD, assert_same_bits, digits_task, state_of

from pruning.history import Record
from pruning.policies import Prune
from pruning.saliency import saliency
from pruning.training import snapshot
from pruning.training.loop import Training
from pruning.training.task import Task

HERE = Path(__file__).parent
SNAPSHOT_AFTER = 2
PROBES = ["magnitude", "taylor"]
UNITS = [0, 3, 8, 9, 10, 15]
PRUNED_AT = {"never": None, "before": 1, "at": 2, "after": 3}


def pictures(folder: Path) -> str:
    """An image folder of tiny pictures of two classes and odd sizes."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 24), ("val", 6), ("test", 6)):
        for label in ("dark", "light"):
            (folder / part / label).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                low = 0 if label == "dark" else 128
                values = draw.integers(low, low + 128, (12, 10 + number % 3, 3), dtype=np.uint8)
                Image.fromarray(values).save(folder / part / label / f"{number:02}.png")
    return f"imagefolder:{folder}"


def tasks(folder: Path) -> dict[str, Task]:
    sets: dict[str, Any] = {
        "augment": {},
        "batch_size": 16,
        "model": {"name": "small_tasks:dropout_cnn"},
    }
    return {
        "sgd": digits_task(optimizer=SGD),
        "adamw": digits_task(optimizer=ADAMW),
        "datasets": digits_task(data={"source": "small_tasks:three_sets"}, **sets),
        "imagefolder": digits_task(data={"source": pictures(folder), "image_size": 8}, **sets),
    }


CASES = [
    *[(kind, when) for kind in ("sgd", "adamw") for when in PRUNED_AT],
    ("datasets", "before"),
    ("imagefolder", "after"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case trained to its end here, and once more from its middle in another process."""
    root = tmp_path_factory.mktemp("snapshots")
    by_name = tasks(root / "pictures")
    for kind, when in CASES:
        case, task = root / kind / when, by_name[kind]
        case.mkdir(parents=True)
        units = [*UNITS, 40, 41, 63] if kind in ("sgd", "adamw") else UNITS
        training = Training(task, 7, [saliency(name) for name in PROBES])
        training.begin()
        while training.epoch_number < task.epochs:
            if training.epoch_number == SNAPSHOT_AFTER:
                (case / "snapshot").write_bytes(snapshot.take(training))
                for record in training.pruner.records:
                    (case / f"record.{record.epoch}").write_bytes(record.to_bytes())
            if training.epoch_number == PRUNED_AT[when]:
                training.apply(Prune.of(units))
            training.epoch()
        settings = {"task": task.identity(), "seed": 7, "probes": PROBES}
        settings |= {"prune_at": PRUNED_AT[when], "units": units}
        (case / "task.json").write_text(json.dumps(settings))
        (case / "whole").write_bytes(snapshot.take(training))
        for record in training.pruner.records:
            (case / f"whole.record.{record.epoch}").write_bytes(record.to_bytes())
    script = [sys.executable, str(HERE / "continue_training.py")]
    subprocess.run(
        [*script, *(str(root / kind / when) for kind, when in CASES)],
        check=True,
        cwd=HERE.parents[1],
        env={"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
    )
    return root


@pytest.mark.parametrize(("kind", "when"), CASES)
def test_continued_in_a_new_process(folder: Path, kind: str, when: str) -> None:
    case = folder / kind / when
    whole, end = (case / "whole").read_bytes(), (case / "end").read_bytes()
    assert header(whole) == header(end)
    assert_same_bits(load(whole), load(end))
    for epoch in range(5):
        one = Record.from_bytes((case / f"whole.record.{epoch}").read_bytes())
        other = Record.from_bytes((case / f"end.record.{epoch}").read_bytes())
        assert (one.epoch, one.metrics, one.test, one.costs) == (
            other.epoch,
            other.metrics,
            other.test,
            other.costs,
        )
        assert np.array_equal(one.alive, other.alive)
        assert one.probes.keys() == other.probes.keys() == set(PROBES)
        for name in PROBES:
            assert np.array_equal(one.probes[name], other.probes[name], equal_nan=True)


def test_the_cases_are_different_trainings(folder: Path) -> None:
    ends = [load((folder / "sgd" / when / "end").read_bytes()) for when in PRUNED_AT]
    weights = [end["model.0.weight"] for end in ends]
    assert len({tuple(weight.flatten().tolist()) for weight in weights}) == len(PRUNED_AT)
    assert ends[0]["model.0.weight"].shape[0] == 8
    assert ends[1]["model.0.weight"].shape[0] == 6


def test_it_is_safetensors_and_holds_the_optimizer(folder: Path) -> None:
    sgd = load((folder / "sgd" / "before" / "snapshot").read_bytes())
    assert sgd["optimizer.momentum_buffer.0.weight"].shape == sgd["model.0.weight"].shape
    adamw = load((folder / "adamw" / "before" / "snapshot").read_bytes())
    assert {"optimizer.exp_avg.0.weight", "optimizer.exp_avg_sq.0.weight"} <= adamw.keys()
    assert float(adamw["optimizer.step.0.weight"]) == 12.0


def test_workers_change_nothing() -> None:
    ends = []
    for workers in (0, 2):
        data = {"source": "small_tasks:three_sets", "workers": workers}
        model = {"name": "small_tasks:dropout_cnn"}
        training = Training(digits_task(data=data, model=model, augment={}, epochs=2), 3)
        training.begin()
        metrics = [training.epoch().metrics for _ in range(2)]
        ends.append((state_of(training), metrics))
    assert_same_bits(ends[0][0], ends[1][0])
    assert ends[0][1] == ends[1][1]


def test_refused() -> None:
    task = digits_task(epochs=2)
    training = Training(task, 0)
    training.begin()
    training.epoch()
    data, records = snapshot.take(training), training.pruner.records
    with pytest.raises(ValueError, match="another task or seed"):
        snapshot.resume(data, task, 1, records)
    with pytest.raises(ValueError, match="another task or seed"):
        snapshot.resume(data, digits_task(epochs=3), 0, records)
    with pytest.raises(ValueError, match="of epoch 1, 1 records given"):
        snapshot.resume(data, task, 0, records[:1])


def test_warnings_and_state_layout_survive() -> None:
    task = digits_task(channels_last=True, epochs=3)
    training = Training(task, 0)
    training.begin()
    training.apply(Prune.of(UNITS, ["too early"]))
    training.epoch()
    again = snapshot.resume(snapshot.take(training), task, 0, training.pruner.records)
    assert again.pruner.actions[0][1].warnings == ("too early",)
    for one, other in zip(training.model.parameters(), again.model.parameters(), strict=True):
        momenta = (
            training.optimizers[0].state[one]["momentum_buffer"],
            again.optimizers[0].state[other]["momentum_buffer"],
        )
        layouts = {layout(tensor) for tensor in (one, other, *momenta) if tensor.ndim == 4}
        assert layouts <= {torch.channels_last}
    assert_same_bits(state_of(training), state_of(again))


def test_tied_weights_are_written_once_each() -> None:
    shared = torch.arange(3.0)
    apart = load(snapshot.packed({"a": shared, "b": shared}, {}))
    assert all(torch.equal(apart[name], shared) for name in "ab")


def layout(tensor: torch.Tensor) -> torch.memory_format:
    channels_last = tensor.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format


def header(data: bytes) -> Any:
    length = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["snapshot"])
