"""What is printed for people, and commands for them to copy."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import warnings

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
    """How to call this program again, from the same folder."""
    called = sys.argv[0]
    if called.endswith(".py"):
        return [_program(sys.executable, "python"), "-m", "earlyprune"]
    return [_program(called, "earlyprune")]


def _program(path: str, name: str) -> str:
    """Its name where the shell finds it by that, else its path: whole if it lies elsewhere."""
    found = shutil.which(name)
    if found and os.path.abspath(found) == os.path.abspath(path):
        return name
    near = os.path.relpath(path)
    if near.startswith(os.pardir):
        return os.path.abspath(path)
    return os.path.join(os.curdir, near) if os.sep not in near else near
