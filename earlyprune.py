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

from cluster.commands import app as cluster_app
from pruning.errors import InputError
from sweeps.storage.files import DEFAULT_STORAGE, here

if TYPE_CHECKING:
    import pandas as pd

    from sweeps.judging.standing import Standing
    from sweeps.results.rows import Row
    from sweeps.running.run import Outcome

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
store_app = typer.Typer(no_args_is_help=True)
app.add_typer(store_app, name="store", help="Look at what is stored, and make room.")
app.add_typer(cluster_app)
console = Console(width=None if sys.stdout.isatty() else 150)

Config = Annotated[Path, typer.Argument(help="The sweep file (YAML).")]
Name = Annotated[str, typer.Argument(help="The sweep's name.")]
Storage = Annotated[
    str,
    typer.Option(
        envvar="EARLYPRUNE_STORAGE",
        help="Folder of all that is trained and recorded, or an address: s3://...",
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        envvar="MLFLOW_TRACKING_URI",
        help="MLflow's address; by default an SQLite database in the storage.",
    ),
]
Change = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a field, for example task.epochs=5; may be repeated."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class NetworkFormat(StrEnum):
    """How a network is written."""

    safetensors = "safetensors"
    pt2 = "pt2"
    onnx = "onnx"


class Format(StrEnum):
    """How results are printed or written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def __getattr__(name: str) -> Any:
    import pruning

    if name == "load_network":
        from pruning.export import load_network

        return load_network
    if name in pruning.__all__:
        return getattr(pruning, name)
    raise AttributeError(f"module 'earlyprune' has no attribute {name!r}")


def load(name: str, storage: str = DEFAULT_STORAGE) -> pd.DataFrame:
    """The results of a sweep as a data frame, a row a trial in the order of the sweep.

    name: of the sweep, which has run or is running. storage: a folder, or an address: s3://...
    Columns are those of ``earlyprune results``, and ``setting.ratio``, ... for each setting.
    ``prune_epochs`` holds lists; the figures of a trial that has failed or not finished are missing
    values. Raises InputError, naming the sweeps there are.
    """
    from sweeps.judging.table import read_rows
    from sweeps.results.frame import frame
    from sweeps.storage.store import Store

    return frame(read_rows(Store(storage), name))


@app.command()
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
    from sweeps.tracking.tracker import AwayError, check_tracking, without_password

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
    uri = _tracking(storage, tracking_uri)
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
    _suggest("trials", "results", name, *same)
    _suggest("a trial's network", "export", name, "TRIAL", *same)
    shown = ["--tracking-uri", without_password(tracking_uri)] if tracking_uri else []
    _suggest("MLflow", "ui", *same, *shown)
    if outcome.study:
        console.print(f"study: optuna-dashboard {shlex.quote(outcome.study)}", soft_wrap=True)
    raise typer.Exit(_exit_code(rows, replay))


@app.command()
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


@app.command()
def results(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    form: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.table,
    output: Annotated[
        Path | None, typer.Option(help="A file to write instead; parquet needs one.")
    ] = None,
) -> None:
    """Print a row a trial, the Pareto set marked, or write it to a file."""
    from dashboards import tables
    from sweeps.judging.table import read_rows
    from sweeps.storage.store import Store

    if form is Format.parquet and output is None:
        raise InputError("--output: missing; --format parquet is written to a file")
    rows = read_rows(Store(storage), name)
    if output:
        from sweeps.results.frame import write

        write(output, _content(rows, form))
    elif form is Format.table:
        console.print(tables.trials_table(rows))
    else:
        print(_content(rows, form).decode())


@app.command()
def oracle(name: Name, storage: Storage = DEFAULT_STORAGE, as_json: AsJson = False) -> None:
    """Judge each indicator by the oracle, the best of the sweep's at_epoch trials of its cut."""
    from dashboards import tables
    from sweeps.judging import oracle as judging
    from sweeps.judging.table import read_rows
    from sweeps.storage.store import Store

    verdicts = judging.oracle(read_rows(Store(storage), name))
    if as_json:
        print(judging.to_json(verdicts))
    elif missing := judging.nothing_to_judge(verdicts):
        console.print(f"{name}: {missing}", markup=False, soft_wrap=True)
    else:
        console.print(tables.oracle_table(verdicts))


@app.command()
def report(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    output: Annotated[Path | None, typer.Option(help="The HTML file to write.")] = None,
) -> None:
    """Write a sweep's report: one HTML file that opens in a browser without a network."""
    from dashboards import report as reporting
    from sweeps.storage.store import Store, folder_name

    page = output or here(storage) / "reports" / f"{folder_name(name)}.html"
    print(reporting.write(Store(storage), name, page))


@app.command()
def export(
    name: Name,
    trial: Annotated[str, typer.Argument(help="The trial, as the results name it.")],
    storage: Storage = DEFAULT_STORAGE,
    file_format: Annotated[
        NetworkFormat, typer.Option("--format", help="How to write it.")
    ] = NetworkFormat.safetensors,
    output: Annotated[
        Path | None, typer.Option(help="The file to write; by default TRIAL.FORMAT.")
    ] = None,
) -> None:
    """Write the network a trial ended with to a file of its own; its data must be at hand."""
    from dashboards import tables
    from pruning.export import write
    from sweeps.results.networks import trained
    from sweeps.storage.store import Store

    found = trained(Store(storage), name, trial)
    if found.again:
        console.print(f"{found.again} epochs were trained again: their snapshots are gone")
    path = output or Path(f"{trial}.{file_format.value}")
    compared = write(found.training, path, file_format.value, found.about(name))
    row = found.row
    console.print(
        f"{path}: {row['params']:,} parameters, {row['macs']:,} MACs, {tables.judged(row)}",
        markup=False,
        soft_wrap=True,
    )
    console.print(
        f"read again, its outputs differ from the trained network's by {compared.difference:.2g} "
        f"at most, over {compared.samples} validation samples",
        soft_wrap=True,
    )


@store_app.command("show")
def store_show(storage: Storage = DEFAULT_STORAGE, as_json: AsJson = False) -> None:
    """Say what is stored, and how much room it takes."""
    from dashboards import tables
    from sweeps.storage.inventory import show
    from sweeps.storage.store import Store

    found = show(Store(storage))
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        for part in tables.storage(found):
            console.print(part)


@store_app.command("prune")
def store_prune(
    storage: Storage = DEFAULT_STORAGE,
    older_than: Annotated[
        str | None, typer.Option(help="Paths not written to for so long: 12h, 30d, 6w.")
    ] = None,
    sweep: Annotated[
        str | None, typer.Option(help="This sweep, and what no other sweep stands on.")
    ] = None,
    to_size: Annotated[
        str | None, typer.Option(help="What it takes to come down to so much: 10GB.")
    ] = None,
    snapshots_only: Annotated[
        bool, typer.Option("--snapshots-only", help="Of that only snapshots.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Make room: what goes is trained again where it is needed again."""
    from dashboards import tables
    from sweeps.storage import housekeeping
    from sweeps.storage.store import Store

    def agreed(removal: housekeeping.Removal) -> bool:
        console.print(tables.removal(removal))
        return yes or typer.confirm("remove this?", abort=True)

    choose = housekeeping.choice(older_than, sweep, to_size, snapshots_only)
    removal = housekeeping.prune(Store(storage), choose, agreed, dry_run)
    if dry_run and removal.entries:
        console.print(tables.removal(removal))
    size, left = tables.size(removal.size), tables.size(removal.left)
    done = "would be removed" if dry_run else "removed"
    console.print(f"{size} {done}, {left} stay" if removal.entries else f"nothing {done}")


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
    from sweeps.tracking.tracker import check_tracking

    uri = _tracking(storage, tracking_uri)
    check_tracking(uri)
    server = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    os.execv(sys.executable, [*server, "--backend-store-uri", uri])


def _content(rows: list[Row], form: Format) -> bytes:
    """Results as a file holds them."""
    from dashboards import tables
    from sweeps.results.rows import to_csv, to_json

    if form is Format.parquet:
        from sweeps.results.frame import to_parquet

        return to_parquet(rows)
    if form is Format.table:
        return tables.trials_text(rows).encode()
    return (to_csv if form is Format.csv else to_json)(rows).encode()


def _tracking(storage: str, given: str | None) -> str:
    if given is None:
        here(storage).mkdir(parents=True, exist_ok=True)
    return given or f"sqlite:///{here(storage) / 'mlflow.db'}"


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


def _suggest(what: str, *arguments: str) -> None:
    """A line with a command to copy."""
    console.print(f"{what}: {shlex.join([*_command(), *arguments])}", markup=False, soft_wrap=True)


def _command() -> list[str]:
    """How to call this program again from the same folder."""
    called = Path(sys.argv[0])
    if called.suffix == ".py":
        return ["python", "-m", "earlyprune"]
    on_path = called.name == "earlyprune" and str(called.parent) in os.get_exec_path()
    return ["earlyprune" if on_path else os.path.relpath(called)]


def main() -> None:
    """The command ``earlyprune``. What a user gave and cannot be used ends it with code 2,
    a storage that is full or out of reach with code 3, a cluster that went away with code 4."""
    try:
        app()
    except InputError as error:
        _complain(error)
        sys.exit(2)
    except Exception as error:
        from cluster.errors import ClusterError
        from sweeps.storage.files import StorageError

        for kind, code in ((StorageError, 3), (ClusterError, 4)):
            if isinstance(error, kind):
                _complain(error)
                sys.exit(code)
        raise


def _complain(error: Exception) -> None:
    Console(stderr=True, soft_wrap=True).print(f"error: {error}", markup=False, highlight=False)


if __name__ == "__main__":
    main()
