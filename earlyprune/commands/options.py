"""Arguments and options that several commands take, and the reading of a sweep file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sweeps.file.sweep import Sweep

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


def read_sweep(config: Path, change: list[str] | None) -> Sweep:
    """The sweep file with its changes. Raises InputError.

    To be called before a command imports anything else: whoever has misspelt a field need not wait.
    """
    from sweeps.file.sweep import read

    sweep = read(config, change or [])
    _ = sweep.entries  # every policy with its settings
    return sweep
