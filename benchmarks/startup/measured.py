"""Every command once, each in a process of its own, by the code of one checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.startup import one

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "sweeps/configs/quickstart.yaml"
AFFECTS_US = ("EARLYPRUNE_", "MLFLOW_", "RAY_", "PYTHON")

Figures = dict[str, float]


@dataclass(frozen=True)
class Command:
    """code: that it is to end with."""

    arguments: str
    code: int = 0


COMMANDS = {
    "driver": Command("run sweep.yaml --storage runs"),
    "results": Command("results startup --storage runs"),
    "plan": Command("plan sweep.yaml --storage runs"),
    "refused": Command("run wrong.yaml --storage runs", code=2),
    "help": Command("--help"),
}
"""In this order: what the driver has stored is looked at."""


def sweep() -> dict[str, Any]:
    """The quick start's task for one epoch, dense and once."""
    task = yaml.safe_load(QUICKSTART.read_text(encoding="utf-8"))["task"]
    return {"name": "startup", "task": {**task, "epochs": 1}, "policies": ["dense"]}


def measured(build: Path, folder: Path) -> dict[str, Figures]:
    """What each command costs. build: the checkout. folder: an empty one, to run them in."""
    right = sweep()
    _write(folder / "sweep.yaml", right)
    _write(folder / "wrong.yaml", {**right, "task": {**right["task"], "epoch": 1}})
    return {name: _figures(command, build, folder) for name, command in COMMANDS.items()}


def _figures(command: Command, build: Path, folder: Path) -> Figures:
    """Raises RuntimeError with its last words if it ends otherwise than it is to."""
    file = folder / "figures.json"
    done = subprocess.run(
        [sys.executable, "-P", str(one.__file__), str(file), *command.arguments.split()],
        cwd=folder,
        env=_environment(build),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != command.code:
        words = f"{done.stdout}\n{done.stderr}".strip()[-500:]
        raise RuntimeError(f"{command.arguments} ended with {done.returncode}: {words}")
    found: Figures = json.loads(file.read_text())
    file.unlink()
    return found


def _environment(build: Path) -> Mapping[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(AFFECTS_US)}
    return {**ours, "PYTHONPATH": str(build), "OMP_NUM_THREADS": "1"}


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(yaml.safe_dump(dict(content)), encoding="utf-8")
