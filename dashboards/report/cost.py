"""What the sweep cost: each policy by itself, and what sharing made of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dashboards.measure import number
from dashboards.report.data import Content, Trial
from dashboards.report.look import Looks, axis, figure
from dashboards.report.page import Plot, Section, Table, hover
from dashboards.report.text import Unit, count
from sweeps.judging.savings import family


def section(content: Content, looks: Looks) -> Section:
    """Time alone and spent a policy, epochs alone and distinct, seconds by what they went into."""
    families = {
        name: [trial for trial in content.trials if family(trial.row) == name]
        for name in content.families
    }
    alone = {name: _sum(trials, "gpu_hours") for name, trials in families.items()}
    spent = {name: _sum(trials, "gpu_hours_spent") for name, trials in families.items()}
    unit = Unit.of([sum(alone.values()), sum(spent.values())], content.device)
    finished = [trial for trial in content.trials if trial.finished]
    known = [trial for trial in finished if content.places([trial])]
    distinct, lone = len(content.places(known)), _epochs(known)
    shared = (
        f"{count(len(known), 'finished trial')} stand{'s' * (len(known) == 1)} on {distinct:,} "
        f"distinct epochs of training; alone they would have trained {lone:,} "
        f"({number(lone / max(distinct, 1), 2)} times as many). "
    )
    lead = [
        (shared if known else "")
        + f"Alone all finished trials would have cost {unit.write(sum(alone.values()))} "
        f"{unit.name}; {unit.write(sum(spent.values()))} were spent on all trials.",
    ]
    names = list(families)
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": label,
            "y": list(range(len(names))),
            "x": [unit.factor * values[name] for name in names],
            "marker": {"color": [looks.colour(name) for name in names]},
            "opacity": opacity,
            "hoverinfo": "text",
            "hovertext": [
                hover(name, f"{label}: {unit.write(values[name])} {unit.name}") for name in names
            ],
            "textposition": "none",
            "legendrank": 1000,
        }
        for label, values, opacity in (
            ("alone (attributed)", alone, 1.0),
            ("spent, sharing what is equal", spent, 0.45),
        )
    ]
    y = {"tickvals": list(range(len(names))), "ticktext": [looks.name(name) for name in names]}
    y |= {"autorange": "reversed", "showgrid": False, "fixedrange": True}
    plot = figure(bars, axis(f"time of all its trials ({unit.name})"), y, 150 + 34 * len(names))
    plot["layout"] |= {"barmode": "group", "bargap": 0.3}
    notes = [
        "Alone: what a trial would have cost without the others. Spent: what was charged to it; of "
        "trials that share an epoch the first pays, so a policy that comes later looks cheap; "
        "snapshots and going on after a stop count, too; epochs that an earlier sweep trained cost "
        "nothing here."
    ]
    if lost := len(finished) - len(known):
        notes.append(f"Of {count(lost, 'trial')} the path is gone from the storage.")
    tables = [_epochs_table(content, families, alone, spent, unit), _seconds(families)]
    plots = [Plot(plot, "time alone and spent, by policy", wide=True)] if finished else []
    return Section("cost", "What it cost", lead, plots, tables, notes)


def _sum(trials: Sequence[Trial], name: str) -> float:
    return math.fsum(trial.row[name] or 0.0 for trial in trials)


def _epochs(trials: Sequence[Trial]) -> int:
    """Each for itself."""
    return sum(trial.state.epoch for trial in trials if trial.state)


def _epochs_table(
    content: Content,
    families: dict[str, list[Trial]],
    alone: dict[str, float],
    spent: dict[str, float],
    unit: Unit,
) -> Table:
    heads = ["policy", "trials", "finished", f"alone ({unit.name})", f"spent ({unit.name})"]
    heads += ["epochs alone", "distinct epochs", "of these shared with others"]
    places = {
        name: content.places([trial for trial in trials if trial.finished])
        for name, trials in families.items()
    }
    rows = []
    for name, trials in families.items():
        others = set[tuple[str, int]]().union(*(p for other, p in places.items() if other != name))
        rows.append(
            [
                name,
                f"{len(trials):,}",
                f"{sum(trial.finished for trial in trials):,}",
                unit.write(alone[name]),
                unit.write(spent[name]),
                f"{_epochs([trial for trial in trials if trial.finished]):,}",
                f"{len(places[name]):,}",
                f"{len(places[name] & others):,}",
            ]
        )
    return Table("Time and epochs by policy", heads, rows, open=True)


def _seconds(families: dict[str, list[Trial]]) -> Table:
    """Means over a policy's finished trials."""
    heads = ["policy", "training", "probes", "decisions", "evaluation and rest", "all"]
    rows = []
    for name, trials in families.items():
        done = [trial.summary for trial in trials if trial.finished]
        if not done:
            continue
        parts = [
            math.fsum(summary.get(f"{part}_seconds") or 0.0 for summary in done) / len(done)
            for part in ("train", "probe", "decide", "total")
        ]
        train, probe, decide, total = parts
        rest = max(0.0, total - train - probe - decide)
        rows.append([name, *(number(part) for part in (train, probe, decide, rest, total))])
    return Table("Seconds of a trial alone, by what they went into (means)", heads, rows)
