"""The commands, in the order in which the help text lists them; a file a group.

A command parses, calls and prints; what is decided stands in the packages below. It imports them
when it is called, so that a help text waits for nothing.
"""

from __future__ import annotations

import typer

from earlyprune.commands import cluster, look, network, run, store

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
for command in (
    *(run.run, run.plan, look.results, look.oracle, look.report),
    *(network.export, look.policies, look.ui),
):
    app.command()(command)
app.add_typer(store.app, name="store", help="Look at what is stored, and make room.")
app.add_typer(cluster.app)
