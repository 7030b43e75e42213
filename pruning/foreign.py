"""A wall around code that is not ours: whatever it does, what comes out is one line.

A user's module or function may exit the program, recurse without end, raise what is no Exception,
or raise without a word: none of it may end the command with a traceback, or with a code that says
all is well. A Ctrl-C that somebody has pressed stays one.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pruning.errors import InputError, one_line

_LONGEST = 300


class ForeignError(ValueError):
    """What code that is not ours has done. exits: it would have ended the program."""

    def __init__(self, message: str, exits: bool) -> None:
        super().__init__(message)
        self.exits = exits


@contextmanager
def foreign(what: str, hint: str = "") -> Iterator[None]:
    """Raises ``ForeignError: WHAT (Kind: text); HINT`` for all that is raised within.

    what: says what did not work, as ``'my_code:load' failed``. An InputError passes: it is a line
    already.
    """
    with _exits_raise(), _interrupts() as pressed:
        try:
            yield
        except (InputError, ForeignError):
            raise
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            exits = not isinstance(error, Exception)
            if exits and pressed:
                raise
            message = f"{what} ({told(error)})" + (f"; {hint}" if hint else "")
            raise ForeignError(message, exits) from error


def told(error: BaseException) -> str:
    """Its kind and what it says, in one line that is not too long; where, if it says too little."""
    said = one_line(error)
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    if not isinstance(error, Exception):
        return f"{text}: it would end the program{_place(error)}"
    return text if said else f"{text}{_place(error)}"


def _place(error: BaseException) -> str:
    calls = [
        call for call in traceback.extract_tb(error.__traceback__) if call.filename != __file__
    ]
    return f", in {os.path.basename(calls[-1].filename)}, line {calls[-1].lineno}" if calls else ""


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """The interrupts that really came meanwhile: anybody may raise a KeyboardInterrupt."""
    pressed: list[int] = []
    before: Any = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield pressed
        return

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _exits_raise() -> Iterator[None]:
    """``os._exit`` as ``sys.exit``; for other threads, and processes forked meanwhile, as ever."""
    really, here = os._exit, (os.getpid(), threading.get_ident())

    def leave(status: int) -> None:
        if (os.getpid(), threading.get_ident()) != here:
            really(status)
        raise SystemExit(status)

    os._exit = leave  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = really
