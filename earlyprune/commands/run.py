"""To run a sweep, and to say what it would train."""

from __future__ import annotations

import json
import os
import shlex
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from earlyprune.commands.console import console, suggest
from earlyprune.commands.options import AsJson, Change, Config, Storage, TrackingUri, read_sweep
from pruning.errors import InputError
from sweeps.storage.files import DEFAULT_STORAGE

if TYPE_CHECKING:
    from dashboards.pictures import PictureFiles
    from sweeps.file.sweep import Sweep
    from sweeps.planning.timings import Timings
    from sweeps.results.rows import Row
    from sweeps.running.run import Mode, Outcome


def run(
    config: Config,
    storage: Storage = DEFAULT_STORAGE,
    tracking_uri: TrackingUri = None,
    change: Change = None,
    independent: Annotated[
        bool, typer.Option("--independent", help="Train every trial alone, sharing nothing.")
    ] = False,
    study: Annotated[
        str | None,
        typer.Option(
            help="Optuna's database of a search, postgresql://... [env: EARLYPRUNE_STUDY]"
        ),
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Train nothing: replay what is stored, without Ray.")
    ] = False,
) -> None:
    """Run a sweep here, or on the Ray cluster at RAY_ADDRESS; run again, it goes on."""
    if independent and replay:
        raise InputError("--replay: replays shared training, --independent shares none: give one")
    sweep = _kept_in(read_sweep(config, change), study)
    _check_addresses(sweep, storage, tracking_uri)
    from cluster.connection import ray_session
    from cluster.scheduled import stop_when_asked
    from dashboards.pictures import PictureFiles
    from sweeps.running import ending
    from sweeps.running.opening import open_sweep
    from sweeps.running.run import Mode

    mode, needs = Mode(independent, train=not replay), sweep.resources
    opened = open_sweep(sweep, mode, storage, tracking_uri, partial(console.print, markup=False))
    pictures = PictureFiles(opened.store, storage, opened.name)
    with nullcontext() if replay else ray_session(needs.cpus, needs.gpus):
        stop_when_asked()  # once Ray is there, which takes the signal for itself
        outcome = opened.run(console, pictures.make)
    _show(outcome, pictures)
    _suggest(opened.name, storage, tracking_uri, outcome.study)
    _complain(outcome.rows, mode)
    raise typer.Exit(ending.exit_code(outcome.rows, mode))


def plan(
    config: Config,
    storage: Storage = DEFAULT_STORAGE,
    change: Change = None,
    as_json: AsJson = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Train for some seconds to estimate hours.")
    ] = False,
) -> None:
    """Say what a sweep would train, alone and shared; needs neither its data nor its model."""
    sweep = read_sweep(config, change)
    from dashboards.plans import plan_lines
    from sweeps.planning.plan import plan as plan_sweep
    from sweeps.storage.store import Store

    timings = _timings(sweep) if calibrate else None
    figures = plan_sweep(sweep, sweep.trials(), Store(storage), timings)
    if as_json:
        print(json.dumps(figures, indent=1))
    else:
        console.print("\n".join(plan_lines(figures)), markup=False, highlight=False)


def _timings(sweep: Sweep) -> Timings:
    from sweeps.planning.calibration import calibrate
    from sweeps.running import preflight

    return calibrate(sweep, preflight.check(sweep))


def _kept_in(sweep: Sweep, study: str | None) -> Sweep:
    """EARLYPRUNE_STUDY may be set for all sweeps, of which some have no search."""
    address = study or (os.environ.get("EARLYPRUNE_STUDY") if sweep.search else None)
    return sweep.kept_in(address) if address else sweep


def _check_addresses(sweep: Sweep, storage: str, tracking_uri: str | None) -> None:
    """What can be said of them without a look at what is there, and so at once."""
    from cluster.scheduled import check_lasting
    from sweeps.storage.files import open_files
    from sweeps.tracking.address import scheme_of

    kept = sweep.search.study if sweep.search else None
    check_lasting(storage, tracking_uri, kept, bool(sweep.search))
    open_files(storage)
    if tracking_uri:
        scheme_of(tracking_uri)


def _show(outcome: Outcome, pictures: PictureFiles) -> None:
    from dashboards import tables
    from sweeps.running import ending

    console.print(tables.settings_table(outcome.rows))
    for line in ending.warned(outcome.rows):
        console.print(line, markup=False)
    for part in tables.standing(outcome.standing):
        console.print(part)
    console.print(ending.shared(outcome))
    console.print(f"plot: {pictures.plot}", soft_wrap=True)
    console.print(f"report: {pictures.report}", soft_wrap=True)


def _suggest(name: str, storage: str, tracking_uri: str | None, study: str | None) -> None:
    from sweeps.tracking.address import without_password

    same = [] if storage == DEFAULT_STORAGE else ["--storage", storage]
    suggest("trials", "results", name, *same)
    suggest("a trial's network", "export", name, "TRIAL", *same)
    shown = ["--tracking-uri", without_password(tracking_uri)] if tracking_uri else []
    suggest("MLflow", "ui", *same, *shown)
    if study:
        console.print(f"study: optuna-dashboard {shlex.quote(study)}", soft_wrap=True)


def _complain(rows: list[Row], mode: Mode) -> None:
    from sweeps.running import ending

    for line in ending.failed(rows):
        console.print(line, markup=False, soft_wrap=True)
    if left := ending.unfinished(rows, mode):
        console.print(left)
