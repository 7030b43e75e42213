"""Bad input: one line that names the field, the value and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class InputError(ValueError):
    """What a user gave cannot be used. The message is one line, ready to be shown."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """``"; did you mean 'ratio'?"`` for a misspelt name, or nothing."""
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def unknown(what: str, name: object, allowed: Collection[str]) -> str:
    """The message for a name that is not among ``allowed``."""
    hint = nearest(str(name), allowed)
    return f"unknown {what} {name!r}{hint} (allowed: {', '.join(sorted(allowed))})"


def explain(error: ValidationError, prefix: str = "") -> InputError:
    """The first finding of a pydantic validation as one line under the field's dotted name."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in (prefix, *first["loc"]) if part != "")
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "missing":
        return InputError(f"{field}: missing; this field must be given")
    if first["type"] == "value_error":
        return InputError(f"{field}: {message}" if field else message)
    value = repr(first["input"])
    shown = value if len(value) <= 60 else value[:57] + "..."
    return InputError(f"{field}: {shown} is not allowed: {message[0].lower()}{message[1:]}")


def one_line(error: BaseException) -> str:
    """An error's text in one line."""
    return " ".join(str(error).split())
