"""The answer first: what is saved at an accuracy, and gained at a cost, beside the controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from dashboards.report import text
from dashboards.report.data import Content
from dashboards.report.intervals import Mark, intervals
from dashboards.report.look import Looks, axis
from dashboards.report.page import Plot, Section, Table, hover
from dashboards.report.text import share
from sweeps.judging.savings import ALL, Gain, Saving


def section(content: Content, looks: Looks) -> Section:
    """Savings and gains a family, as intervals and in figures."""
    saved = sorted(content.standing.savings, key=lambda one: looks.rank(one.family))
    gained = sorted(content.standing.gains, key=lambda one: looks.rank(one.family))
    if not saved:
        why = text.sentence(content.standing.unlearned or "there is nothing to compare yet")
        return Section("answer", "What it is worth", [f"{why}."])
    of, what = text.cost(content.objectives), text.accuracy(content.objectives)
    plots = [
        Plot(
            intervals(
                [
                    Mark(s.family, s.saved, s.low, s.high, _drop(s.drop), _saving_text(s, of))
                    for s in saved
                ],
                looks,
                axis(f"{of} saved, of dense's (%)", ticksuffix=" %"),
                100,
            ),
            f"{of} saved at equal {what}, by policy",
            f"How much less {of} than dense training a policy's best settings take at dense's "
            f"{what}, half a point below it, and one point below it.",
        ),
        Plot(
            intervals(
                [
                    Mark(g.family, g.gained, g.low, g.high, _budget(g.share, of), _gain_text(g, of))
                    for g in gained
                    if g.gained is not None
                ],
                looks,
                axis(f"{what} gained over dense (points)"),
                100,
            ),
            f"{what} gained at equal {of}, by policy",
            f"How much more accurate they are than dense in the {of} that dense takes, in three "
            "quarters of it, and in half of it. No mark: none of them takes as little.",
        ),
    ]
    tables = [
        _wide(
            saved,
            text.sentence(f"{of} saved (%), with its 95 % interval"),
            lambda s: _drop(s.drop),
            _saved,
        ),
        _wide(
            gained,
            text.sentence(f"{what} gained (points), with its 95 % interval"),
            lambda g: _budget(g.share, of),
            _gained,
        ),
        _settings(saved, gained, of, content.short),
    ]
    notes = [
        "Read off the front of each policy's settings and dense (means over seeds, linear between "
        "neighbours), so nothing saved means that no setting of it gets there. Intervals: 95 %, "
        "bootstrap over seeds. “All policies” takes the best of all that are no controls.",
    ]
    return Section("answer", "What it is worth", [], plots, tables, notes)


def _drop(drop: float) -> str:
    return f"{text.points(drop)} less" if drop else "same accuracy"


def _budget(part: float, of: str) -> str:
    return f"same {of}" if part == 1 else f"{share(part, 0)} % of it"


def _saving_text(saving: Saving, of: str) -> str:
    around = text.interval(saving.low, saving.high, 1)
    return hover(
        f"{_plain(saving.family)}: {share(saving.saved, 1)} % less {of}",
        f"at {share(saving.target)} % ({_drop(saving.drop)})",
        *([f"95 % interval {around} %"] if around else []),
        *_parts(saving),
    )


def _gain_text(gain: Gain, of: str) -> str:
    around = text.interval(gain.low, gain.high, 2)
    return hover(
        f"{_plain(gain.family)}: {_signed(gain.gained)} points",
        f"at {_budget(gain.share, of)}",
        *([f"95 % interval {around} points"] if around else []),
        *_parts(gain),
    )


def _parts(found: Saving | Gain) -> list[str]:
    return [f"{policy} {text} ({100 * weight:.0f} %)" for policy, text, weight in found.settings]


def _plain(family: str) -> str:
    return "all policies" if family == ALL else family


def _signed(value: float | None) -> str:
    return share(value, 2, "+")


def _saved(saving: Saving) -> str:
    around = text.interval(saving.low, saving.high)
    return share(saving.saved, 0) + (f" ({around})" if around else "")


def _gained(gain: Gain) -> str:
    around = text.interval(gain.low, gain.high, 2)
    return _signed(gain.gained) + (f" ({around})" if around and gain.gained is not None else "")


def _wide(
    found: Sequence[Any], title: str, head: Callable[[Any], str], cell: Callable[[Any], str]
) -> Table:
    """A row a family, a column a comparison."""
    heads = ["policy", *dict.fromkeys(map(head, found))]
    rows = [
        [_plain(family), *map(cell, own)]
        for family, own in groupby(found, key=lambda one: one.family)
    ]
    return Table(title, heads, rows, open=len(rows) <= 8)


def _settings(
    saved: Sequence[Saving], gained: Sequence[Gain], of: str, short: Mapping[tuple[str, str], str]
) -> Table:
    """Which settings these are, and how they do on the test split."""
    heads = ["policy", "compared at", "settings", "weights", "change of test accuracy (points)"]
    found: list[tuple[Saving | Gain, str]] = [
        *((saving, _drop(saving.drop)) for saving in saved),
        *((gain, _budget(gain.share, of)) for gain in gained),
    ]
    rows = [
        [
            _plain(one.family),
            which,
            text.parts(one.settings, short),
            ", ".join(f"{100 * weight:.0f} %" for *_, weight in one.settings),
            _signed(one.test_change),
        ]
        for one, which in found
        if one.settings
    ]
    return Table("Which settings these are", heads, rows, texts=3)
