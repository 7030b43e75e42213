"""The front door opens at once: help and refusals wait for nothing heavy, names for their use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from loading import HEAVY, loaded

import earlyprune
import pruning
from earlyprune.commands import app
from pruning.pruner import Pruner

SWEEP: dict[str, Any] = {
    "name": "small",
    "task": {"model": "small_cnn", "data": "digits", "epochs": 2},
    "policies": ["dense"],
}


def commands(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *path, name)


EVERY = [*commands(typer.main.get_command(app))]


def test_the_walk_finds_the_commands() -> None:
    assert {("run",), ("store", "prune"), ("manifest",), ("list",)} < set(EVERY)


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
def test_help_loads_nothing_heavy(command: tuple[str, ...]) -> None:
    found, done = loaded("-m", "earlyprune", *command, "--help")
    assert done.returncode == 0, done.stderr
    assert " ".join(["earlyprune", *command]) in done.stdout
    assert "typer" in found
    assert not HEAVY & found


COMMANDS: dict[str, list[str]] = {
    "run": [],
    "plan": [],
    "submit": [],
    "manifest": ["--image", "earlyprune:0.1.0", "--volume", "runs:/storage"],
}
FILES = {
    "not YAML": ("name: [", "not YAML"),
    "no mapping": ("just text", "a sweep file is a mapping"),
    "a misspelt field": ({**SWEEP, "polices": []}, "did you mean 'policies'"),
    "a misspelt field of the task": (
        {**SWEEP, "task": {**SWEEP["task"], "epoch": 2}},
        "did you mean 'epochs'",
    ),
    "a misspelt model": (
        {**SWEEP, "task": {**SWEEP["task"], "model": "smal_cnn"}},
        "task.model.name: unknown model 'smal_cnn'; did you mean 'small_cnn'",
    ),
    "misspelt data": (
        {**SWEEP, "task": {**SWEEP["task"], "data": "digitz"}},
        "task.data.source: unknown data 'digitz'; did you mean 'digits'",
    ),
    "a wrong type": ({**SWEEP, "seeds": "one"}, "seeds: 'one' is not allowed"),
    "an unknown policy": ({**SWEEP, "policies": ["densse"]}, "did you mean 'dense'"),
    "a misspelt setting": (
        {**SWEEP, "policies": [{"policy": "at_epoch", "epoch": 1, "ration": 0.5}]},
        "did you mean 'ratio'",
    ),
    "a misspelt saliency": (
        {**SWEEP, "policies": [{"policy": "epi", "ratio": 0.5, "saliency": "taylr"}]},
        "did you mean 'taylor'",
    ),
    "a wrong forecast": (
        {**SWEEP, "policies": [{"policy": "bep", "ratio": 0.5, "forecast": "lmcs"}]},
        "policies.0.forecast: 'lmcs' is not allowed",
    ),
}


def refused(folder: Path, command: str, content: Any, said: str, *more: str) -> set[str]:
    """What was imported to refuse this sweep file."""
    file = folder / "sweep.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    found, done = loaded("-m", "earlyprune", command, str(file), *COMMANDS[command], *more)
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert said in done.stderr
    return found


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("file", FILES)
def test_a_file_is_refused_without_torch(file: str, command: str, tmp_path: Path) -> None:
    assert not HEAVY & refused(tmp_path, command, *FILES[file])


OF_A_SWEEP = {
    "run --set task.epochs": "key=value is needed",
    "run --storage bogus://x": "unknown kind of address 'bogus'",
    "run --tracking-uri bogus://x": "this kind of address is not known",
    "run --independent --replay": "give one",
    "manifest --workers 4:1": "--workers: '4:1' is not allowed",
}


@pytest.mark.parametrize("given", OF_A_SWEEP)
def test_an_option_for_a_sweep_is_refused_without_torch(given: str, tmp_path: Path) -> None:
    command, *options = given.split()
    assert not HEAVY & refused(tmp_path, command, SWEEP, OF_A_SWEEP[given], *options)


OPTIONS = {
    "results x --format parquet": "--output: missing",
    "store prune": "give one of --older-than, --sweep and --to-size",
    "store prune --older-than 3d --sweep x": "give one of --older-than, --sweep and --to-size",
    "store prune --older-than 3x": "--older-than: '3x' is not allowed",
    "store prune --to-size 3x": "--to-size: '3x' is not allowed",
    "list --address nonsense": "--address: 'nonsense' is not allowed",
    "status x --address nonsense": "--address: 'nonsense' is not allowed",
    "logs x --address nonsense": "--address: 'nonsense' is not allowed",
    "stop x --address nonsense": "--address: 'nonsense' is not allowed",
    "submit x --address nonsense": "--address: 'nonsense' is not allowed",
}


@pytest.mark.parametrize("given", OPTIONS)
def test_an_option_is_refused_without_torch(given: str) -> None:
    found, done = loaded("-m", "earlyprune", *given.split())
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert OPTIONS[given] in done.stderr
    assert not HEAVY & found


@pytest.mark.parametrize(
    "room", ["chaos", "fidelity", "gpu", "sharing", "sharing.submissions", "speed", "startup"]
)
def test_help_of_a_benchmark_loads_nothing_heavy(room: str) -> None:
    found, done = loaded("-m", f"benchmarks.{room}", "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
    assert not HEAVY & found


def test_names_are_loaded_when_they_are_asked_for() -> None:
    found, done = loaded("-c", "import earlyprune; print(earlyprune.load.__name__)")
    assert done.stdout == "load\n"
    assert not {*HEAVY, "pydantic", "numpy", "typer", "rich"} & found
    own = ("load", "load_network", "read_card")
    assert {*own, *pruning.__all__} == set(earlyprune.__all__)
    assert all(callable(getattr(earlyprune, name)) for name in (*own, "saliency"))
    assert earlyprune.Pruner is Pruner
    with pytest.raises(AttributeError, match="module 'earlyprune' has no attribute 'prunner'"):
        _ = earlyprune.prunner
