"""To run a sweep, and to say what it would train."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earlyprune.commands.console import console, suggest
from earlyprune.commands.options import AsJson, Change, Config, Storage, TrackingUri
from pruning.errors import InputError
from sweeps.storage.files import DEFAULT_STORAGE, here

if TYPE_CHECKING:
    from sweeps.judging.standing import Standing
    from sweeps.results.rows import Row
    from sweeps.running.run import Outcome


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
    from contextlib import nullcontext

    from cluster.connection import ray_session
    from cluster.scheduled import check_lasting, stop_when_asked
    from dashboards import plots, report, tables
    from sweeps.file.sweep import read
    from sweeps.judging.table import read_rows
    from sweeps.results.rows import count_warnings
    from sweeps.running import preflight
    from sweeps.running.run import Mode, open_study, sweep_name
    from sweeps.running.run import run as run_sweep
    from sweeps.storage.store import Store, folder_name
    from sweeps.tracking.address import AwayError, check_tracking, database_in, without_password

    if independent and replay:
        raise InputError("--replay: replays shared training, --independent shares none: give one")
    mode = Mode(independent, train=not replay)
    sweep = read(config, change or [])
    study = study or (os.environ.get("EARLYPRUNE_STUDY") if sweep.search else None)
    if study:
        sweep = sweep.kept_in(study)
    kept = sweep.search.study if sweep.search else None
    check_lasting(storage, tracking_uri, kept, bool(sweep.search))
    trials = preflight.check(sweep)
    store = Store(storage)
    store.files.check()
    uri = tracking_uri or database_in(here(storage))
    needs, name = sweep.resources, sweep_name(sweep, mode)
    begun = store.knows(name)
    try:
        check_tracking(uri)
    except AwayError as error:
        if not begun:
            raise
        console.print(f"{error}; the sweep goes on", markup=False)
    if sweep.search:
        open_study(sweep, name, store, uri, begun)
    file = folder_name(name)
    picture, page = (
        here(storage) / "plots" / f"{file}.png",
        here(storage) / "reports" / f"{file}.html",
    )

    def pictures(stands: Standing) -> list[Path]:
        figure = plots.sweep_figure(read_rows(store, name), name)
        return [plots.save(figure, picture), report.write(store, name, page)]

    with nullcontext() if replay else ray_session(needs.cpus, needs.gpus):
        stop_when_asked()  # once Ray is there, which takes the signal for itself
        outcome = run_sweep(sweep, trials, store, uri, console, mode, pictures)
    rows = outcome.rows
    console.print(tables.settings_table(rows))
    for warning, count in count_warnings(rows).most_common():
        console.print(f"warning in {count} of {len(rows)} trials: {warning}", markup=False)
    for part in tables.standing(outcome.standing):
        console.print(part)
    console.print(_shared(outcome))
    console.print(f"plot: {picture}", soft_wrap=True)
    console.print(f"report: {page}", soft_wrap=True)
    same = [] if storage == DEFAULT_STORAGE else ["--storage", storage]
    suggest("trials", "results", name, *same)
    suggest("a trial's network", "export", name, "TRIAL", *same)
    shown = ["--tracking-uri", without_password(tracking_uri)] if tracking_uri else []
    suggest("MLflow", "ui", *same, *shown)
    if outcome.study:
        console.print(f"study: optuna-dashboard {shlex.quote(outcome.study)}", soft_wrap=True)
    raise typer.Exit(_exit_code(rows, replay))


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
    from dashboards.plans import plan_lines
    from sweeps.file.sweep import read
    from sweeps.planning.plan import plan as plan_sweep
    from sweeps.storage.store import Store

    sweep = read(config, change or [])
    timings = None
    if calibrate:
        from sweeps.planning import calibration
        from sweeps.running import preflight

        timings = calibration.calibrate(sweep, preflight.check(sweep))
    figures = plan_sweep(sweep, sweep.trials(), Store(storage), timings)
    if as_json:
        print(json.dumps(figures, indent=1))
    else:
        console.print("\n".join(plan_lines(figures)), markup=False, highlight=False)


def _shared(outcome: Outcome) -> str:
    """What sharing saved."""
    times = outcome.alone / outcome.distinct if outcome.distinct else 1
    return (
        f"epochs: {outcome.trained:,} trained now; the trials stand on {outcome.distinct:,} "
        f"distinct ones, alone they would be {outcome.alone:,} ({times:.1f} times as many)"
    )


def _exit_code(rows: list[Row], replay: bool) -> int:
    """0; 1 if a trial failed; 130, as for any interrupted command, if some have not ended."""
    failed = [row for row in rows if row["status"] == "failed"]
    left = sum(row["status"] == "unfinished" for row in rows)
    for row in failed:
        console.print(f"{row['trial']} failed: {row['reason']}", markup=False, soft_wrap=True)
    if left and replay:
        console.print(f"{left} of {len(rows)} trials need epochs that are not stored")
        return 1
    if left:
        console.print(f"stopped with {left} of {len(rows)} trials to go; run it again to go on")
    return 130 if left else int(bool(failed))
