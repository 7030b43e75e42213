"""Indicators against their oracle, as a table with numbered notes."""

from __future__ import annotations

from dashboards.measure import Measure
from dashboards.report.data import Content
from dashboards.report.page import Table
from dashboards.report.text import Unit
from pruning.errors import InputError
from sweeps.judging.oracle import OTHERS, Verdict, nothing_to_judge, oracle
from sweeps.results.rows import describe


def tables(content: Content) -> tuple[list[Table], list[str]]:
    """The table of verdicts, or a note on why there is none."""
    try:
        found = oracle(content.rows)
    except InputError as error:
        return [], [f"Indicators are not compared with the oracle: {error}."]
    why = nothing_to_judge(found)
    if found and not any(verdict.seeds for verdict in found):
        why = why or "none of their trials can be judged yet"
    if why:
        return [], [f"Indicators are not compared with the oracle: {why}."]
    found = [verdict for verdict in found if verdict.seeds]
    unit = Unit.of([verdict.scan_hours_alone or 0.0 for verdict in found], content.device)
    notes: dict[str, int] = {}
    rows = [_row(verdict, unit, notes) for verdict in found]
    heads = ["indicator", "settings", "threshold", "its epochs, by seed", "oracle's epoch"]
    heads += ["never crossed", _regret_head(content.test), f"one trial ({unit.name})"]
    heads += ["the whole grid, alone", "shared", "notes"]
    given_up = f"epoch chosen, {content.val.noun} given up, cost of finding out"
    title = f"Indicators against the oracle: {given_up}"
    return [Table(title, heads, rows, 3, len(rows) <= 8, list(notes))], []


def _row(verdict: Verdict, unit: Unit, notes: dict[str, int]) -> list[str]:
    numbers = [notes.setdefault(note, len(notes) + 1) for note in verdict.notes]
    hours = verdict.hours, verdict.scan_hours_alone, verdict.scan_hours_shared
    return [
        verdict.policy,
        describe({**verdict.cut, **verdict.settings}),
        _thresholds(verdict),
        " ".join("never" if epoch is None else str(epoch) for epoch in verdict.epochs),
        "–" if verdict.oracle_epoch is None else str(verdict.oracle_epoch),
        f"{verdict.never_crossed} of {len(verdict.seeds)}",
        _regret(verdict),
        *("–" if spent is None else unit.write(spent) for spent in hours),
        " ".join(map(str, numbers)),
    ]


def _regret_head(test: Measure) -> str:
    return f"regret (points of {test.name})" if test.percent else f"regret ({test.name})"


def _regret(verdict: Verdict) -> str:
    test = Measure(verdict.quality.test)
    return test.change(verdict.regret) + (f" ± {test.size(verdict.sd)}" if verdict.sd else "")


def _thresholds(verdict: Verdict) -> str:
    """The one that was given, or those that the other seeds chose."""
    found = ["default" if one is None else f"{one:g}" for one in verdict.thresholds]
    told = found[0] if len(set(found)) == 1 else " ".join(found)
    return f"{OTHERS}: {told}" if verdict.choice == OTHERS else told
