"""A sweep's plan as lines to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def plan_lines(figures: Mapping[str, Any]) -> list[str]:
    """What ``sweeps.planning.plan`` found, a line each."""
    trials = (
        f"{figures['trials']:,} ({_number(figures['settings'], 'setting')} on "
        f"{_number(figures['seeds'], 'seed')}), {figures['trials_finished']:,} finished"
    )
    alone = figures["epochs_alone"]
    ratio = _range(figures["ratio"], "{:.1f}")
    lines = {
        "sweep": figures["name"],
        "trials": trials,
        **_search(figures),
        "epochs shared": f"{_range(figures['epochs_shared'], '{:,}')} ({ratio} times fewer than "
        f"{alone:,} alone)",
        "epochs stored": f"{figures['epochs_stored']:,}",
        "epochs left": _range(figures["epochs_left"], "{:,}"),
        **_hours(figures),
    }
    width = max(len(label) for label in lines)
    return [f"{label:>{width}}: {line}" for label, line in lines.items()]


def _search(figures: Mapping[str, Any]) -> dict[str, str]:
    if not figures["search"]:
        return {}
    trials, hours = figures["search"]["trials"], figures["search"]["hours"]
    ends = [f"{trials:,} settings on up to {_number(figures['seeds'], 'seed')}"] if trials else []
    ends += [f"{hours:g} {figures['device']}-hours"] if hours else []
    return {"search": f"{' or '.join(ends)} more, in no figure below"}


def _hours(figures: Mapping[str, Any]) -> dict[str, str]:
    unit = f"{figures['device']}-hours"
    if figures["timings"] is None:
        return {unit: "unknown before an epoch is stored; --calibrate trains some steps instead"}
    source = "stored epochs" if figures["timings"] == "stored" else "a calibration"
    bound = "; pruned epochs are counted as dense ones" if figures["pruned_as_dense"] else ""
    return {
        f"{unit} alone": f"{_hour(figures['expected_hours_alone'])} (from {source}{bound})",
        f"{unit} shared": _range(figures["expected_hours_shared"], None),
        f"{unit} left": _range(figures["expected_hours_left"], None),
    }


def _range(found: Mapping[str, float], form: str | None) -> str:
    low, high = (form.format(found[end]) if form else _hour(found[end]) for end in ("min", "max"))
    return low if low == high else f"{low} to {high}"


def _hour(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.2g}" if hours else "0"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
