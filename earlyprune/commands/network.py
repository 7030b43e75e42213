"""The networks that trials end with."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from earlyprune.commands.console import console
from earlyprune.commands.options import Name, Storage
from sweeps.storage.files import DEFAULT_STORAGE


class NetworkFormat(StrEnum):
    """How a network is written."""

    safetensors = "safetensors"
    pt2 = "pt2"
    onnx = "onnx"


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
    bare: Annotated[
        bool,
        typer.Option(
            "--without-preprocessing",
            help="Leave out what samples went through before training, and say what it is.",
        ),
    ] = False,
) -> None:
    """Write the network a trial ended with to a file of its own; its data must be at hand.

    It takes samples as they were given, and prepares them as for training.
    """
    from pruning.export import write
    from sweeps.results.networks import trained
    from sweeps.storage.store import Store

    found = trained(Store(storage), name, trial)
    if found.again:
        console.print(f"{found.again} epochs were trained again: their snapshots are gone")
    path = output or Path(f"{trial}.{file_format.value}")
    written = write(found.training, path, file_format.value, found.about(name), bare)
    row = found.row
    console.print(
        f"{path}: {row['params']:,} parameters, {row['macs']:,} MACs, val accuracy "
        f"{row['val_accuracy']:.4f}, test accuracy {row['test_accuracy']:.4f}",
        markup=False,
        soft_wrap=True,
    )
    console.print(f"input: {written.input}", markup=False, soft_wrap=True)
    console.print(
        f"read again, its outputs differ from the trained network's by {written.difference:.2g} "
        f"at most, over {written.samples} validation samples",
        soft_wrap=True,
    )
