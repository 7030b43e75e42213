"""Turns at opening an MLflow database: who finds it empty makes its tables, which takes seconds.

MLflow itself guards nothing there, and two that make them at once spoil them for each other.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

WAIT_SECONDS = 5.0
_KEY = 0x6561726C79  # any number, if all take the same


class TurnError(Exception):
    """Another earlyprune has been opening this database for seconds: it makes MLflow's tables."""

    def __init__(self) -> None:
        super().__init__("another earlyprune is making MLflow's tables there")


@contextmanager
def folder_turn(folder: Path) -> Iterator[None]:
    """Alone among those who open a database in this folder, where its disk knows flock."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        _await(lambda: _flock(handle))
        yield
    finally:
        os.close(handle)


@contextmanager
def database_turn(engine: Engine) -> Iterator[None]:
    """Alone among those who open this PostgreSQL database.

    The lock belongs to a transaction, not to a session, as a pooler may hand that on.
    """
    from sqlalchemy import text

    ask = text(f"SELECT pg_try_advisory_xact_lock({_KEY})")
    with engine.connect() as connection:
        _await(lambda: bool(connection.execute(ask).scalar()))
        yield


def _await(take: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not take():
        if time.monotonic() > end:
            raise TurnError
        time.sleep(0.1)


def _flock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # the disk knows no such locks
        return True
    return True
