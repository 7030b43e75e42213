"""Opening a sweep: whatever it stands on is looked at, and refused, before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from sweeps.file.sweep import Sweep
from sweeps.file.trials import TrialSpec
from sweeps.running import preflight
from sweeps.running.run import Mode, Outcome, Pictures, open_study, run, sweep_name
from sweeps.storage.files import here
from sweeps.storage.store import Store
from sweeps.tracking.address import AwayError, check_tracking, database_in


@dataclass(frozen=True)
class Opened:
    """A sweep that can be run. name: that its results are kept under."""

    sweep: Sweep
    name: str
    mode: Mode
    trials: list[TrialSpec]
    store: Store
    tracking_uri: str

    def run(self, console: Console, pictures: Pictures) -> Outcome:
        """Train what is not stored yet, see ``run``."""
        return run(
            self.sweep, self.trials, self.store, self.tracking_uri, console, self.mode, pictures
        )


def open_sweep(
    sweep: Sweep,
    mode: Mode,
    storage: str,
    tracking_uri: str | None,
    say: Callable[[str], object],
) -> Opened:
    """The sweep with its storage, MLflow and study, all of which can be used.

    Names come first, then addresses, as data and models may take minutes to load.

    tracking_uri: None is a database beside the storage. say: is told what is out of reach now, if a
    sweep that has begun before can do without. Raises InputError, or StorageError as ``open_study``
    does.
    """
    _ = sweep.entries  # a misspelt name leaves no folder behind
    store, name = Store(storage), sweep_name(sweep, mode)
    store.files.check()
    uri = tracking_uri or database_in(here(storage))
    begun = store.knows(name)
    try:
        check_tracking(uri)
    except AwayError as error:
        if not begun:
            raise
        say(f"{error}; the sweep goes on")
    trials = preflight.check(sweep)
    if sweep.search:
        open_study(sweep, name, store, uri, begun)
    return Opened(sweep, name, mode, trials, store, uri)
