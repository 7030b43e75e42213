"""Running a sweep: its trials ride what is stored, and what is missing is trained on Ray Tune."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pruning.errors import InputError
from pruning.settings import digest
from sweeps.file.sweep import Sweep
from sweeps.file.trials import TrialSpec
from sweeps.judging.standing import Standing, standing
from sweeps.judging.table import read_rows
from sweeps.results.rows import Row
from sweeps.running.driver import Driver
from sweeps.running.progress import Display
from sweeps.storage.files import StorageError, here
from sweeps.storage.lock import locked
from sweeps.storage.store import Store, folder_name
from sweeps.tracking.address import without_password
from sweeps.tracking.tracker import Tracker

if TYPE_CHECKING:  # Optuna takes a second to import
    from sweeps.search.study import Study


@dataclass(frozen=True)
class Outcome:
    """How a sweep went.

    rows: one a trial. standing: the front and what is saved. trained: epochs this run has trained.
    distinct: epochs that the finished trials stand on. alone: what they would have been, each trial
    for itself. study: where that of the search is, without a password.
    """

    rows: list[Row]
    standing: Standing
    trained: int
    distinct: int
    alone: int
    study: str | None = None


Pictures = Callable[[Standing], Iterable[Path]]


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
    pictures: Pictures = lambda standing: (),
) -> Outcome:
    """Train what is not stored yet. Ray must be connected, unless ``mode`` only replays.

    Run again, it goes on: what is stored is replayed. MLflow is told about all trials; what it has
    already is not logged twice. One driver at a time works on a task (of one with sampled fields
    the middle counts), a second one waits. pictures: makes the files that the sweep's run in MLflow
    is to hold, once the sweep has ended. Raises StorageError if the storage fails.
    """
    entries = {entry.place: entry for entry in sweep.entries}.values()
    tasks = sorted({entry.at(entry.base, 0).task.address() for entry in entries})
    name = sweep_name(sweep, mode)

    def waiting(holder: dict[str, Any]) -> None:
        console.print(
            f"waiting for another earlyprune on this storage: {holder.get('owner', 'unknown')}, "
            f"process {holder.get('pid')} on {holder.get('host')}",
            markup=False,
        )

    names = [*(f"task-{task}" for task in tasks), f"sweep-{folder_name(name)}"]
    with locked(store.files, names, owner=f"sweep {name!r}", wait=waiting):
        return _run(sweep, trials, store, tracking_uri, console, mode, pictures)


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
    pictures: Pictures,
) -> Outcome:
    name = sweep_name(sweep, mode)
    beside = here(store.files.address) / "mlartifacts"
    tracker = Tracker(tracking_uri, name, name, {"earlyprune.sweep": name}, beside)
    ended = False
    try:
        study = open_study(sweep, name, store, tracking_uri) if sweep.search else None
        with Display(console, len(trials), sweep.task.epochs) as display:
            driver = Driver(sweep, name, store, tracker, display, mode.independent, study)
            driver.start(trials)
            if mode.train:
                _train(sweep, driver)
            if driver.searcher:  # the table says what the study was told
                driver.searcher.close()
            else:
                driver.journal.settle()
        rows = read_rows(store, name)
        stands = standing(rows, sweep.objectives, sweep.reference)
        tracker.figures(stands.figures())
        for path in pictures(stands):
            tracker.artifact(path)
        ended = all(row["status"] != "unfinished" for row in rows)
    finally:
        tracker.close("FINISHED" if ended else "KILLED")
    finished = [rider for rider in driver.tree.riders.values() if rider.finished]
    distinct = {place for rider in finished for place in driver.library.places(rider)}
    alone = sum(rider.epochs for rider in finished)
    place = without_password(study.address) if study else None
    return Outcome(rows, stands, driver.journal.trained, len(distinct), alone, place)


def open_study(
    sweep: Sweep, name: str, store: Store, tracking_uri: str, begun: bool = False
) -> Study:
    """The study of a sweep's search; of another space, or other objectives, it is another one.

    Raises InputError if its database cannot be used; of a sweep that has ``begun`` before
    StorageError, as it could be used then: run again, it goes on.
    """
    search = sweep.search
    assert search is not None
    from sweeps.search.study import Study

    address = search.study or f"sqlite:///{here(store.files.address) / 'optuna.db'}"
    if address == tracking_uri:
        raise InputError("search.study: is MLflow's database; Optuna needs one of its own")
    policies = [[entry.policy, dict(entry.changes)] for entry in sweep.entries if entry.spaces]
    space = digest([sweep.task.identity(), policies, sweep.objectives, list(sweep.seeds)], 6)
    study = f"{name} {space}"
    try:
        return Study(address, study, sweep.objectives, search.sampler, search.seed, search.trials)
    except InputError as error:
        if begun:
            raise StorageError(f"{error}; run it again to go on") from None
        raise


def _train(sweep: Sweep, driver: Driver) -> None:
    if driver.tree.done and not driver.more() and driver.tree.done:
        return
    from sweeps.sharing.conductor import Conductor

    tree = driver.tree
    conductor = Conductor(tree, sweep.resources, sweep.snapshots, driver.heard, driver.more)
    try:
        conductor.run()
    finally:
        seen = tree.library.store.files.damaged
        for name in sorted(conductor.damaged - seen):
            warnings.warn(f"{name} was damaged and has been made again", stacklevel=2)
