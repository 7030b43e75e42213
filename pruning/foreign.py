"""A wall around code that is not ours: whatever it does, what comes out is one line.

A user's module or function may exit the program, recurse without end or raise what is no Exception:
none of it may end the command with a traceback, or with a code that says all is well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pruning.errors import InputError, one_line

_LONGEST = 300


@contextmanager
def foreign(what: str, hint: str = "") -> Iterator[None]:
    """Raises ``ValueError: WHAT (Kind: text); HINT`` for all that is raised within.

    what: says what did not work, as ``'my_code:load' failed``. An InputError passes: it is a line
    already.
    """
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        raise ValueError(f"{what} ({told(error)})" + (f"; {hint}" if hint else "")) from None


def told(error: BaseException) -> str:
    """Its kind and what it says, in one line that is not too long."""
    text = " ".join(f"{type(error).__name__}: {one_line(error)}".split()).rstrip(":")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
