"""earlyprune's front door: the command line, and the public names.

Names of ``pruning`` (Pruner, EPI, Policy, ...) can be imported from here.
"""

from __future__ import annotations

from typing import Any

from earlyprune.commands.run import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    from earlyprune.commands import run

    return getattr(run, name)
