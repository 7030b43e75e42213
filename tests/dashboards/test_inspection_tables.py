"""Tables of an inspection: columns fit, and no figure is cut short."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache

import pytest
from rich.console import Console
from rich.table import Table

from dashboards.inspection import cuts_table, layers_table
from pruning.inspection import Inspection
from pruning.training.sizes import Size
from pruning.training.task import ModelSpec
from sweeps.planning.inspecting import cuts, of_model


@cache
def inspection() -> Inspection:
    small = Size((1, 8, 8), 10)
    return of_model(ModelSpec(name="small_resnet"), small, cuts(0.5, "magnitude", None)).found


def printed(table: Table, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 150, 200])
def test_layers_at_any_width(width: int) -> None:
    found = inspection()
    text = printed(layers_table(found, width), width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    head = next(line for line in text.splitlines() if line.startswith(" layer"))
    assert {"width", "MACs %", "stays"} <= {part.strip() for part in head.split("  ")}
    row = next(line.split() for line in text.splitlines() if line.startswith(" 5.body.3"))
    assert row[1 + (width >= 150) :][:3] == ["64", "12", "32"]
    assert ("kind" in head) == (width >= 150)
    if width >= 150:
        macs = {layer.name: layer.part.macs for layer in found.layers}
        assert f"{macs['5.body.3']:,}" in row
    assert "1: its units are the network's output" in text


def test_a_network_in_the_whole() -> None:
    found = inspection()
    text = printed(cuts_table(found), 80)
    for left in (found, *found.cuts):
        assert all(f"{n:,}" in text for n in (left.units, left.params, left.macs))
    assert "ratio=0.5 saliency=magnitude floor=0.05 round_to=1" in text
    assert "global: layer '5.body.0' stands on its floor: 4 of 64 units" in text
    assert "compares both" not in text


def test_where_one_scope_is_shown_the_other_is_pointed_to() -> None:
    found = inspection()
    text = printed(cuts_table(replace(found, cuts=found.cuts[:1])), 200)
    assert "earlyprune inspect --ratio R compares both" in text
