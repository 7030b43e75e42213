"""A network's inspection as tables on a terminal: columns that fit, and no figure cut short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.markup import escape
from rich.table import Table

from pruning.inspection import Cut, Inspection
from pruning.policies.one_shot import COMPARED
from pruning.structure.inspection import Layer, Part
from sweeps.planning.inspecting import Inspected

SHOWN = 2
"""Cuts that have columns in a layer's row; the others stand in the whole only."""

_VARY = ("ratio", "aim", "scope", "saliency", "floor", "round_to")
_NAME, _TEXT = 32, 16
"""Characters of a layer's name, and of other texts, that are kept in a line."""
_PAD = 3
"""Characters between columns."""
_LEGEND = (
    "shares are of the whole; what a cut leaves is of what the layer was; as: tied to that layer"
)


@dataclass(frozen=True)
class _Row:
    """parts: as it is, and after each of the cuts shown. note: why it stays, or what it follows."""

    name: str
    kind: str
    units: int
    parts: list[Part]
    note: str = ""


@dataclass(frozen=True)
class _Column:
    """rank: 0 is always shown, the others from the lowest, as long as they fit. line: characters
    after which a text may break, 0 of figures, which never do.
    """

    rank: int
    head: str
    cells: list[str]
    line: int = 0

    @property
    def width(self) -> int:
        longest = max(map(len, (*self.head.splitlines(), *self.cells)))
        return min(longest, self.line or longest)

    def add_to(self, table: Table) -> None:
        if self.line:
            table.add_column(self.head, overflow="fold", min_width=self.width)
        else:
            table.add_column(self.head, justify="right", no_wrap=True)


def described(inspected: Inspected, width: int) -> list[Table | str]:
    """All of it: what it is, its layers, and what cuts leave; of none that can be cut, why."""
    found = inspected.found
    told = (
        f"{inspected.model}, samples of {inspected.size}: {found.units:,} units that can be cut, "
        f"{found.params:,} parameters, {found.macs:,} MACs"
    )
    last = [cuts_table(found)] if found.cuts else [found.why] * bool(found.why)
    return [told, layers_table(found, width), *last]


def layers_table(found: Inspection, width: int) -> Table:
    """A row a layer in so many characters, norms in one together.

    Shares are percent of the whole; what a cut leaves is percent of what the layer was.
    """
    notes = {layer.reason.why: "" for layer in found.layers if layer.reason and not _is_norm(layer)}
    numbers = {why: str(number) for number, why in enumerate(notes, 1)}
    rows = _rows(found, numbers)
    table = _table("layers")
    shown = _fitting(_columns(rows, _labels(found.cuts)[:SHOWN]), width)
    for column in shown:
        column.add_to(table)
    for cells in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*map(escape, cells))
    told = [_LEGEND] * bool(found.cuts) + _places(found.layers, numbers)
    table.caption = escape("\n".join(told))
    return table


def cuts_table(found: Inspection) -> Table:
    """A row a cut: what is left of the whole, in figures and percent."""
    labels = _labels(found.cuts)
    table = _table("what is left")
    table.add_column("cut", overflow="fold")
    for head in ("units", "%", "params", "%", "MACs", "%"):
        table.add_column(head, justify="right", no_wrap=True)
    everything: list[tuple[str, Inspection | Cut]] = [("none", found)]
    for name, left in [*everything, *zip(labels, found.cuts, strict=True)]:
        pairs = (left.units, found.units), (left.params, found.params), (left.macs, found.macs)
        figures = [(f"{part:,}", _percent(part, whole)) for part, whole in pairs]
        table.add_row(escape(name), *(text for pair in figures for text in pair))
    table.caption = escape("\n".join([*_same(found.cuts), *_warnings(found.cuts, labels)]))
    return table


def _rows(found: Inspection, numbers: dict[str, str]) -> list[_Row]:
    rows: list[_Row] = []
    norms: list[_Row] = []
    for layer in found.layers:
        parts = [layer.part, *(cut.parts[layer.name] for cut in found.cuts[:SHOWN])]
        note = f"as {layer.tied}" if layer.tied else ""
        if layer.reason:
            note = numbers.get(layer.reason.why, "")
        row = _Row(layer.name or "(the model)", layer.kind, layer.units, parts, note)
        (norms if _is_norm(layer) else rows).append(row)
    together = [_sum(f"{len(norms)} norms", norms)] if norms else []
    return [*rows, *together, _sum("all", [*rows, *norms])]


def _sum(name: str, rows: Sequence[_Row]) -> _Row:
    parts = [
        Part(None, sum(part.params for part in column), sum(part.macs for part in column))
        for column in zip(*(row.parts for row in rows), strict=True)
    ]
    return _Row(name, "", sum(row.units for row in rows), parts)


def _columns(rows: Sequence[_Row], labels: Sequence[str]) -> list[_Column]:
    """All there are, from left to right."""
    dense, units = rows[-1].parts[0], rows[-1].units

    def column(rank: int, head: str, cell: Callable[[_Row], str], line: int = 0) -> _Column:
        return _Column(rank, head, [cell(row) for row in rows], line)

    def left(rank: int, head: str, cell: Callable[[Part, Part], str]) -> list[_Column]:
        return [
            _Column(rank, f"{head}\n{label}", [cell(row.parts[at], row.parts[0]) for row in rows])
            for at, label in enumerate(labels, 1)
        ]

    return [
        column(0, "layer", lambda row: row.name, _NAME),
        column(7, "kind", lambda row: row.kind, _TEXT),
        column(0, "width", lambda row: _width(row.parts[0])),
        *left(0, "left", lambda now, _: _width(now)),
        column(4, "units %", lambda row: _percent(row.units, units)),
        column(6, "params", lambda row: f"{row.parts[0].params:,}"),
        column(2, "params %", lambda row: _percent(row.parts[0].params, dense.params)),
        *left(3, "left %", lambda now, was: _percent(now.params, was.params)),
        column(5, "MACs", lambda row: f"{row.parts[0].macs:,}"),
        column(0, "MACs %", lambda row: _percent(row.parts[0].macs, dense.macs)),
        *left(1, "left %", lambda now, was: _percent(now.macs, was.macs)),
        column(0, "stays", lambda row: row.note, _TEXT),
    ]


def _fitting(columns: Sequence[_Column], width: int) -> list[_Column]:
    shown = {0}
    for rank in sorted({column.rank for column in columns} - shown):
        asked = [column.width + _PAD for column in columns if column.rank in {*shown, rank}]
        if sum(asked) <= width:
            shown.add(rank)
    return [column for column in columns if column.rank in shown]


def _places(layers: Sequence[Layer], numbers: dict[str, str]) -> list[str]:
    """A line a reason: its number, its words, and where it stands in the way."""
    lines = []
    for why, number in numbers.items():
        reasons = (layer.reason for layer in layers if layer.reason and layer.reason.why == why)
        places = list(dict.fromkeys(reason.at for reason in reasons if reason.at))
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        lines.append(f"{number}: {why}" + (f" ({places[0]}{more})" if places else ""))
    return lines


def _labels(cuts: Sequence[Cut]) -> list[str]:
    """Each by the settings in which it differs from another."""
    varied = [name for name in _VARY if len({_setting(cut, name) for cut in cuts}) > 1]
    named = varied or ("ratio", "aim", "scope")
    return [" ".join(filter(None, (_setting(cut, name) for name in named))) for cut in cuts]


def _same(cuts: Sequence[Cut]) -> list[str]:
    """The settings that all of them share."""
    found = {name: {_setting(cut, name) for cut in cuts} for name in _VARY}
    same = {name: one.pop() for name, one in found.items() if len(one) == 1}
    return [" ".join(f"{name}={value}" for name, value in same.items() if value)]


def _setting(cut: Cut, name: str) -> str:
    """Its value; "" of the one of ratio and aim that it has not."""
    policy = cut.policy
    if name == "saliency":
        return policy.saliency.key
    return "" if name == ("ratio" if policy.aim else "aim") else str(getattr(policy, name))


def _warnings(cuts: Sequence[Cut], labels: Sequence[str]) -> list[str]:
    """The first of each cut's, and how many more there are; no advice to do what is being done."""
    advice = COMPARED if {"global", "layer"} <= {cut.policy.scope for cut in cuts} else ""
    return [
        f"{label}: {cut.warnings[0].replace(advice, '')}"
        + (f", and {len(cut.warnings) - 1} more such" if len(cut.warnings) > 1 else "")
        for label, cut in zip(labels, cuts, strict=True)
        if cut.warnings
    ]


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.caption_justify = "left"
    return table


def _width(part: Part) -> str:
    return "" if part.width is None else f"{part.width:,}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def _is_norm(layer: Layer) -> bool:
    return "Norm" in layer.kind and not layer.part.macs
