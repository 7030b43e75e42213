"""How long an epoch takes, beside a loop written by hand and another checkout.

    python -m benchmarks.throughput --json throughput.json [--base DIR]

A process each, one thread, in turns; each figure is the median over the rounds of the ratio within
a round, with the least and the largest: what slows the machine down slows all of a round. base: the
plain task by the checkout DIR; its steps are timed by this one's benchmark.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.output import command, made, table, write_json
from benchmarks.throughput.cases import cases

ROOT = Path(__file__).parents[2]
PAIRS = {
    "ours": ("ours", "by hand"),
    "channels_last: auto": ("auto", "by hand, last"),
    "bf16, channels_last: auto": ("bf16", "by hand, bf16"),
}
"""What is shown: our way, and the hand-written loop of the same settings."""


def seconds(case: str, way: str, pruning: Path, epochs: int) -> float:
    """The least of some epochs of a process, in seconds of CPU."""
    line = [sys.executable, "-m", "benchmarks.throughput.one", "--case", case, "--way", way]
    done = subprocess.run(
        [*line, "--epochs", str(epochs), "--pruning", str(pruning)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(min(json.loads(done.stdout.splitlines()[-1])))


def measured(case: str, rounds: int, epochs: int, base: Path | None) -> dict[str, Any]:
    """A row: ratios by what is shown."""
    ways = [way for pair in PAIRS.values() for way in pair]
    taken: list[dict[str, float]] = []
    for _ in range(rounds):
        one = {way: seconds(case, way, ROOT, epochs) for way in ways}
        taken.append(one | ({"base": seconds(case, "ours", base, epochs)} if base else {}))
    row: dict[str, Any] = {"case": case, "base_seconds": None, "shown": {}}
    if base:
        row["base_seconds"] = median(one["base"] for one in taken)
    for shown, (ours, by_hand) in PAIRS.items():
        row["shown"][shown] = {
            "seconds": median(one[ours] for one in taken),
            "to_handwritten": _spread([one[ours] / one[by_hand] for one in taken]),
            "to_base": _spread([one[ours] / one["base"] for one in taken]) if base else None,
        }
    return row


def _spread(ratios: Sequence[float]) -> dict[str, float]:
    return {"median": median(ratios), "least": min(ratios), "largest": max(ratios)}


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """A line a case and way."""

    def shown(ratio: dict[str, float] | None) -> str:
        if ratio is None:
            return "-"
        return f"{ratio['median']:.2f} ({ratio['least']:.2f}..{ratio['largest']:.2f})"

    lines = [
        [row["case"], name, f"{one['seconds']:.3f}"]
        + [shown(one[ratio]) for ratio in ("to_handwritten", "to_base")]
        for row in rows
        for name, one in row["shown"].items()
    ]
    return table(["case", "settings", "s/epoch", "of by hand", "of base"], lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--base", type=Path, metavar="DIR", help="a checkout to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3, help="of each process")
    parser.add_argument("--only", nargs="+", choices=list(cases()), help="these cases")
    arguments = sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(arguments)
    if given.rounds < 1 or given.epochs < 1:
        parser.error("--rounds, --epochs: allowed: 1 and more")
    if given.base and not (given.base / "pruning").is_dir():
        parser.error(f"--base: {given.base.name!r} holds no pruning/")
    base = given.base and given.base.resolve()
    rows = [measured(c, given.rounds, given.epochs, base) for c in given.only or cases()]
    print(as_table(rows))
    if given.json:
        how = made("CPU, 1 thread", command("benchmarks.throughput", arguments))
        ratios = {
            key: {
                row["case"]: {name: one[part] for name, one in row["shown"].items()} for row in rows
            }
            for key, part in (
                ("epoch_ratio_to_base", "to_base"),
                ("epoch_ratio_to_handwritten", "to_handwritten"),
            )
        }
        write_json(given.json, {"benchmark": "throughput", **how, **ratios, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
