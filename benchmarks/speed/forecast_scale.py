"""What BEP's forecasts cost: seconds and memory of one decision, each in a process of its own.

Measured are the filters of all convolutions of a ResNet-50 (53 layers, 26,560 units) after 20
epochs of 90, one layer of rising width, networks of rising size, and more and more measurements.
The saliencies are drawn: curves that fall to a value of their own, and noise. "fit" is what the
hyperparameters take, "decide" the rest: posterior, samples and greedy step.

    python -m benchmarks.speed forecast-scale --json forecast-scale.json
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.output import command, made, table, write_json
from pruning.history import History, Record
from pruning.policies.bep import BEP
from pruning.policies.selection import Scope
from pruning.structure.layout import Layout

EPOCHS = 90
PENALTY = 1e-2
"""For saliencies between 0 and 1; some hundred units of a ResNet-50 are kept for their gain."""


@dataclass(frozen=True)
class Case:
    """One decision. widths: units of each layer. measurements: epochs trained."""

    name: str
    widths: tuple[int, ...]
    measurements: int = 20
    scope: Scope = "layer"


def resnet50() -> tuple[int, ...]:
    """The filters of a ResNet-50's convolutions."""
    widths = [64]
    for blocks, width in ((3, 64), (4, 128), (6, 256), (3, 512)):
        widths += [4 * width]  # of the shortcut
        widths += [width, width, 4 * width] * blocks
    return tuple(widths)


def cases() -> list[Case]:
    """All that is measured."""
    network = resnet50()
    return [
        Case("ResNet-50", network),
        Case("ResNet-50", network, scope="global"),
        *(Case("one layer", (width,)) for width in (256, 512, 1024, 2048)),
        *(Case("layers of 250", (250,) * count) for count in (4, 10, 20, 40, 100)),
        *(Case("ResNet-50", network, count) for count in (5, 10, 40, 80)),
    ]


def drawn(case: Case) -> History:
    """A history of so many measurements."""
    draw = np.random.default_rng(0)
    layout = Layout(tuple(map(str, range(len(case.widths)))), case.widths)
    start, end = draw.random((2, layout.total))
    records = []
    for epoch in range(case.measurements + 1):
        curve = end + (start - end) / (1 + epoch / 5)
        scores = curve * np.exp(0.2 * draw.normal(size=layout.total))
        alive = np.ones(layout.total, dtype=np.bool_)
        records.append(Record(epoch, alive, {BEP().saliency.key: scores.astype(np.float32)}))
    return History.of(layout, records, EPOCHS)


def measured(case: Case) -> dict[str, Any]:
    """Seconds and memory of the first decision; run in a fresh process."""
    torch.set_num_threads(1)
    policy = BEP(scope=case.scope, penalty=PENALTY, burn_in=0)
    policy.decide(drawn(Case("what torch loads at first", (8,), 3)))
    history = drawn(case)
    before = _peak()
    first, busy, action = _timed(policy, history)
    peak = _peak()
    again, _, same = _timed(policy, history)  # the hyperparameters are remembered
    if action != same:
        raise RuntimeError("the same history gave two actions")
    return {
        **asdict(case),
        "widths": None,
        "layers": len(case.widths),
        "units": sum(case.widths),
        "seconds": first,
        "cpu_seconds": busy,
        "fit_seconds": max(0.0, first - again),
        "decide_seconds": again,
        "peak_mib": peak,
        "peak_mib_of_the_decision": peak - before,
        "pruned": len(action.units) if action else 0,
    }


def _timed(policy: BEP, history: History) -> tuple[float, float, Any]:
    began, busy = time.perf_counter(), time.process_time()
    action = policy.decide(history)
    return time.perf_counter() - began, time.process_time() - busy, action


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_a_fresh_process(case: Case) -> dict[str, Any]:
    """``measured``, with nothing left of the case before."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measured, case).result()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed forecast-scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--largest", type=int, help="leave out cases of more units")
    parser.add_argument("--json", type=Path, help="file for the results")
    arguments = sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(arguments)
    chosen = [c for c in cases() if given.largest is None or sum(c.widths) <= given.largest]
    rows, results = [], []
    for case in chosen:
        found = in_a_fresh_process(case)
        results.append({key: value for key, value in found.items() if value is not None})
        counts = (found["layers"], found["units"], found["measurements"])
        parts = ("seconds", "cpu_seconds", "fit_seconds", "decide_seconds")
        memory = (found["peak_mib"], found["peak_mib_of_the_decision"])
        rows.append(
            [f"{case.name}, {case.scope}", *(f"{count:,}" for count in counts)]
            + [f"{found[part]:.2f}" for part in parts]
            + [f"{mib:,.0f}" for mib in memory]
        )
    header = ["case", "layers", "units", "measured", "s", "CPU s", "fit", "decide"]
    header += ["peak MiB", "of it own"]
    print(table(header, rows))
    if given.json:
        where = made("CPU, 1 thread", command("benchmarks.speed", ["forecast-scale", *arguments]))
        write_json(given.json, {"benchmark": "forecast_scale", **where, "rows": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
