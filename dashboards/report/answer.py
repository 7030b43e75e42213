"""The answer first: what is saved at a quality, and gained at a cost, beside the controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from dashboards.measure import Measure, share
from dashboards.report import text
from dashboards.report.data import Content
from dashboards.report.intervals import Mark, intervals
from dashboards.report.look import Looks, axis
from dashboards.report.page import Plot, Section, Table, hover
from sweeps.judging.savings import ALL, Gain, Saving


def section(content: Content, looks: Looks) -> Section:
    """Savings and gains a family, as intervals and in figures."""
    saved = sorted(content.standing.savings, key=lambda one: looks.rank(one.family))
    gained = sorted(content.standing.gains, key=lambda one: looks.rank(one.family))
    if not saved:
        why = text.sentence(content.standing.unlearned or "there is nothing to compare yet")
        return Section("answer", "What it is worth", [f"{why}."])
    axes = content.standing.axes
    assert axes is not None  # or nothing could be saved
    of, val = text.cost(axes.cost), Measure(axes.quality)
    what = val.name
    plots = [
        Plot(
            intervals(
                [
                    Mark(
                        s.family,
                        s.saved,
                        s.low,
                        s.high,
                        _drop(s.drop, val),
                        _saving_text(s, of, val),
                    )
                    for s in saved
                ],
                looks,
                axis(f"{of} saved, of dense's (%)", ticksuffix=" %"),
                100,
            ),
            f"{of} saved at equal {what}, by policy",
            f"How much less {of} than dense training a policy's best settings take at dense's "
            f"{what}, {_below(val)}.",
        ),
        Plot(
            intervals(
                [
                    Mark(
                        g.family,
                        g.gained,
                        g.low,
                        g.high,
                        _budget(g.share, of),
                        _gain_text(g, of, val),
                    )
                    for g in gained
                    if g.gained is not None
                ],
                looks,
                axis(f"{what} gained over dense{_in_points(val)}"),
                val.factor,
            ),
            f"{what} gained at equal {of}, by policy",
            f"How much {'more accurate' if val.percent else 'better'} they are than dense in the "
            f"{of} that dense takes, in three quarters of it, and in half of it. No mark: none of "
            "them takes as little.",
        ),
    ]
    tables = [
        _wide(
            saved,
            text.sentence(f"{of} saved (%), with its 95 % interval"),
            lambda s: _drop(s.drop, val),
            _saved,
        ),
        _wide(
            gained,
            text.sentence(f"{what} gained{_in_points(val)}, with its 95 % interval"),
            lambda g: _budget(g.share, of),
            lambda g: _gained(g, val),
        ),
        _settings(saved, gained, of, val, Measure(axes.test), content.short),
    ]
    notes = [
        "Read off the front of each policy's settings and dense (means over seeds, linear between "
        "neighbours), so nothing saved means that no setting of it gets there. Intervals: 95 %, "
        "bootstrap over seeds. “All policies” takes the best of all that are no controls.",
    ]
    return Section("answer", "What it is worth", [], plots, tables, notes)


def _drop(drop: float, val: Measure) -> str:
    return val.worse(drop) if drop else f"same {val.noun}"


def _below(val: Measure) -> str:
    if val.percent:
        return "half a point below it, and one point below it"
    return "half a percent worse, and one percent worse"


def _in_points(val: Measure) -> str:
    return " (points)" if val.percent else ""


def _budget(part: float, of: str) -> str:
    return f"same {of}" if part == 1 else f"{share(part, 0)} % of it"


def _saving_text(saving: Saving, of: str, val: Measure) -> str:
    around = text.interval(saving.low, saving.high, 1)
    return hover(
        f"{_plain(saving.family)}: {share(saving.saved, 1)} % less {of}",
        f"at {val.write(saving.target)} ({_drop(saving.drop, val)})",
        *([f"95 % interval {around} %"] if around else []),
        *_parts(saving),
    )


def _gain_text(gain: Gain, of: str, val: Measure) -> str:
    around = _around(gain, val)
    return hover(
        f"{_plain(gain.family)}: {val.change(gain.gained)}{val.points}",
        f"at {_budget(gain.share, of)}",
        *([f"95 % interval {around}{val.points}"] if around else []),
        *_parts(gain),
    )


def _parts(found: Saving | Gain) -> list[str]:
    return [f"{policy} {text} ({100 * weight:.0f} %)" for policy, text, weight in found.settings]


def _plain(family: str) -> str:
    return "all policies" if family == ALL else family


def _around(gain: Gain, val: Measure) -> str:
    """The interval of a gain; "" where there is none."""
    if gain.low is None or gain.high is None:
        return ""
    if val.percent:
        return text.interval(gain.low, gain.high, 2)
    return f"{val.change(gain.low)} to {val.change(gain.high)}"


def _saved(saving: Saving) -> str:
    around = text.interval(saving.low, saving.high)
    return share(saving.saved, 0) + (f" ({around})" if around else "")


def _gained(gain: Gain, val: Measure) -> str:
    around = _around(gain, val)
    return val.change(gain.gained) + (f" ({around})" if around and gain.gained is not None else "")


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
    saved: Sequence[Saving],
    gained: Sequence[Gain],
    of: str,
    val: Measure,
    test: Measure,
    short: Mapping[tuple[str, str], str],
) -> Table:
    """Which settings these are, and how they do on the test split."""
    heads = [
        "policy",
        "compared at",
        "settings",
        "weights",
        f"change of {test.name} (points)" if test.percent else f"{test.name} gained",
    ]
    found: list[tuple[Saving | Gain, str]] = [
        *((saving, _drop(saving.drop, val)) for saving in saved),
        *((gain, _budget(gain.share, of)) for gain in gained),
    ]
    rows = [
        [
            _plain(one.family),
            which,
            text.parts(one.settings, short),
            ", ".join(f"{100 * weight:.0f} %" for *_, weight in one.settings),
            test.change(one.test_change),
        ]
        for one, which in found
        if one.settings
    ]
    return Table("Which settings these are", heads, rows, texts=3)
