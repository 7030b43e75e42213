"""A room of several studies, the first word of its command being which."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence


def study(room: str, names: Sequence[str]) -> int:
    """Run the study that the command line names; its exit code, 2 if there is no such study."""
    chosen = next(iter(sys.argv[1:]), "")
    if chosen not in names:
        print(f"usage: python -m {room} {{{','.join(names)}}} [--help]")
        return 0 if chosen in ("-h", "--help") else 2
    module = importlib.import_module(f"{room}.{chosen.replace('-', '_')}")
    return int(module.main(sys.argv[2:]))
