"""What the system tests share: a PostgreSQL server, and sweeps that end with their test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sweeping import ROOT, Sweeping, facts

from benchmarks.chaos.postgres import Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., Sweeping]]:
    """Starts a `Sweeping`; none outlives the tests of a file."""
    started: list[Sweeping] = []

    def begin(*arguments: Any) -> Sweeping:
        started.append(Sweeping(*arguments))
        return started[-1]

    yield begin
    for sweep in started:
        sweep.kill()


@pytest.fixture(scope="session")
def quickstart_here(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The table of the quick start's first seed, run plainly on this computer."""
    storage = tmp_path_factory.mktemp("quickstart-here")
    command = [sys.executable, "-m", "earlyprune", "run", "sweeps/configs/quickstart.yaml"]
    options = ["--storage", str(storage), "--set", "seeds=[0]"]
    subprocess.run([*command, *options], cwd=ROOT, check=True, capture_output=True)
    return facts(storage, "quickstart")
