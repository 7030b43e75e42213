"""The sweep file: grids, changes, trials and their addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sweep_files import SMALL, changed, write

from sweeps.file.grid import expand
from sweeps.file.sweep import Resources, Sweep, _set, read
from sweeps.file.trials import TrialSpec


def test_grids_are_walked_whole_and_nest() -> None:
    entry = {
        "policy": "epi",
        "ratio": {"grid": [0.3, 0.5]},
        "saliency": {"grid": ["taylor", {"name": "magnitude", "normalize": {"grid": ["a", "b"]}}]},
    }
    found = expand(entry)
    assert len(found) == 2 * 3
    assert {"policy": "epi", "ratio": 0.5, "saliency": "taylor"} in found
    assert {
        "policy": "epi",
        "ratio": 0.3,
        "saliency": {"name": "magnitude", "normalize": "b"},
    } in found


def test_trials_are_every_policy_on_every_seed_once() -> None:
    twice = changed(policies=[*SMALL["policies"], "dense", {"policy": "dense"}])
    trials = Sweep.parse(twice).trials()
    assert len(trials) == 2 * 4
    assert len({trial.id for trial in trials}) == 8
    assert [trial.seed for trial in trials] == [0] * 4 + [1] * 4


def test_a_setting_at_its_default_does_not_change_the_address() -> None:
    plain, spelt = (
        Sweep.parse(changed(policies=[{"policy": "at_epoch", "epoch": 1, **more}])).trials()[0]
        for more in ({}, {"ratio": 0.5, "saliency": {"name": "magnitude", "normalize": "size"}})
    )
    other = Sweep.parse(changed(policies=[{"policy": "at_epoch", "epoch": 2}])).trials()[0]
    assert plain.address == spelt.address
    assert plain.address != other.address


def test_the_address_depends_on_task_and_seed() -> None:
    trial = Sweep.parse(SMALL).trials()[0]
    task = trial.task.model_copy(update={"epochs": 5})
    assert TrialSpec(task, trial.policy, trial.seed).address != trial.address
    assert TrialSpec(trial.task, trial.policy, 7).address != trial.address


@pytest.mark.parametrize(
    ("change", "epochs", "ratio"),
    [("task.epochs=7", 7, 0.5), ("policies.1.ratio=0.3", 4, 0.3)],
)
def test_set_changes_one_field(change: str, epochs: int, ratio: float, tmp_path: Path) -> None:
    sweep = read(write(tmp_path, SMALL), [change])
    assert sweep.task.epochs == epochs
    assert sweep.policies[1]["ratio"] == ratio


def test_the_quick_start_is_a_valid_sweep() -> None:
    path = Path(__file__).parents[2] / "sweeps" / "configs" / "quickstart.yaml"
    trials = read(path).trials()
    controls = {"uniform", "small_from_scratch"}
    assert {trial.policy.name for trial in trials} == {"dense", "at_epoch", "epi", *controls}
    assert len({trial.seed for trial in trials}) >= 3


def test_a_worker_each_gpu_and_a_cpu_each_worker() -> None:
    def held(**given: float) -> tuple[float, int, float, int, float]:
        found = Resources.parse(given)
        return found.gpus, found.workers, found.cpus, found.threads, found.devices

    assert held() == (0, 1, 1, 1, 1)
    assert held(gpus=0.25) == (0.25, 1, 1, 1, 0.25)
    assert held(cpus=4) == (0, 1, 4, 4, 4)
    assert held(gpus=4) == (4, 4, 4, 1, 4)
    assert held(gpus=4, cpus=10) == (4, 4, 10, 2, 4)
    assert held(workers=2) == (0, 2, 2, 1, 2)


def test_how_many_train_a_trial_does_not_change_the_address() -> None:
    one, two = (
        Sweep.parse(changed(resources={"workers": workers})).trials()[0] for workers in (1, 2)
    )
    assert one.address == two.address


def test_how_data_is_loaded_does_not_change_the_address() -> None:
    few, many = (
        Sweep.parse(changed(task__data={"source": "digits", "workers": workers})).trials()[0]
        for workers in (0, 4)
    )
    assert few.address == many.address


@pytest.mark.parametrize(
    ("change", "field", "found"),
    [
        ("task.data.layout=hwc", "task.data", {"source": "digits", "layout": "hwc"}),
        ("task.model.options.widths=[4, 4]", "task.model.options", {"widths": [4, 4]}),
        ("task.optimizer.lr=0.5", "task.optimizer", {"name": "adam", "lr": 0.5}),
        ("task.schedule.warmup_epochs=1", "task.schedule", {"name": "cosine", "warmup_epochs": 1}),
        ("task.loss.options.weight=[1, 2]", "task.loss", {"name": "cross_entropy"}),
        ("task.metrics.0.direction=max", "task.metrics.0", {"name": "accuracy"}),
        ("task.optimizer.matrices.lr=0.1", "task.optimizer", {"name": "adam"}),
        ("task.augment.crop=2", "task.augment", {"crop": 2}),
        ("policies.1.ratio=0.3", "policies.1", {"policy": "epi", "ratio": 0.3}),
        ("policies.2.saliency.normalize=none", "policies.2.saliency", {"name": "magnitude"}),
        ("policies.2.of.ratio=0.3", "policies.2.of", {"policy": "epi", "ratio": 0.3}),
        ("search.sampler.options.seed=3", "search.sampler", {"name": "tpe"}),
        ("search.early_stopping.keep=0.4", "search.early_stopping", {"keep": 0.4}),
    ],
)
def test_set_writes_short_forms_out(change: str, field: str, found: dict[str, Any]) -> None:
    short = {
        "name": "short",
        "task": {
            "model": "small_cnn",
            "data": "digits",
            "optimizer": "adam",
            "schedule": "cosine",
            "loss": "cross_entropy",
            "metrics": ["accuracy"],
            "augment": None,
        },
        "policies": ["dense", "epi", {"policy": "uniform", "of": "epi", "saliency": "magnitude"}],
        "search": {"sampler": "tpe", "early_stopping": True},
    }
    _set(short, change)
    place: Any = short
    for part in field.split("."):
        place = place[int(part) if isinstance(place, list) else part]
    assert found.items() <= place.items()


@pytest.mark.parametrize("change", ["task.data.layout=hwc", "task.optimizer.lr=0.5"])
def test_set_on_a_short_form_of_a_file(tmp_path: Path, change: str) -> None:
    path = write(tmp_path, changed(task__data="digits", task__optimizer="adam"))
    task = read(path, [change]).task
    assert task.data.source == "digits"
    assert task.optimizer.name == "adam"
    assert (task.data.layout == "hwc") != (task.optimizer.lr == 0.5)
