"""Bad input: one line, exit code 2, and neither Ray nor a training has started."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
import ray
from sweep_files import changed, write

from earlyprune.__main__ import main


def refused(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """The one line that ``earlyprune ARGUMENTS`` is refused with."""
    was_running = ray.is_initialized()
    monkeypatch.setattr("ray.init", lambda *_, **__: pytest.fail("Ray was started"))
    monkeypatch.setattr(sys, "argv", ["earlyprune", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    printed = capsys.readouterr()
    assert exit_.value.code == 2
    assert printed.out == ""
    assert ray.is_initialized() == was_running
    (line,) = printed.err.strip().splitlines()
    assert line.startswith("error: ")
    return line


AT_EPOCH = {"policy": "at_epoch", "epoch": 1, "ratio": 0.5}


def searched(policy: dict[str, Any]) -> dict[str, Any]:
    """A sweep file's fields for a search over this policy."""
    return {"policies": [policy], "search": {"trials": 3}}


SPACE = {"policies": [{**AT_EPOCH, "ratio": {"uniform": [0.1, 0.9]}}]}

CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("unknown key", {"task__epoch": 4}, ["task", "unknown field 'epoch'", "'epochs'"]),
    ("unknown top key", {"polices": []}, ["'polices'", "did you mean 'policies'"]),
    ("wrong type", {"task__epochs": "many"}, ["task.epochs", "'many'", "integer"]),
    ("wrong type in a list", {"seeds": ["one"]}, ["seeds.0", "'one'", "integer"]),
    (
        "ratio above 1",
        {"policies": [{**AT_EPOCH, "ratio": 1.5}]},
        ["policies.0.ratio", "1.5", "less than 1"],
    ),
    (
        "ratio 0",
        {"policies": ["dense", {**AT_EPOCH, "ratio": 0}]},
        ["policies.1.ratio", "0", "greater than 0"],
    ),
    (
        "prune epoch beyond the training",
        {"policies": [{**AT_EPOCH, "epoch": {"grid": [1, 4]}}]},
        ["policies.0.epoch", "4", "0 to 3"],
    ),
    (
        "unknown policy",
        {"policies": [{"policy": "at_epok"}]},
        ["policies.0", "'at_epok'", "did you mean 'at_epoch'"],
    ),
    (
        "misspelt setting",
        {"policies": [{**AT_EPOCH, "saliancy": "taylor"}]},
        ["policies.0", "'saliancy'", "did you mean 'saliency'"],
    ),
    (
        "unknown saliency",
        {"policies": [{**AT_EPOCH, "saliency": "magnitud"}]},
        ["policies.0.saliency", "'magnitud'", "did you mean 'magnitude'"],
    ),
    ("empty grid", {"policies": [{**AT_EPOCH, "ratio": {"grid": []}}]}, ["policies.0.ratio", "[]"]),
    (
        "a space without a search",
        {"policies": [{**AT_EPOCH, "ratio": {"uniform": [0.1, 0.9]}}]},
        ["search", "missing", "policies.0.ratio"],
    ),
    ("a search without a space", {"search": {"trials": 3}}, ["search", "nothing", "choice"]),
    ("a search without an end", {**SPACE, "search": "tpe"}, ["search", "'tpe'"]),
    ("nothing ends it", {**SPACE, "search": {}}, ["search", "trials or gpu_hours"]),
    (
        "low above high",
        searched({**AT_EPOCH, "ratio": {"uniform": [0.9, 0.1]}}),
        ["policies.0.ratio", "[0.9, 0.1]", "below high"],
    ),
    (
        "log of zero",
        searched({**AT_EPOCH, "ratio": {"log_uniform": [0, 0.5]}}),
        ["policies.0.ratio", "[0, 0.5]", "above 0"],
    ),
    (
        "an empty choice",
        searched({**AT_EPOCH, "saliency": {"choice": []}}),
        ["policies.0.saliency", "[]", "at least one"],
    ),
    (
        "a misspelt field with a space",
        searched({**AT_EPOCH, "ration": {"uniform": [0.1, 0.9]}}),
        ["policies.0", "'ration'", "did you mean 'ratio'"],
    ),
    (
        "a bound that does not fit",
        searched({**AT_EPOCH, "ratio": {"uniform": [0.1, 1.5]}}),
        ["policies.0.ratio", "1.5", "less than 1"],
    ),
    (
        "a type that does not fit",
        searched({**AT_EPOCH, "epoch": {"uniform": [1, 3]}}),
        ["policies.0.epoch", "integer"],
    ),
    (
        "an option that does not fit",
        searched({**AT_EPOCH, "saliency": {"choice": ["taylor", "tailor"]}}),
        ["policies.0.saliency", "'tailor'", "did you mean 'taylor'"],
    ),
    (
        "a bound beyond the training",
        searched({**AT_EPOCH, "epoch": {"int": [0, 9]}}),
        ["policies.0.epoch", "9", "0 to 3"],
    ),
    (
        "a space of the task that does not fit",
        {"task__batch_size": {"int": [0, 64]}, "search": {"trials": 3}},
        ["task.batch_size", "0", "greater than or equal to 1"],
    ),
    (
        "a misspelt field of the task",
        {"task__optimizer": {"rate": {"uniform": [0.1, 1]}}, "search": {"trials": 3}},
        ["task.optimizer", "'rate'"],
    ),
    ("an empty grid in the task", {"task__epochs": {"grid": []}}, ["task.epochs", "[]"]),
    (
        "an unknown sampler",
        {**SPACE, "search": {"sampler": "nsga", "trials": 3}},
        ["search.sampler", "'nsga'", "did you mean 'nsga"],
    ),
    (
        "a sampler's option",
        {**SPACE, "search": {"sampler": {"name": "tpe", "options": {"sede": 3}}, "trials": 3}},
        ["search.sampler.options", "sede"],
    ),
    (
        "a sampler of one objective",
        {**SPACE, "search": {"sampler": "optuna.samplers:CmaEsSampler", "trials": 3}},
        ["search.sampler", "CmaEsSampler", "2 objectives"],
    ),
    (
        "an objective that no trial reports",
        {"objectives": {"val_acuracy": "max"}},
        ["objectives", "'val_acuracy'", "did you mean 'val_accuracy'"],
    ),
    (
        "stopped early by what is not known early",
        {
            **SPACE,
            "search": {"trials": 3, "early_stopping": True},
            "objectives": {"val_accuracy": "max", "train_flops": "min"},
        },
        ["search.early_stopping", "'train_flops'", "gpu_hours"],
    ),
    (
        "a reference of other objectives",
        {"reference": {"val_accuracy": 0}},
        ["reference", "gpu_hours"],
    ),
    (
        "a study that cannot be opened",
        {**SPACE, "search": {"trials": 3, "study": "postgres:/nowhere"}},
        ["search.study", "postgres:/nowhere"],
    ),
    (
        "more GPUs than workers",
        {"resources": {"gpus": 4, "workers": 2}},
        ["resources.workers", "2", "gpus: 4", "allowed: 4"],
    ),
    ("one GPU and a half", {"resources": {"gpus": 1.5}}, ["resources.gpus", "1.5", "whole"]),
    (
        "two workers on one CPU",
        {"resources": {"cpus": 1, "workers": 2}},
        ["resources.cpus", "1", "2 workers", "allowed: 2 or more"],
    ),
    ("half a worker", {"resources": {"workers": 0.5}}, ["resources.workers", "0.5", "integer"]),
    (
        "more workers than samples of a batch",
        {"resources": {"workers": 40}},
        ["resources.workers", "40", "task.batch_size is 32"],
    ),
    ("no policies", {"policies": []}, ["policies", "a list of policies is needed"]),
    ("a seed twice", {"seeds": [1, 1]}, ["seeds", "[1, 1]"]),
    ("searched on test", {"objectives": {"test_accuracy": "max"}}, ["objectives", "test_accuracy"]),
    ("missing file", {"task__data": "npz:/nowhere/x.npz"}, ["task.data", "/nowhere/x.npz"]),
    ("missing folder", {"task__data": "imagefolder:/nowhere"}, ["task.data", "'/nowhere'"]),
    ("unknown data", {"task__data": "digit"}, ["task.data", "'digit'", "did you mean 'digits'"]),
    (
        "no validation part",
        {"task__data": {"source": "digits", "validation": 0}},
        ["task.data.validation", "0", "share above 0"],
    ),
    (
        "model does not import",
        {"task__model": "no_such_package.models:build"},
        ["task.model", "no_such_package.models:build", "does not import"],
    ),
    ("data does not import", {"task__data": "json:nothing"}, ["task.data", "has no 'nothing'"]),
    (
        "policy does not import",
        {"policies": [{"policy": "nowhere:Mine"}]},
        ["policies.0", "nowhere:Mine", "does not import"],
    ),
    (
        "not a policy",
        {"policies": [{"policy": "json:JSONDecoder"}]},
        ["policies.0", "json:JSONDecoder", "Policy"],
    ),
    (
        "output does not fit",
        {"task__model": {"name": "sweep_models:eleven"}},
        ["task.model", "(2, 11)", "10 classes"],
    ),
    (
        "unknown model option",
        {"task__model": {"name": "small_cnn", "options": {"width": 3}}},
        ["task.model", "width"],
    ),
    (
        "nothing to prune",
        {"task__model": {"name": "small_mlp", "options": {"hidden": []}}},
        ["task.model"],
    ),
    (
        "saliency does not suit the model",
        {
            "task__model": "small_mlp",
            "policies": [{**AT_EPOCH, "saliency": "batch_norm_scale"}],
        },
        ["policies", "batch_norm_scale", "batch norm"],
    ),
    ("batch too large", {"task__batch_size": 4096}, ["task.batch_size", "4096", "128"]),
]


@pytest.mark.parametrize(
    ("fields", "said"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_sweep_file(
    fields: dict[str, Any],
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = tmp_path / "sweep_models.py"
    module.write_text(
        "from torch import nn\n"
        "def eleven(shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 11))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = write(tmp_path, changed(**fields))
    line = refused(["run", str(config), "--storage", str(tmp_path / "s")], monkeypatch, capsys)
    for part in said:
        assert part in line
    assert not (tmp_path / "s" / "trials").exists()


def test_a_name_that_stands_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "name: x\nobjectives: {val_accuracy: max, gpu_hours: min, val_accuracy: min}\n"
    line = refused(["run", str(write(tmp_path, text))], monkeypatch, capsys)
    assert "objectives.val_accuracy" in line
    assert "twice" in line
    assert "line 2" in line


@pytest.mark.parametrize("text", ["name: [", "just text", "\x00"])
def test_not_a_sweep_file(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "sweep.yaml" in refused(["plan", str(write(tmp_path, text))], monkeypatch, capsys)


def test_no_sweep_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "none.yaml" in refused(["run", str(tmp_path / "none.yaml")], monkeypatch, capsys)


@pytest.mark.parametrize("change", ["task.epochs", "policies.9.ratio=1", "name.x=1"])
def test_set_leads_nowhere(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(tmp_path, changed())
    assert change in refused(["plan", str(config), "--set", change], monkeypatch, capsys)


def test_storage_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(tmp_path, changed())
    storage = tmp_path / "sweep.yaml" / "storage"  # under a file: not even root can write there
    line = refused(["run", str(config), "--storage", str(storage)], monkeypatch, capsys)
    assert "storage" in line
    assert str(storage) in line


def test_names_come_before_addresses_and_these_before_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"task__data": "npz:/nowhere/x.npz"}
    config = write(tmp_path, changed(**wrong))
    run = ["run", str(config), "--storage", str(tmp_path / "s")]
    elsewhere = [*run, "--tracking-uri", "sqlite://"]
    assert "tracking address" in refused(elsewhere, monkeypatch, capsys)
    assert "task.data" in refused(run, monkeypatch, capsys)
    write(tmp_path, changed(**wrong, policies=["densse"]))
    untouched = [
        "run",
        str(config),
        "--storage",
        str(tmp_path / "t"),
        "--tracking-uri",
        "sqlite://",
    ]
    assert "policies.0" in refused(untouched, monkeypatch, capsys)
    assert not (tmp_path / "t").exists()


def test_tracking_address_that_is_busy_or_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sweeps.tracking.address.CHECK_SECONDS", 1)
    config = write(tmp_path, changed())
    run = ["run", str(config), "--storage", str(tmp_path / "s"), "--tracking-uri"]
    assert "./mlruns" in refused([*run, "./mlruns"], monkeypatch, capsys)
    assert "127.0.0.1:9" in refused([*run, "http://127.0.0.1:9"], monkeypatch, capsys)
    database = sqlite3.connect(tmp_path / "busy.db", isolation_level=None)
    database.execute("CREATE TABLE held (x)")
    database.execute("BEGIN EXCLUSIVE")
    assert "busy" in refused([*run, f"sqlite:///{tmp_path}/busy.db"], monkeypatch, capsys)
    database.close()


def test_results_of_an_unknown_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(["results", "nothing", "--storage", str(tmp_path)], monkeypatch, capsys)
    assert "'nothing'" in line
