"""What ``earlyprune store prune`` is asked for, as texts; refused before the storage is opened."""

from __future__ import annotations

import re

from pruning.errors import InputError

HOURS = {"h": 1, "d": 24, "w": 7 * 24}
BYTES = {
    **{"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    **{"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40},
}


def check(age: str | None, sweep: str | None, size: str | None) -> None:
    """Raise InputError unless one thing is asked for, and can be read."""
    if [age, sweep, size].count(None) != 2:
        raise InputError("store prune: give one of --older-than, --sweep and --to-size")
    if age is not None:
        hours(age)
    if size is not None:
        count_bytes(size)


def hours(text: str) -> float:
    """Of a time such as ``30d``. Raises InputError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([hdw])", text.strip().lower())
    if match is None:
        raise InputError(
            f"--older-than: {text!r} is not allowed: give a number and h, d or w, such as 30d"
        )
    return float(match[1]) * HOURS[match[2]]


def count_bytes(text: str) -> float:
    """Of a size such as ``10GB``. Raises InputError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(\w+)", text.strip().upper())
    if match is None or match[2] not in BYTES:
        raise InputError(
            f"--to-size: {text!r} is not allowed: give a number and B, KB, MB, GB or TB, "
            f"such as 10GB"
        )
    return float(match[1]) * BYTES[match[2]]
