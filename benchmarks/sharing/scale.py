"""How the tree of shared training scales: a study of thousands of trials in simulated time.

The tree, the rides and the riders are the real ones; training and storage are simulated, GPUs
fail. Printed: what a decision of the tree takes, memory, and the makespan against the bound that
no schedule beats: the longest path, and the total work over the GPUs.

    python -m benchmarks.sharing.scale --json scale.json
"""

from __future__ import annotations

import argparse
import gc
import heapq
import random
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, quantiles
from typing import Any, ClassVar, cast

from benchmarks.output import command, made, table, write_json
from benchmarks.sharing.stand_ins import Memory, NoTrainer, Shelf
from pruning import Policy, Prune
from pruning.history import History
from pruning.training.task import Task
from sweeps.sharing.library import Library
from sweeps.sharing.ride import Ride
from sweeps.sharing.rider import Rider, State
from sweeps.sharing.tree import Branch, Tree
from sweeps.storage.store import Branching

GRID = (0, 1, 2, 3, 4, 5, 10, 15, 20, 25, 30)
REPAIR = 2.0
"""How long a GPU is away after a failure, in dense epochs."""
COLLECT = 200_000
"""Events between two collections of garbage."""


class Cut(Policy):
    """Prunes once; ``unit`` tells cuts of one epoch apart."""

    name: ClassVar[str] = "cut"
    epoch: int
    unit: int

    def decide(self, history: History) -> Prune | None:
        return Prune((self.unit,)) if history.epoch == self.epoch else None


@dataclass
class Study:
    """Trials on several seeds: a grid of pruning epochs, each trial with a cut of its own, and
    indicators that agree with others now and then.
    """

    trials: int
    epochs: int
    seeds: int
    draw: random.Random

    def riders(self) -> list[Rider]:
        task = Task.parse({"model": "small_cnn", "data": "digits", "epochs": self.epochs})
        found = []
        for number in range(self.trials):
            grid = number % 2 == 0
            epoch = self.draw.choice(GRID) if grid else self.draw.randint(5, 30)
            cut = Cut(epoch=min(epoch, self.epochs - 1), unit=number if grid else number % 97)
            trunk = Branching(task, number % self.seeds)
            found.append(Rider(str(number), cut, trunk, self.epochs, number))
        return found


class Cluster:
    """GPUs in simulated time. fails: the chance that one fails during an epoch."""

    def __init__(self, tree: Tree, shelf: Shelf, gpus: int, fails: float, draw: random.Random):
        self.tree, self.shelf, self.fails, self.draw = tree, shelf, fails, draw
        self.free = gpus
        self.now = self.work = 0.0
        self.failures = self.trained = 0
        self.took: list[float] = []  # seconds of each call of the tree
        self.lengths: dict[str, list[float]] = {}  # of a path up to each of its epochs
        self._events: list[tuple[float, int, str, Branch | None, Ride | None]] = []
        self._number = 0

    def run(self, riders: Sequence[Rider]) -> None:
        """From the first trial that joins to the last that ends."""
        for rider in riders:
            self._timed(self.tree.join, rider)
        self._hand_out()
        while self._events:
            if self._number % COLLECT == 0:
                gc.collect()
            self.now, _, what, branch, ride = heapq.heappop(self._events)
            if what == "repaired":
                self.free += 1
            elif branch and ride:
                getattr(self, f"_{what}")(branch, ride)
            self.tree.ended.clear()
            self._hand_out()

    def _hand_out(self) -> None:
        while self.free:
            branch = self._timed(self.tree.next)
            if branch is None:
                return
            self.free -= 1
            riders = []
            for rider in branch.riders:
                copy = Rider(rider.key, rider.policy, rider.trunk, rider.epochs, rider.order)
                copy.state = State(rider.state.path, rider.state.epoch)
                riders.append(copy)
            library = cast(Library, self.shelf)
            self._go_on(branch, Ride(branch.path, riders, library, NoTrainer(), "trunk"))

    def _timed(self, call: Any, *arguments: Any) -> Any:
        began = time.perf_counter()
        result = call(*arguments)
        self.took.append(time.perf_counter() - began)
        return result

    def _go_on(self, branch: Branch, ride: Ride) -> None:
        """An epoch begins; it will be trained, or its GPU will fail in the middle."""
        dense = self.shelf.store.paths[branch.path].parent is None
        seconds = (1.0 if dense else 0.6) * self.draw.uniform(0.95, 1.05)
        if self.draw.random() < self.fails:
            self._later(seconds * self.draw.random(), "fail", branch, ride)
        else:
            self.work += seconds
            self._later(seconds, "epoch", branch, ride)

    def _epoch(self, branch: Branch, ride: Ride) -> None:
        ride.advance()
        report = ride.report()
        self.trained += report.trained
        on = self._timed(self.tree.report, branch.number, report)
        if on:
            self._go_on(branch, ride)
        else:
            self.free += 1

    def _fail(self, branch: Branch, ride: Ride) -> None:
        self.failures += 1
        self._timed(self.tree.lost, branch.number, "its GPU failed")
        self._later(REPAIR, "repaired", None, None)

    def _later(self, seconds: float, what: str, branch: Branch | None, ride: Ride | None) -> None:
        self._number += 1
        heapq.heappush(self._events, (self.now + seconds, self._number, what, branch, ride))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sharing.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=90)
    parser.add_argument("--gpus", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--fails", type=float, default=0.002, help="chance a GPU and epoch")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    parser.add_argument("--json", type=Path, help="file for the results")
    arguments = sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(arguments)
    figures = simulate(given)
    print(table(["figure", "value"], [[name, shown(value)] for name, value in figures.items()]))
    if given.json:
        where = made("CPU, 1 thread", command("benchmarks.sharing.scale", arguments))
        write_json(given.json, {"benchmark": "scale", **where, **figures})
    return 0


def simulate(given: argparse.Namespace) -> dict[str, float]:
    """The study on the cluster. Raises RuntimeError if a trial did not come to its end."""
    draw = random.Random(given.seed)
    shelf = Shelf(Memory())
    tree = Tree(cast(Library, shelf), retries=10)
    began = time.perf_counter()
    riders = Study(given.trials, given.epochs, given.seeds, draw).riders()
    cluster = Cluster(tree, shelf, given.gpus, given.fails, draw)
    gc.disable()  # garbage is collected between decisions, not in them
    cluster.run(riders)
    gc.enable()
    if not all(rider.finished for rider in tree.riders.values()):
        raise RuntimeError("not every trial came to its end")
    distinct = sum(len(epochs - {0}) for epochs in shelf.store.records.values())
    longest = float(given.epochs)
    bound = max(longest, cluster.work / given.gpus)
    took = [1000 * seconds for seconds in cluster.took]
    return {
        "trials": given.trials,
        "gpus": given.gpus,
        "failures": cluster.failures,
        "epochs_alone": given.trials * given.epochs,
        "epochs_distinct": distinct,
        "epochs_trained": cluster.trained,
        "makespan": cluster.now,
        "bound_total_work": cluster.work / given.gpus,
        "bound_longest_path": longest,
        "makespan_over_bound": cluster.now / bound,
        "decisions": len(took),
        "decision_ms_mean": mean(took),
        "decision_ms_p999": quantiles(took, n=1000)[-1],
        "decision_ms_max": max(took),
        "memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "simulation_seconds": time.perf_counter() - began,
    }


def shown(value: float) -> str:
    """A figure as the table has it."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


if __name__ == "__main__":
    sys.exit(main())
