"""How a metric is written: accuracies in percent and points, others as the numbers they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.results.quality import is_fraction, words
from sweeps.results.rows import Row, deviation, mean


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
    return f"{100 * value:{sign}z.{digits}f}".replace("-", "−")


@dataclass(frozen=True)
class Measure:
    """A column of a metric: ``val_accuracy``, ``test_mse``."""

    column: str

    @property
    def percent(self) -> bool:
        """Whether it is told in percent, and its differences in points."""
        return is_fraction(self.column)

    @property
    def name(self) -> str:
        """``validation accuracy``."""
        return words(self.column)

    @property
    def noun(self) -> str:
        """``accuracy``."""
        return self.column.partition("_")[2].replace("_", " ")

    @property
    def head(self) -> str:
        """Over a column of its values."""
        return f"{self.name} (%)" if self.percent else self.name

    @property
    def points(self) -> str:
        """After a difference, or a heading of differences: `` points``."""
        return " points" if self.percent else ""

    @property
    def factor(self) -> float:
        """By what a difference is multiplied."""
        return 100.0 if self.percent else 1.0

    def plain(self, value: float | None) -> str:
        """A value without its unit."""
        return share(value) if self.percent else number(value, 4)

    def write(self, value: float | None) -> str:
        """A value."""
        return f"{self.plain(value)} %" if self.percent else self.plain(value)

    def change(self, value: float | None) -> str:
        """A difference with its sign, without its unit."""
        if self.percent:
            return share(value, 2, "+")
        return ("+" if value and value > 0 else "") + number(value).replace("-", "−")

    def size(self, value: float) -> str:
        """A difference without its sign."""
        return share(abs(value)) if self.percent else number(abs(value))

    def spread(self, group: Sequence[Row]) -> str:
        """Mean and standard deviation over seeds, without their unit."""
        middle, around = self.plain(mean(group, self.column)), deviation(group, self.column)
        return middle + ("" if math.isnan(around) else f" ± {self.plain(around)}")

    def spread_told(self, group: Sequence[Row]) -> str:
        """With their name and unit."""
        return f"{self.name} {self.spread(group)}{' %' if self.percent else ''}"

    def worse(self, drop: float) -> str:
        """What a drop of ``Saving`` is: ``0.5 points less``, of others ``0.5 % worse``."""
        if not self.percent:
            return f"{100 * drop:g} % worse"
        return f"{100 * drop:g} point{'s' * (drop != 0.01)} less"
