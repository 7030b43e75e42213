"""What is stored: a look at it, and making room."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from earlyprune.commands.console import console
from earlyprune.commands.options import AsJson, Storage
from sweeps.storage.files import DEFAULT_STORAGE

app = typer.Typer(no_args_is_help=True)


@app.command("show")
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


@app.command("prune")
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
    from sweeps.storage import limits

    limits.check(older_than, sweep, to_size)  # before what takes seconds to import
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
