"""What every benchmark hands back: a table to read and JSON to keep, neither naming a path."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, the first to the left, the others to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def aligned(line: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        return "  ".join([first, *rest]).rstrip()

    return "\n".join(
        [aligned(header), "  ".join("-" * width for width in widths)]
        + [aligned(line) for line in lines[1:]]
    )


def command(module: str, arguments: Sequence[str]) -> str:
    """The command line as another machine would type it: of a path only the last part is kept."""
    return shlex.join(["python", "-m", module, *(_without_folder(part) for part in arguments)])


def _without_folder(argument: str) -> str:
    option, sign, value = argument.rpartition("=")
    return option + sign + Path(value).name if "/" in value else argument


def made(device: str, command_line: str) -> dict[str, str]:
    """Where and how a result was made."""
    import torch  # takes seconds, which a help text need not wait for

    return {
        "device": device,
        "date": date.today().isoformat(),
        "command": command_line,
        "torch": torch.__version__,
    }


def write_json(path: Path, content: Any) -> None:
    """Indented JSON, written whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    unfinished.replace(path)
