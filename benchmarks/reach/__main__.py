"""Which networks can be cut, how exactly, and how much of them, beside Torch-Pruning.

    python -m benchmarks.reach --json reach.json [--suite zoo] [--base DIR] [--only NAME ...]

Each network is built, traced, cut to half of every layer and trained for two steps, one thread and
a process each, with a limit of time and memory. Torch-Pruning 1.6 does the same as it comes, and
with the numbers of heads given by hand. A check that shares no code with ours says what is exact.

works: it was cut, and trained on. reach: share of the output channels of convolutions and linear
layers that can be removed, output layers and those of one channel left out. macs: what is left.
Results are written as they come; run again with the same file, it goes on. --base is another
checkout, whose seconds of trace, proof and cut are measured in turns with ours.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.output import command, made, write_json
from benchmarks.reach.processes import ROOT, Limits, Row, run, timed
from benchmarks.reach.report import as_table, summary
from benchmarks.reach.suites import SUITES, names

TIMED = {
    "torchvision": ("resnet50", "vit_b_16", "swin_v2_b", "efficientnet_v2_l"),
    "timm": ("res2net50_26w_4s",),
    "zoo": (),
}
"""What is compared with the base unless ``--only`` says otherwise."""

ROUNDS = 2


def complete(row: Row, limits: Limits, base: Path | None) -> Iterator[str]:
    """Add to a row what is missing, a process at a time; what was added."""
    suite, name = row["suite"], row["name"]
    for way, key in (("ours", "ours"), ("torch-pruning", "torch_pruning")):
        if key not in row:
            row[key] = run(suite, name, way, limits)
            yield way
    if "by_hand" not in row:
        plain = row["torch_pruning"]
        row["by_hand"] = run(suite, name, "heads", limits) if plain.get("heads") else plain
        yield "by hand"
    if base and "to_base" not in row:
        row |= side_by_side(suite, name, limits, base)
        yield "beside the base"


def side_by_side(suite: str, name: str, limits: Limits, base: Path) -> Row:
    """CPU seconds and peaks of memory of this checkout and the base, in turns, the best of each."""
    turns = [[timed(suite, name, limits, place) for place in (ROOT, base)] for _ in range(ROUNDS)]
    found: Row = {"to_base": None}
    for key in ("cpu_seconds", "peak_mib"):
        pairs = zip(*turns, strict=True)
        best = [min((one[key] for one in runs if one["works"]), default=None) for runs in pairs]
        found[f"timed_{key}"], found[f"base_{key}"] = best
        if key == "cpu_seconds" and best[0] is not None and best[1] is not None:
            found["to_base"] = best[0] / best[1]
    return found


def rows_of(file: Path | None, suites: Sequence[str], only: Sequence[str]) -> list[Row]:
    """A row a network, with what the file already has of it."""
    kept = json.loads(file.read_text(encoding="utf-8"))["rows"] if file and file.is_file() else []
    known = {(row["suite"], row["name"]): row for row in kept}
    wanted = [(s, n) for s in suites for n in names(s) if not only or n in only]
    missing = {key: {"suite": key[0], "name": key[1]} for key in wanted if key not in known}
    return list({**known, **missing}.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reach",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, help="file for the results, read if it is there")
    parser.add_argument("--suite", choices=SUITES, action="append", help="all unless given")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these networks")
    parser.add_argument("--base", type=Path, metavar="DIR", help="a checkout to compare with")
    parser.add_argument("--seconds", type=float, default=600.0, help="that one process may take")
    parser.add_argument("--gib", type=float, default=12.0, help="of memory that it may take")
    arguments = sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(arguments)
    if given.base and not (given.base / "pruning").is_dir():
        parser.error(f"--base: {given.base.name!r} holds no pruning/")
    suites = given.suite or list(SUITES)
    known = {name for suite in suites for name in names(suite)}
    if unknown := [name for name in given.only if name not in known]:
        parser.error(f"--only: there is no network {unknown[0]!r} in {', '.join(suites)}")
    rows = rows_of(given.json, suites, given.only)
    how = made("CPU, 1 thread", command("benchmarks.reach", arguments))
    limits = Limits(given.seconds, given.gib)

    def save() -> None:
        if given.json:
            done = [row for row in rows if "ours" in row]
            content = {"benchmark": "reach", **how, "suites": summary(done), "rows": done}
            write_json(given.json, content)

    for row in rows:
        if row["suite"] not in suites or (given.only and row["name"] not in given.only):
            continue
        beside_base = bool(given.only) or row["name"] in TIMED[row["suite"]]
        for way in complete(row, limits, given.base if beside_base else None):
            save()
            print(f"{row['suite']} {row['name']}: {way}", file=sys.stderr, flush=True)
    save()
    print(as_table([row for row in rows if "ours" in row]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
