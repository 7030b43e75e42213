"""What sharing saves: one oracle study with shared training, without, and as plain Ray Tune.

The quick start's task: dense, a grid of pruning epochs and ratios, EPI at 20 thresholds. Each way
is a whole command in a process of its own, timed from its start to its end; the results of all must
be the same to the last bit, times excepted.

    python -m benchmarks.sharing --json sharing.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.output import command, made, table, write_json
from benchmarks.sharing.finals import FINALS
from benchmarks.trained import trainings
from sweeps.results.rows import Row

QUICKSTART = Path(__file__).parents[2] / "sweeps/configs/quickstart.yaml"
THRESHOLDS = [round(0.80 + 0.01 * step, 2) for step in range(20)]
EPI = {
    "policy": "epi",
    "threshold": {"grid": THRESHOLDS},
    "window": 3,
    "earliest": 5,
    "latest": 0.5,
}


def study(full: bool) -> dict[str, Any]:
    """The sweep file. full: 8 epochs, 3 ratios, 2 saliencies; otherwise 6, 2 and 1."""
    sweep: dict[str, Any] = yaml.safe_load(QUICKSTART.read_text(encoding="utf-8"))
    magnitude = {"name": "magnitude", "normalize": "none"}
    cut = {
        "ratio": {"grid": [0.3, 0.5, 0.7] if full else [0.5, 0.7]},
        "saliency": {"grid": [magnitude, "taylor"]} if full else magnitude,
    }
    epochs = [0, 1, 2, 3, 4, 5, 6, 8] if full else [0, 1, 2, 3, 5, 8]
    grid = {"policy": "at_epoch", "epoch": {"grid": epochs}, **cut}
    return {**sweep, "name": "sharing", "seeds": [0], "policies": ["dense", grid, {**EPI, **cut}]}


def timed(module: str, *arguments: str) -> float:
    """Seconds a command takes. Raises RuntimeError with its last words if it fails."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(
            f"{module} {arguments} failed:\n{done.stdout[-500:]}{done.stderr[-2000:]}"
        )
    return time.monotonic() - began


def swept(config: Path, folder: Path, *options: str) -> dict[str, Any]:
    """The study as a sweep: seconds, epochs trained and distinct, hours, rows by trial."""
    from sweeps.judging.table import read_rows
    from sweeps.storage.store import Store

    wall = timed("earlyprune", "run", str(config), "--storage", str(folder), *options)
    store = Store(folder)
    name = "sharing-independent" if options else "sharing"
    rows = read_rows(store, name)
    counts = trainings(store)
    return {
        "wall": wall,
        "trained": sum(counts),
        "distinct": len(counts),
        "hours": sum(row["gpu_hours_spent"] for row in rows),
        "rows": {row["trial"]: row for row in rows},
    }


def plain(config: Path, folder: Path, *options: str) -> dict[str, Any]:
    """The study as plain Ray Tune."""
    result = folder / "plain.json"
    wall = timed("benchmarks.sharing.plain_tune", str(config), "--json", str(result), *options)
    found = json.loads(result.read_text(encoding="utf-8"))
    return {
        "wall": wall,
        "trained": found["epochs"],
        "distinct": found["epochs"],
        "hours": found["gpu_hours"],
        "rows": found["finals"],
    }


def agree(ways: Sequence[dict[str, Row]]) -> bool:
    """Whether all figures that are no times are the same in every way."""
    first = ways[0]
    return all(
        other.keys() == first.keys()
        and all(other[id][name] == first[id][name] for id in first for name in FINALS)
        for other in ways[1:]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sharing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--full", action="store_true", help="the larger study")
    parser.add_argument("--json", type=Path, help="file for the results")
    arguments = sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="sharing-") as scratch:
        folder = Path(scratch)
        config = folder / "study.yaml"
        config.write_text(yaml.safe_dump(study(given.full)), encoding="utf-8")
        ways = {
            "shared": swept(config, folder / "shared"),
            "independent": swept(config, folder / "independent", "--independent"),
            "plain Ray Tune": plain(config, folder),
            "plain, reuse_actors": plain(config, folder, "--reuse-actors"),
        }
    shared, independent, tune, reusing = ways.values()
    rows = [
        [
            name,
            str(way["trained"]),
            str(way["distinct"]),
            f"{way['hours']:.4f}",
            f"{way['wall']:.0f}",
            f"{way['trained'] / shared['trained']:.1f}",
            f"{way['wall'] / shared['wall']:.1f}",
        ]
        for name, way in ways.items()
    ]
    heads = ["way", "epochs trained", "distinct", "device-hours", "wall s", "epochs x", "wall x"]
    print(table(heads, rows))
    identical = agree([way["rows"] for way in ways.values()])
    print(f"trials: {len(shared['rows'])}; results identical in all ways: {identical}")
    if given.json:
        content = {
            "benchmark": "sharing",
            **made("CPU, 2 workers of 1 thread", command("benchmarks.sharing", arguments)),
            "trials": len(shared["rows"]),
            "epochs_shared": shared["trained"],
            "epochs_distinct": shared["distinct"],
            "epochs_independent": independent["trained"],
            "wall_shared": shared["wall"],
            "wall_independent": independent["wall"],
            "wall_plain_tune": tune["wall"],
            "wall_plain_tune_reuse_actors": reusing["wall"],
            "hours_shared": shared["hours"],
            "hours_independent": independent["hours"],
            "hours_plain_tune": tune["hours"],
            "identical": identical,
        }
        write_json(given.json, content)
    return 0 if identical and shared["trained"] == shared["distinct"] else 1


if __name__ == "__main__":
    sys.exit(main())
