"""Networks: what one is made of before it is trained, and those that trials end with."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from earlyprune.commands.console import console
from earlyprune.commands.options import AsJson, Change, Name, Storage, read_sweep
from pruning.errors import InputError
from sweeps.storage.files import DEFAULT_STORAGE


class NetworkFormat(StrEnum):
    """How a network is written."""

    safetensors = "safetensors"
    pt2 = "pt2"
    onnx = "onnx"


def inspect(
    model: Annotated[
        str, typer.Argument(help="A model as a sweep file names it, or a sweep file (.yaml).")
    ],
    data: Annotated[
        str | None, typer.Option(help="The data, as a sweep file names it; YAML for settings.")
    ] = None,
    ratio: Annotated[
        float | None, typer.Option(help="Share of the units to cut.", show_default="0.5")
    ] = None,
    aim: Annotated[
        str | None,
        typer.Option(
            help="Instead of a ratio, what is to be left: '{macs: 0.5}', '{params: 0.5}'."
        ),
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(
            help="global, as in a sweep by default, or layer; of an aim also price.",
            show_default="all",
        ),
    ] = None,
    saliency: Annotated[
        str | None, typer.Option(help="What units are ranked by.", show_default="magnitude")
    ] = None,
    options: Annotated[str, typer.Option(help="The model's options, as YAML or JSON.")] = "{}",
    shape: Annotated[str | None, typer.Option(help="Of a sample, without data: 3,224,224.")] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="Without data.")] = None,
    change: Change = None,
    as_json: AsJson = False,
) -> None:
    """Say of each layer, before any training, whether and why not it can be cut, and what is left.

    Of a sweep file its first task, with the cuts of its policies if none is given here. A policy's
    scope is global by default, which ranks the units of all layers together: if that leaves some
    layers on their floor, or far more MACs than scope layer does, give the policy scope: layer.
    """
    is_file = model.endswith((".yaml", ".yml"))
    if is_file and (data or shape or classes or options != "{}"):
        raise InputError("--data, --shape, --classes, --options: the file has them; --set changes")
    if change and not is_file:
        raise InputError("--set: changes a sweep file, which MODEL is not")
    sweep = read_sweep(Path(model), change) if is_file else None
    from dashboards.inspection import described
    from sweeps.planning import inspecting

    if not sweep:
        asked = inspecting.cuts(ratio, saliency, scope, aim)
        found = inspecting.of_name(model, asked, options, data, shape, classes)
    elif ratio is None and saliency is None and scope is None and aim is None:
        found = inspecting.of_sweep(sweep)
    else:
        found = inspecting.of_sweep(sweep, inspecting.cuts(ratio, saliency, scope, aim))
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        for part in described(found, console.width):
            console.print(part, markup=False, highlight=False)


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
    from dashboards import tables
    from pruning.export import write
    from pruning.names import import_from
    from sweeps.results.networks import trained
    from sweeps.storage.store import Store

    import_from(os.getcwd())  # the sweep's own code lies there, as a rule
    found = trained(Store(storage), name, trial)
    if found.again:
        console.print(f"{found.again} epochs were trained again: their snapshots are gone")
    path = output or Path(f"{trial}.{file_format.value}")
    written = write(found.training, path, file_format.value, found.about(name), bare)
    row = found.row
    console.print(
        f"{path}: {row['params']:,} parameters, {row['macs']:,} MACs, {tables.judged(row)}",
        markup=False,
        soft_wrap=True,
    )
    console.print(f"input: {written.input}", markup=False, soft_wrap=True)
    console.print(
        f"read again, its outputs differ from the trained network's by {written.difference:.2g} "
        f"at most, over {written.samples} validation samples",
        soft_wrap=True,
    )
