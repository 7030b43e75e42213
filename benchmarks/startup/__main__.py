"""What a command costs: CPU seconds and memory of help, results, plan, a refusal and a driver.

The driver is that of a sweep of one trial and one epoch, without its workers and without Ray's own
processes. Another checkout's commands take turns with ours, round by round, each in a process of
its own. A round takes about a minute. Needs Linux.

    python -m benchmarks.startup --base DIR --json startup.json
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.output import command, made, table, write_json
from benchmarks.startup.measured import COMMANDS, ROOT, Figures, measured

Round = dict[str, dict[str, Figures]]
"""By build (``ours``, ``base``) and command."""


def rounds(builds: dict[str, Path], count: int) -> list[Round]:
    """So many rounds; who is first changes from one to the next."""
    return [_round(dict(list(builds.items())[:: (-1) ** turn])) for turn in range(count)]


def _round(builds: dict[str, Path]) -> Round:
    found = {}
    for name, build in builds.items():
        with tempfile.TemporaryDirectory(prefix="startup-") as folder:
            found[name] = measured(build, Path(folder))
    return found


def summary(found: Sequence[Round]) -> dict[str, Any]:
    """``NAME_cpu_seconds`` and ``NAME_peak_mib`` of each command: medians over rounds.

    With a base ``NAME_cpu_to_base``, ours over the base's of the same round: median, min, max.
    """
    figures: dict[str, Any] = {}
    for name in COMMANDS:
        for unit in ("cpu_seconds", "peak_mib"):
            figures[f"{name}_{unit}"] = median(one["ours"][name][unit] for one in found)
        if "base" in found[0]:
            figures[f"{name}_cpu_to_base"] = _spread(_ratios(found, name))
    return figures


def _ratios(found: Sequence[Round], name: str) -> list[float]:
    pairs = [(one["ours"][name], one["base"][name]) for one in found]
    return [ours["cpu_seconds"] / base["cpu_seconds"] for ours, base in pairs]


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def rows(found: Sequence[Round]) -> list[dict[str, Any]]:
    """A row a command and build, with the figures of every round."""
    return [
        {"command": name, "build": build}
        | {unit: [one[build][name][unit] for one in found] for unit in ("cpu_seconds", "peak_mib")}
        for name in COMMANDS
        for build in sorted(found[0], reverse=True)
    ]


def as_table(found: Sequence[Round]) -> str:
    """The rows, ours with their share of the base."""
    lines = []
    for row in rows(found):
        name, seconds = row["command"], row["cpu_seconds"]
        shared = row["build"] == "ours" and "base" in found[0]
        ratio = _spread(_ratios(found, name)) if shared else None
        lines.append(
            [
                name,
                row["build"],
                f"{median(seconds):.2f}",
                f"{min(seconds):.2f}..{max(seconds):.2f}",
                f"{ratio['median']:.2f}" if ratio else "",
                f"{ratio['min']:.2f}..{ratio['max']:.2f}" if ratio else "",
                f"{median(row['peak_mib']):,.0f}",
            ]
        )
    header = ["command", "build", "CPU s", "min..max", "of base", "min..max", "peak MiB"]
    return table(header, lines)


def _commit(build: Path) -> str:
    """Which commit a checkout is at; its folder's name if git does not say."""
    asked = ["git", "-C", str(build), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or build.name


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.startup",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--base", type=Path, help="a checkout to compare with")
    parser.add_argument("--rounds", type=int, default=5, help="how often each command is run")
    parser.add_argument("--json", type=Path, help="file for the results")
    arguments = sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(arguments)
    if given.rounds < 1:
        parser.error(f"--rounds: {given.rounds} is not allowed (allowed: 1 and more)")
    if given.base and not (given.base / "pruning").is_dir():
        parser.error(f"--base: {str(given.base)!r} is no checkout of earlyprune")
    base = {"base": given.base.resolve()} if given.base else {}
    found = rounds({"ours": ROOT, **base}, given.rounds)
    print(as_table(found))
    if given.json:
        where = made("CPU, 1 thread", command("benchmarks.startup", arguments))
        compared = {"base": _commit(given.base)} if given.base else {}
        content = {"benchmark": "startup", **where, **compared, **summary(found)}
        write_json(given.json, {**content, "rows": rows(found)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
