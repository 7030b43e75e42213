"""Running a sweep: its trials ride what is stored, and what is missing is trained on Ray Tune."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from pruning.settings import digest
from sweeps.config import Sweep, TrialSpec
from sweeps.journal import Journal
from sweeps.progress import Display
from sweeps.results import Row, mark_pareto, row
from sweeps.sharing.library import Library
from sweeps.sharing.ride import Report
from sweeps.sharing.rider import Rider, remembered
from sweeps.sharing.tree import Tree
from sweeps.storage.lock import locked
from sweeps.storage.store import Branching, Store, folder_name
from sweeps.tracking.tracker import Tracker


@dataclass(frozen=True)
class Outcome:
    """How a sweep went.

    rows: one a trial. trained: epochs this run has trained. distinct: epochs that the finished
    trials stand on. alone: what they would have been, each trial for itself.
    """

    rows: list[Row]
    trained: int
    distinct: int
    alone: int


@dataclass(frozen=True)
class Mode:
    """How a sweep is run.

    independent: every trial alone, sharing nothing. train: False refuses to train, and only replays
    what is stored.
    """

    independent: bool = False
    train: bool = True


def run(
    sweep: Sweep,
    trials: Sequence[TrialSpec],
    store: Store,
    tracking_uri: str,
    console: Console,
    mode: Mode = Mode(),
) -> Outcome:
    """Train what is not stored yet. Ray must be connected, unless ``mode`` only replays.

    Run again, it goes on: what is stored is replayed. MLflow is told about all trials; what it has
    already is not logged twice. One driver at a time works on a task, a second one waits. Raises
    StorageError if the storage fails.
    """
    task = sweep.task.address()
    name = sweep_name(sweep, mode)

    def waiting(holder: dict[str, Any]) -> None:
        console.print(
            f"waiting for another earlyprune on this storage: {holder.get('owner', 'unknown')}, "
            f"process {holder.get('pid')} on {holder.get('host')}",
            markup=False,
        )

    names = [f"task-{task}", f"sweep-{folder_name(name)}"]
    with locked(store.files, names, owner=f"sweep {name!r}", wait=waiting):
        return _run(sweep, trials, store, tracking_uri, console, mode)


def sweep_name(sweep: Sweep, mode: Mode) -> str:
    """The name results are kept under: trials that share nothing are another sweep."""
    return f"{sweep.name}-independent" if mode.independent else sweep.name


def _run(
    sweep: Sweep,
    trials: Sequence[TrialSpec],
    store: Store,
    tracking_uri: str,
    console: Console,
    mode: Mode,
) -> Outcome:
    name = sweep_name(sweep, mode)
    keys = [_key(spec, mode) for spec in trials]
    described = [
        {"id": spec.id, "key": key, "setting": spec.shown, "seed": spec.seed}
        for key, spec in zip(keys, trials, strict=True)
    ]
    content = {"name": name, "objectives": sweep.objectives, "trials": described}
    store.write_sweep(name, {**content, "config": sweep.model_dump(mode="json")})
    library = Library(store)
    tree = Tree(library, sweep.retries)
    tracker = Tracker(tracking_uri, name, name, {"earlyprune.sweep": name})
    by_key = dict(zip(keys, trials, strict=True))
    ended = False
    try:
        with Display(console, len(trials), sweep.task.epochs) as display:
            journal = Journal(by_key, library, tracker, display)

            def heard(report: Report | None) -> None:
                journal.heard(report, tree.riders)
                while tree.ended:
                    journal.ended(*tree.ended.pop(0))

            for order, (key, spec) in enumerate(by_key.items()):
                _join(tree, journal, order, key, spec, mode)
                heard(None)
            if mode.train and not tree.done:
                _train(sweep, tree, heard)
        rows = read_rows(store, name)
        ended = all(row["status"] != "unfinished" for row in rows)
    finally:
        tracker.close("FINISHED" if ended else "KILLED")
    finished = [rider for rider in tree.riders.values() if rider.finished]
    distinct = {place for rider in finished for place in library.places(rider)}
    return Outcome(rows, journal.trained, len(distinct), len(finished) * sweep.task.epochs)


def _key(spec: TrialSpec, mode: Mode) -> str:
    return digest([spec.address, "alone"]) if mode.independent else spec.address


def _join(tree: Tree, journal: Journal, order: int, key: str, spec: TrialSpec, mode: Mode) -> None:
    store = tree.library.store
    known = store.trial(key)
    state, fatal = remembered(known, spec.policy)
    if known and fatal:
        return journal.final(spec, known, [])  # it would end this process too
    trunk = Branching(spec.task, spec.seed, key if mode.independent else None)
    after = _key(spec.reference, mode) if spec.reference else None
    tree.join(Rider(key, spec.policy, trunk, spec.task.epochs, order, state, after))


def _train(sweep: Sweep, tree: Tree, heard: Any) -> None:
    from sweeps.sharing.conductor import Conductor

    conductor = Conductor(tree, sweep.resources, sweep.snapshots, heard)
    try:
        conductor.run()
    finally:
        seen = tree.library.store.files.damaged
        for name in sorted(conductor.damaged - seen):
            warnings.warn(f"{name} was damaged and has been made again", stacklevel=2)


def read_rows(store: Store, name: str) -> list[Row]:
    """The results of a sweep that has run, or is running. Raises InputError if there is none."""
    sweep = store.read_sweep(name)
    rows = []
    for trial in sweep["trials"]:
        result = store.trial(trial["key"]) or {"status": "unfinished"}
        rows.append(row(trial["id"], trial["setting"], trial["seed"], result))
    return mark_pareto(rows, sweep["objectives"])
