"""What went wrong, and how to run the sweep again."""

from __future__ import annotations

from collections import Counter

import yaml

from dashboards.report.data import Content, versions
from dashboards.report.page import Section, Table
from dashboards.report.secrets import without_secrets
from dashboards.report.text import count
from sweeps.results.rows import count_warnings
from sweeps.storage.store import folder_name

_CLASSES = 100
"""Names of classes that are listed."""


def failures(content: Content) -> Section:
    """Reasons why trials failed, and warnings, each with how often."""
    rows = content.rows
    failed = [row for row in rows if row["status"] == "failed"]
    states = Counter(row["status"] for row in rows)
    told = ", ".join(f"{number:,} {state}" for state, number in states.items())
    lead = [f"Of {count(len(rows), 'trial')}: {told}."]
    tables = []
    if failed:
        reasons = Counter(row["reason"] for row in failed)
        found = [
            [reason, _first([r["trial"] for r in failed if r["reason"] == reason]), f"{n:,}"]
            for reason, n in reasons.most_common()
        ]
        heads = ["reason", "trials", "times"]
        tables.append(Table(f"{count(len(failed), 'trial')} failed", heads, found, 2, open=True))
    warnings = count_warnings(rows).most_common()
    if warnings:
        found = [[text, f"{n:,}"] for text, n in warnings]
        title = f"{count(len(found), 'warning')}, by how many trials have it"
        tables.append(Table(title, ["warning", "trials"], found, open=len(found) <= 5))
    if not failed and not warnings:
        lead.append("No trial failed and none has a warning.")
    return Section("failures", "Failures and warnings", lead, tables=tables)


def _first(trials: list[str], most: int = 12) -> str:
    more = f" and {len(trials) - most:,} more" if len(trials) > most else ""
    return ", ".join(trials[:most]) + more


def again(content: Content) -> Section:
    """The sweep file and the command; what looks like a secret is left out."""
    name = str(content.config.get("name", content.name))
    file = f"{folder_name(name)}.yaml"
    alone = " --independent" if content.name != name else ""
    text = yaml.safe_dump(without_secrets(content.config), sort_keys=False, allow_unicode=True)
    made = ", ".join(f"{package} {number}" for package, number in versions().items())
    lead = [
        "Save the sweep file below and run the command; what is stored is not trained again. It "
        "holds all settings, also those that were left at their defaults."
    ]
    notes = [
        f"This page was made {content.made:%Y-%m-%d %H:%M} UTC with {made}. It is one file and "
        "loads nothing."
    ]
    if content.class_names:
        named = enumerate(content.class_names[:_CLASSES])
        listed = ", ".join(f"{number} {name}" for number, name in named)
        more = len(content.class_names) - _CLASSES
        notes.append(f"The classes: {listed}{f' and {more:,} more' if more > 0 else ''}.")
    code = [f"earlyprune run {file}{alone}", text]
    return Section("again", "Run it again", lead, notes=notes, code=code)
