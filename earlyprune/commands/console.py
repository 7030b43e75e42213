"""What is printed for people, and commands for them to copy."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from rich.console import Console

console = Console(width=None if sys.stdout.isatty() else 150)


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
