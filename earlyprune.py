"""earlyprune's front door: the command line, and the public names.

Names of ``pruning`` (Pruner, EPI, Policy, ...) can be imported from here.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pruning.errors import InputError

if TYPE_CHECKING:
    from sweeps.results import Row

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
console = Console(width=None if sys.stdout.isatty() else 150)

Config = Annotated[Path, typer.Argument(help="The sweep file (YAML).")]
Name = Annotated[str, typer.Argument(help="The sweep's name.")]
Storage = Annotated[Path, typer.Option(help="Folder of all that is trained and recorded.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(help="MLflow's address; by default an SQLite database in the storage."),
]
Change = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a field, for example task.epochs=5; may be repeated."),
]
DEFAULT_STORAGE = Path("earlyprune-runs")


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def __getattr__(name: str) -> Any:
    import pruning

    if name in pruning.__all__:
        return getattr(pruning, name)
    raise AttributeError(f"module 'earlyprune' has no attribute {name!r}")


@app.command()
def run(
    config: Config,
    storage: Storage = DEFAULT_STORAGE,
    tracking_uri: TrackingUri = None,
    change: Change = None,
) -> None:
    """Run a sweep here, or on the Ray cluster at RAY_ADDRESS; run again, it goes on."""
    from cluster.connection import ray_session
    from dashboards import plots, tables
    from sweeps import preflight
    from sweeps.config import read
    from sweeps.results import count_warnings
    from sweeps.run import run as run_sweep
    from sweeps.store import Store, folder_name
    from sweeps.tracking import check_tracking

    sweep = read(config, change or [])
    trials = preflight.check(sweep)
    store = Store(storage)
    store.check()
    uri = _tracking(storage, tracking_uri)
    check_tracking(uri)
    with ray_session(sweep.resources.cpus, sweep.resources.gpus):
        rows = run_sweep(sweep, trials, store, uri, console)
    console.print(tables.settings_table(rows))
    picture = store.root / "plots" / f"{folder_name(sweep.name)}.png"
    plots.save(plots.sweep_figure(rows, sweep.name), picture)
    for warning, count in count_warnings(rows).most_common():
        console.print(f"warning in {count} of {len(rows)} trials: {warning}", markup=False)
    objectives = ", ".join(f"{name} ({way})" for name, way in sweep.objectives.items())
    console.print(f"* no other setting beats it in {objectives}")
    console.print(f"plot: {picture}", soft_wrap=True)
    same = [] if storage == DEFAULT_STORAGE else ["--storage", str(storage)]
    _suggest("trials", "results", sweep.name, *same)
    _suggest("MLflow", "ui", *same, *(["--tracking-uri", tracking_uri] if tracking_uri else []))
    raise typer.Exit(_exit_code(rows))


@app.command()
def plan(
    config: Config,
    storage: Storage = DEFAULT_STORAGE,
    change: Change = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a sweep would train, and train nothing."""
    from sweeps import planning, preflight
    from sweeps.config import read
    from sweeps.store import Store

    sweep = read(config, change or [])
    figures = planning.plan(sweep, preflight.check(sweep), Store(storage))
    if as_json:
        print(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        shown = "unknown before a trial has finished" if value is None else value
        console.print(f"{name.replace('_', ' '):>20}: {shown}")


@app.command()
def results(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    form: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.table,
) -> None:
    """Print a row a trial, the Pareto set marked."""
    from dashboards import tables
    from sweeps.results import to_csv, to_json
    from sweeps.run import read_rows
    from sweeps.store import Store

    rows = read_rows(Store(storage), name)
    if form is Format.table:
        console.print(tables.trials_table(rows))
    else:
        print((to_csv if form is Format.csv else to_json)(rows))


@app.command()
def policies() -> None:
    """List the policies, their papers, settings and defaults."""
    from dashboards.tables import policies_table
    from pruning import POLICIES

    console.print(policies_table(POLICIES.values()))


@app.command()
def ui(
    storage: Storage = DEFAULT_STORAGE,
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open MLflow's UI on what the storage holds."""
    from sweeps.tracking import check_tracking

    uri = _tracking(storage, tracking_uri)
    check_tracking(uri)
    server = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    os.execv(sys.executable, [*server, "--backend-store-uri", uri])


def _tracking(storage: Path, given: str | None) -> str:
    return given or f"sqlite:///{storage / 'mlflow.db'}"


def _exit_code(rows: list[Row]) -> int:
    """0; 1 if a trial failed; 130, as for any interrupted command, if some have not ended."""
    failed = [row for row in rows if row["status"] == "failed"]
    left = sum(row["status"] == "unfinished" for row in rows)
    for row in failed:
        console.print(f"{row['trial']} failed: {row['reason']}", markup=False, soft_wrap=True)
    if left:
        console.print(f"stopped with {left} of {len(rows)} trials to go; run it again to go on")
    return 130 if left else int(bool(failed))


def _suggest(what: str, *arguments: str) -> None:
    """A line with a command to copy."""
    console.print(f"{what}: {shlex.join([_command(), *arguments])}", markup=False, soft_wrap=True)


def _command() -> str:
    """How to call this program again from the same folder."""
    called = Path(sys.argv[0])
    on_path = called.name == "earlyprune" and str(called.parent) in os.get_exec_path()
    return "earlyprune" if on_path else os.path.relpath(called)


def main() -> None:
    """The command ``earlyprune``. What a user gave and cannot be used ends it with code 2."""
    try:
        app()
    except InputError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", markup=False, highlight=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
