"""To look at: a sweep's results, its verdicts, its report; the policies there are; MLflow."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earlyprune.commands.console import console
from earlyprune.commands.options import AsJson, Name, Storage, TrackingUri
from pruning.errors import InputError
from sweeps.storage.files import DEFAULT_STORAGE, here

if TYPE_CHECKING:
    from sweeps.results.rows import Row


class Format(StrEnum):
    """How results are printed or written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def results(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    form: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.table,
    output: Annotated[
        Path | None, typer.Option(help="A file to write instead; parquet needs one.")
    ] = None,
) -> None:
    """Print a row a trial, the Pareto set marked, or write it to a file."""
    if form is Format.parquet and output is None:
        raise InputError("--output: missing; --format parquet is written to a file")
    from dashboards import tables
    from sweeps.judging.table import read_rows
    from sweeps.storage.store import Store

    rows = read_rows(Store(storage), name)
    if output:
        from sweeps.results.output import write

        write(output, _content(rows, form))
    elif form is Format.table:
        console.print(tables.trials_table(rows))
    else:
        print(_content(rows, form).decode())


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


def report(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    output: Annotated[Path | None, typer.Option(help="The HTML file to write.")] = None,
) -> None:
    """Write a sweep's report: one HTML file that opens in a browser without a network."""
    from dashboards import report as reporting
    from dashboards.pictures import report_place
    from sweeps.storage.store import Store

    print(reporting.write(Store(storage), name, output or report_place(storage, name)))


def policies() -> None:
    """List the policies, their papers, settings and defaults."""
    from dashboards.tables import policies_table
    from pruning.policies import POLICIES

    console.print(policies_table(POLICIES.values()))


def ui(
    storage: Storage = DEFAULT_STORAGE,
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open MLflow's UI on what the storage holds."""
    from sweeps.tracking.address import check_tracking, database_in

    uri = tracking_uri or database_in(here(storage))
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
