"""How fast does each search come near the front? Simulated on a sweep of which all is stored.

Every setting of a small space is trained once on every seed, shared as always. Then the project's
own searches are run many times against what is stored: they pay for each epoch that they touch
first. What a search has found is judged by the true means over all seeds of the settings it has
finished: by the hypervolume they dominate, as a share of what the whole table dominates.

    python -m benchmarks.search --storage search-bench --json search-cpu.json --picture FILE.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.fidelity import study
from benchmarks.fidelity.tasks import DIGITS
from benchmarks.output import command, made, write_json
from benchmarks.search.judging import Search, judged, stopped
from benchmarks.search.picture import draw
from benchmarks.search.report import report
from benchmarks.search.simulation import Course, Simulation
from benchmarks.search.sweep import sweep, whole
from benchmarks.search.table import Table
from sweeps.search.study import Study
from sweeps.storage.store import Store

STOPPING = " with early stopping"
SAMPLERS = ("random", "tpe", "nsga2", "gp")
STOPPED = ("random", "tpe")


def simulated(table: Table, seeds: Sequence[int], search: dict[str, Any]) -> Course:
    """One search. search: as a sweep file has it."""
    asked = sweep(seeds, search)
    assert asked.search is not None
    spec, seed, trials = asked.search.sampler, asked.search.seed, asked.search.trials
    study = Study("sqlite:///:memory:", asked.name, asked.objectives, spec, seed, trials)
    return Simulation(table, asked, study).run()


def searches(table: Table, given: argparse.Namespace) -> dict[str, Search]:
    """Every search, as often as it is repeated."""
    seeds, found = range(given.seeds), {}
    for stop, samplers in ((False, SAMPLERS), (True, STOPPED)):
        for sampler in samplers:
            search = {"sampler": sampler, "early_stopping": stop}
            search |= {"trials": given.trials, "parallel": given.parallel}
            courses = [
                simulated(table, seeds, {**search, "seed": seed})
                for seed in range(given.repetitions)
            ]
            name = sampler + STOPPING * stop
            found[name] = Search.of(courses, table)
            print(f"{name}: done {given.repetitions} times", file=sys.stderr)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = study.parser("benchmarks.search", __doc__)
    parser.set_defaults(storage="search-bench")
    parser.add_argument("--trials", type=int, default=60, help="settings that each search tries")
    parser.add_argument("--repetitions", type=int, default=10, help="of each search")
    parser.add_argument("--parallel", type=int, default=1, help="settings in flight")
    parser.add_argument("--picture", type=Path, help="PNG file of the courses")
    arguments = sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(arguments)
    study.train("search-benchmark", DIGITS, whole(), given)
    table = Table.read(sweep(range(given.seeds)), Store(given.storage))
    found = searches(table, given)
    content = {
        "table": table.described(),
        "trials": given.trials,
        "repetitions": given.repetitions,
        "parallel": given.parallel,
        "searches": {
            name: judged(search, found["random"], given.trials) for name, search in found.items()
        },
        "early_stopping": {
            name: stopped(found[name + STOPPING], found[name], table) for name in STOPPED
        },
    }
    print(report(content))
    if given.json:
        where = made("CPU, 2 workers of 1 thread", command("benchmarks.search", arguments))
        write_json(given.json, {"benchmark": "search", **where, **content})
    if given.picture:
        draw(content["searches"], given.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
