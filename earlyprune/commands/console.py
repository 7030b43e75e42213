"""What is printed for people, and commands for them to copy."""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from pathlib import Path

from rich.console import Console

console = Console(width=None if sys.stdout.isatty() else 150, emoji=False)


def warn_in_lines() -> None:
    """Let what we warn of be a line, without the line of code that Python adds."""
    usual = warnings.formatwarning

    def told(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        line: str | None = None,
    ) -> str:
        if category is UserWarning:
            return f"warning: {message}\n"
        return usual(message, category, filename, lineno, line)

    warnings.formatwarning = told


def suggest(what: str, *arguments: str) -> None:
    """A line with a command to copy."""
    console.print(f"{what}: {shlex.join([*_command(), *arguments])}", markup=False, soft_wrap=True)


def _command() -> list[str]:
    """How to call this program again from the same folder."""
    called = Path(sys.argv[0])
    if called.suffix == ".py":
        return ["python", "-m", "earlyprune"]
    on_path = called.name == "earlyprune" and str(called.parent) in os.get_exec_path()
    return ["earlyprune" if on_path else os.path.relpath(called)]
