"""Figures and names as people read them: percent, times in a unit that fits, what a column is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboards.report.data import Group
from sweeps.results.rows import Row, deviation, mean

NAMES = {
    "val_accuracy": "validation accuracy",
    "gpu_hours": "time of one training alone",
    "gpu_hours_spent": "time spent on one training",
    "test_accuracy": "test accuracy",
    "macs": "MACs of one sample",
    "params": "parameters",
    "train_flops": "training FLOPs",
    "train_seconds": "training time (s)",
    "probe_seconds": "time of probes (s)",
    "decide_seconds": "time of decisions (s)",
}
COSTS = {"gpu_hours": "time", "gpu_hours_spent": "spent time", "train_seconds": "training time"}


@dataclass(frozen=True)
class Unit:
    """A unit of time that fits: ``hours * factor`` are so many of them."""

    factor: float
    name: str

    @classmethod
    def of(cls, hours: Sequence[float], device: str) -> Unit:
        """Device-hours, or -minutes or -seconds where hours would be mostly zeros."""
        longest = max((value for value in hours if math.isfinite(value)), default=0.0)
        if longest >= 1:
            return cls(1, f"{device}-hours")
        return cls(60, f"{device}-minutes") if longest >= 0.1 else cls(3600, f"{device}-seconds")

    def write(self, hours: float) -> str:
        """A time without its unit."""
        return number(hours * self.factor)


def number(value: float | None, digits: int = 3) -> str:
    """A number to read: three digits, thousands apart, a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0 or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def share(value: float | None, digits: int = 2, sign: str = "-") -> str:
    """A fraction as percent, without the percent sign; sign: ``+`` to show that, too."""
    if value is None or not math.isfinite(value):
        return "–"
    # z: what rounds to zero has no minus
    return f"{100 * value:{sign}z.{digits}f}".replace("-", "−")


def spread(group: Sequence[Row], name: str) -> str:
    """Mean and standard deviation of a fraction over seeds, in percent."""
    around = deviation(group, name)
    return share(mean(group, name)) + ("" if math.isnan(around) else f" ± {share(around)}")


def title(group: Group) -> str:
    """A setting in one line."""
    policy, settings = group[0]["policy"], group[0]["settings"]
    return f"{policy} {settings}".strip()


def points(drop: float) -> str:
    """``0.5 points``."""
    return f"{100 * drop:g} point{'s' * (drop != 0.01)}"


def parts(settings: Sequence[tuple[str, str, float]], short: Mapping[tuple[str, str], str]) -> str:
    """The one or two settings a figure stands on."""
    named = [short.get((policy, text), f"{policy} {text}") for policy, text, _ in settings]
    return named[0] if len(named) == 1 else f"between {' and '.join(named)}"


def sentence(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]


def interval(low: float | None, high: float | None, digits: int = 0) -> str:
    """A 95 % interval of a fraction, in percent; "" where there is none."""
    return "" if low is None or high is None else f"{share(low, digits)} to {share(high, digits)}"


def accuracy(objectives: dict[str, str]) -> str:
    """The name of the first objective to maximize."""
    name = next((name for name, way in objectives.items() if way == "max"), "")
    return NAMES.get(name, name.replace("_", " "))


def cost(objectives: dict[str, str]) -> str:
    """What is saved: the first objective to minimize."""
    name = next((name for name, way in objectives.items() if way == "min"), "")
    return COSTS.get(name) or NAMES.get(name, name.replace("_", " "))


def count(number: int, what: str) -> str:
    """``1 trial``, ``2,000 trials``."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def listed(names: Sequence[str], word: str) -> str:
    *others, last = names
    return f"{', '.join(others)} {word} {last}" if others else last
