"""Several processes that train one network together: the training of one, but for rounding."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
import pytest
import torch
from small_tasks import ADAMW, digits_task, state_of
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode

from pruning import InputError
from pruning.actions import Action, Mask, Prune
from pruning.history import Record
from pruning.parallel.team import Team, TeamError, TeamTraining
from pruning.saliency.registry import probe
from pruning.training.batches import Share
from pruning.training.task import Task

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}

CLOSE = 3e-4
"""Of two results that differ in the order of additions alone, relative to the largest value. They
come to about 1e-6; a density counts in whole values, one of which is up to 1e-4."""
WRONG = 1e-3
"""Less than comes of each mistake that was tried: parts normalised for themselves, weighed alike,
augmented for themselves, gradients averaged, feature maps not pooled, biased running variances."""

TASKS: dict[str, tuple[Task, dict[int, Action]]] = {
    "pruned": (
        digits_task(model="small_tasks:smooth_cnn"),
        {2: Prune.of([0, 3, 8, 9, 10, 15, 25, 26, 33])},
    ),
    "from datasets, with adamw, masked": (
        digits_task(
            model="small_tasks:smooth_mlp",
            data={"source": "small_tasks:three_sets", "workers": 0},
            augment={},
            batch_size=16,
            optimizer=ADAMW,
        ),
        {1: Mask(0.3), 3: Mask(0.5)},
    ),
    "an unused layer, begun anew": (
        digits_task(model="small_tasks:WithSpare"),
        {1: Prune.of([0, 9], reinit=True)},
    ),
    "values, with metrics of the whole split": (
        digits_task(
            model="small_tasks:smooth_cnn",
            loss="mse",
            metrics={"mse": None, "R2Score": None, "small_tasks:largest_error": "min"},
            label_smoothing=0.0,
            optimizer=ADAMW,
            epochs=2,
        ),
        {1: Prune.of([0, 9])},
    ),
    "rectified, two steps": (
        digits_task(
            model={"name": "small_cnn", "options": {"widths": [8, 8, 16], "pool_after": [0, 1]}},
            data={"source": "digits", "train_limit": 64},
            epochs=1,
        ),
        {},
    ),
}
PROBES = [
    probe(name)
    for name in (
        *("magnitude", "taylor", "snip", "activation_density", "feature_taylor"),
        "weight_change",
    )
]


class Teams:
    """One team of several at a time, as a process can have no more; started when it is needed."""

    def __init__(self) -> None:
        self.alone, self.several = Team(), Team(3)

    def __getitem__(self, count: int) -> Team:
        if count == 1:
            return self.alone
        if count != self.several.count:
            self.several.close()
            self.several = Team(count)
        return self.several


@pytest.fixture(scope="module")
def teams() -> Iterator[Teams]:
    """Of three, the parts of 32 samples are 10, 11 and 11."""
    found = Teams()
    yield found
    found.several.close()


def begun(team: Team, task: Task) -> TeamTraining:
    training = team.open(task, 3, PROBES)
    training.begin()
    return training


def go_on(training: TeamTraining, actions: dict[int, Action], until: int) -> TeamTraining:
    while training.epoch_number < until:
        if training.epoch_number in actions:
            training.apply(actions[training.epoch_number])
        training.epoch()
    return training


def values_of(training: TeamTraining) -> dict[str, np.ndarray[Any, Any]]:
    """All that a training has come to, but the seconds."""
    found = {name: value.double().numpy() for name, value in state_of(training.training).items()}
    for record in training.training.pruner.records:
        figures = {**record.metrics, **record.test, **record.costs}
        for kind in (record.probes, figures, {"alive": record.alive}):
            found |= {
                f"{record.epoch} {name}": np.nan_to_num(np.asarray(value, np.float64), nan=-9.0)
                for name, value in kind.items()
            }
    return found


def distance(one: TeamTraining, other: TeamTraining) -> float:
    """The largest difference, relative to the largest value of its kind."""
    first, second = values_of(one), values_of(other)
    assert first.keys() == second.keys()
    return max(
        float(np.abs(value - second[name]).max() / (np.abs(value).max() or 1.0))
        for name, value in first.items()
    )


def compare(teams: Teams, name: str, count: int) -> None:
    task, actions = TASKS[name]
    one, several = (go_on(begun(teams[size], task), actions, task.epochs) for size in (1, count))
    assert distance(one, several) < CLOSE
    assert len(several.training.pruner.actions) == len(actions)


@pytest.mark.parametrize("name", TASKS)
def test_three_train_as_one(teams: Teams, name: str) -> None:
    compare(teams, name, 3)


def test_one_of_three_is_killed_and_all_end(teams: Teams) -> None:
    training = begun(teams[3], TASKS["pruned"][0])
    first, second = teams[3].members
    os.kill(second.process.pid, signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(TeamError, match=r"^rank 2 of 3 was ended by SIGKILL$"):
        training.epoch()
    assert time.monotonic() - began < 10
    assert not teams[3].members
    assert first.process.returncode is not None


@pytest.mark.parametrize("name", TASKS)
def test_two_train_as_one(teams: Teams, name: str) -> None:
    compare(teams, name, 2)


class Parts(TorchFunctionMode):
    """Batch norms that see each half of a batch for itself."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is batch_norm and kwargs["training"]:
            x, *rest = args
            return torch.cat([func(half, *rest, **kwargs) for half in x.chunk(2)])
        return func(*args, **(kwargs or {}))


def test_it_would_not_be_if_batch_norms_saw_parts(teams: Teams) -> None:
    task, actions = TASKS["pruned"]
    whole = go_on(begun(teams[1], task), actions, 1)
    parts = begun(teams[1], task)
    with Parts():
        go_on(parts, actions, 1)
    assert distance(whole, parts) > WRONG


@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1)])
def test_a_snapshot_goes_on_in_another_number(teams: Teams, first: int, then: int) -> None:
    task, actions = TASKS["pruned"]
    whole = go_on(begun(teams[1], task), actions, task.epochs)
    stopped = go_on(begun(teams[first], task), actions, 3)
    data = teams[first].take(stopped)
    records = [Record.from_bytes(one.to_bytes()) for one in stopped.training.pruner.records]
    resumed = teams[then].open(task, 3, PROBES, data, records)
    assert distance(go_on(resumed, actions, task.epochs), whole) < CLOSE


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_train_as_one() -> None:
    """Their convolutions may round to ten bits, and differently for another size of batch."""
    task, actions = TASKS["pruned"]
    losses = []
    for count in (1, 2):
        team = Team(count, "cuda")
        training = go_on(begun(team, task), actions, task.epochs)
        losses.append(training.training.pruner.records[-1].metrics["train_loss"])
        team.close()
    assert losses[0] == pytest.approx(losses[1], rel=0.01)


def test_probes_are_measured_while_they_are_asked_for(teams: Teams) -> None:
    training = begun(teams[2], TASKS["pruned"][0])
    training.watch(PROBES[3:4])
    assert set(training.epoch().probes) == {"activation_density"}
    training.watch([])
    assert not training.epoch().probes


def test_dropout_draws_differently_in_each_process(teams: Teams) -> None:
    one, several = (go_on(begun(teams[size], digits_task()), {}, 1) for size in (1, 2))
    assert distance(one, several) > WRONG
    loss = [x.training.pruner.records[-1].metrics["train_loss"] for x in (one, several)]
    assert loss[0] == pytest.approx(loss[1], rel=0.1)


def test_batch_norm_is_that_of_the_whole_batch(tmp_path: Path) -> None:
    script = [sys.executable, str(HERE / "whole_batch.py")]
    processes = [
        subprocess.Popen([*script, str(rank), str(tmp_path / "store")], env=ENVIRONMENT)
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]


def test_shares_make_a_batch() -> None:
    for length in (3, 10, 32):
        for count in (1, 2, 3):
            shares = [Share(rank, count) for rank in range(count)]
            found = [index for share in shares for index in range(length)[share.part(length)]]
            assert found == list(range(length))
            assert sum(share.weight(length) for share in shares) == pytest.approx(1)


# What goes wrong


def test_a_killed_process_is_named_and_replaced(teams: Teams) -> None:
    """In the middle of an epoch: its leader waits for it in a collective."""
    task, actions = TASKS["pruned"]
    training = begun(teams[2], task.model_copy(update={"epochs": 10_000}))
    member = teams[2].members[0]
    Timer(0.5, member.process.kill).start()
    with pytest.raises(TeamError, match=r"^rank 1 of 2 was ended by SIGKILL$"):
        go_on(training, {}, 10_000)
    assert member.process.returncode == -signal.SIGKILL
    again = go_on(begun(teams[2], task), actions, 1)
    assert distance(again, go_on(begun(teams[1], task), actions, 1)) < CLOSE


def test_processes_end_with_their_team(teams: Teams) -> None:
    begun(teams[2], TASKS["pruned"][0])
    pids = [member.process.pid for member in teams[2].members]
    teams[2].close()
    assert len(pids) == 1
    assert not any(alive(pid) for pid in pids)


def test_what_fails_in_one_process_only_is_told(teams: Teams) -> None:
    with pytest.raises(TeamError, match=r"rank 1 of 2 failed: .*ValueError: no such file here"):
        teams[2].open(digits_task(model="small_tasks:leaders_only"), 0)


def test_what_fails_everywhere_is_raised_as_it_is(teams: Teams) -> None:
    team = teams[2]
    with pytest.raises(InputError, match=r"task.batch_size: 1 is not allowed: 2 processes train"):
        team.open(digits_task(batch_size=1), 0)
    assert not team.members


def test_processes_end_with_their_leader() -> None:
    script = [sys.executable, str(HERE / "lead_a_team.py")]
    leader = subprocess.Popen(script, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert leader.stdout is not None
    follower = int(leader.stdout.readline())
    assert alive(follower)
    leader.kill()
    leader.communicate()
    until = time.monotonic() + 10
    while alive(follower) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(follower)


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has asked for its exit code does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
