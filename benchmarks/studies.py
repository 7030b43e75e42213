"""A room of several studies, the first word of its command being which."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence


def study(room: str, names: Sequence[str]) -> int:
    """Run the study that the command line names; its exit code, 2 if there is no such study."""
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        print(f"usage: python -m {room} {{{','.join(names)}}} [--help]")
        return 2
    module = importlib.import_module(f"{room}.{sys.argv[1].replace('-', '_')}")
    return int(module.main(sys.argv[2:]))
