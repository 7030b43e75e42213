"""What the system tests share: a PostgreSQL server, and sweeps that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from postgres import Postgres
from sweeping import Sweeping


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
