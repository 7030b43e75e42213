"""A wall around code that is not ours: whatever it does, what comes out is one line.

A user's module or function may exit the program, recurse without end, raise what is no Exception,
or raise without a word: none of it may end the command with a traceback, or with a code that says
all is well. A Ctrl-C that somebody has pressed stays one.
"""

from __future__ import annotations

import os
import signal
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

from pruning.errors import InputError, one_line

_LONGEST = 300
_PACKAGES = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_OURS = [str(Path(__file__).parents[1] / name) for name in ("pruning", "sweeps")]
_NOT_A_USERS = tuple(f"{Path(folder).resolve()}{os.sep}" for folder in (*_PACKAGES, *_OURS))
"""Where the code lies that is Python's, a package's or ours."""


class ForeignError(ValueError):
    """What code that is not ours has done."""


class ExitError(Exception):
    """What would have ended the program."""


@contextmanager
def foreign(what: str, hint: str = "") -> Iterator[None]:
    """Raises ``ForeignError: WHAT (Kind: text); HINT`` for all that is raised within.

    what: says what did not work, as ``'my_code:load' failed``. An InputError passes: it is a line
    already.
    """
    try:
        with contained():
            yield
    except (InputError, ForeignError):
        raise
    except Exception as error:
        raise ForeignError(f"{what} ({told(error)})" + (f"; {hint}" if hint else "")) from error


@contextmanager
def contained() -> Iterator[None]:
    """Whatever within would end the program raises an ExitError; a pressed Ctrl-C stays one."""
    with _exits_raise(), _interrupts() as pressed:
        try:
            yield
        except BaseException as error:
            if pressed or isinstance(error, Exception):
                raise
            raise ExitError(told(error)) from error


def contain(kind: type) -> None:
    """Let a class of a user's own be called within the wall, whoever calls it.

    That are the methods and properties which a class above it has, too: others it calls itself.
    """
    if kind.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return
    for name, value in list(vars(kind).items()):
        if not name.startswith("__") and hasattr(super(kind, kind), name):
            if isinstance(value, FunctionType):
                setattr(kind, name, _contained(value))
            elif isinstance(value, property) and value.fget:
                setattr(kind, name, property(_contained(value.fget), value.fset, value.fdel))


def _contained(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **options: Any) -> Any:
        with contained():
            return method(*args, **options)

    return call


@contextmanager
def noted(where: str) -> Iterator[None]:
    """What is raised within says where, in a note, and stays what it is."""
    try:
        yield
    except Exception as error:
        error.add_note(where)
        raise


def told_where(error: Exception) -> str:
    """``told``, with the line of the code that is neither ours nor installed, if it passed one.

    And with the notes that it bears.
    """
    text = told(error)
    own = "" if isinstance(error, ExitError) else _place(error, own=True)
    placed = text if text.endswith(own) else f"{text}{own}"
    return ", ".join([placed, *getattr(error, "__notes__", ())])


def told(error: BaseException) -> str:
    """Its kind and what it says, in one line that is not too long; where, if it says too little."""
    said = one_line(error)
    if isinstance(error, ExitError):
        return said
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    if not isinstance(error, Exception):
        return f"{text}: it would end the program{_place(error)}"
    return text if said else f"{text}{_place(error)}"


def _place(error: BaseException, own: bool = False) -> str:
    calls = [
        call
        for call in traceback.extract_tb(error.__traceback__)
        if call.filename != __file__ and not (own and _is_no_users(call.filename))
    ]
    return f", in {os.path.basename(calls[-1].filename)}, line {calls[-1].lineno}" if calls else ""


def _is_no_users(file: str) -> bool:
    return file.startswith("<") or str(Path(file).resolve()).startswith(_NOT_A_USERS)


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
