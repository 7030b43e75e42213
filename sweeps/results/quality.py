"""The quality of a task's networks: its first metric, which they are chosen and judged by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Metrics = Mapping[str, str]
"""A task's metrics by name, the first above all, each ``max`` or ``min``."""

ACCURACY: Metrics = {"accuracy": "max"}
"""Of classes; of every sweep that an earlier build has stored."""


@dataclass(frozen=True)
class Quality:
    """name: of the metric. way: ``max`` or ``min``."""

    name: str = "accuracy"
    way: str = "max"

    @classmethod
    def of(cls, metrics: Metrics) -> Quality:
        """The first."""
        return cls(*next(iter(metrics.items())))

    @classmethod
    def among(cls, rows: Iterable[Mapping[str, Any]]) -> Quality:
        """That of a sweep, from its rows."""
        return cls.of(next((row.get("metrics", ACCURACY) for row in rows), ACCURACY))

    @property
    def val(self) -> str:
        """Its column on the validation split, which choices see."""
        return f"val_{self.name}"

    @property
    def test(self) -> str:
        """Its column on the test split, which nothing is chosen on."""
        return f"test_{self.name}"

    @property
    def fraction(self) -> bool:
        """Whether it is a share, to be told in percent and points."""
        return is_fraction(self.name)

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.way == "max" else -1

    @property
    def worst(self) -> float:
        """Worse than any value."""
        return -self.sign * math.inf


def is_fraction(column: str) -> bool:
    """Whether a column holds shares, to be told in percent."""
    return column.lower().endswith(("accuracy", "sparsity"))


def words(column: str) -> str:
    """A column of a metric in words: ``validation accuracy``."""
    split, _, name = column.partition("_")
    splits = {"val": "validation", "test": "test"}
    return f"{splits[split]} {name.replace('_', ' ')}" if split in splits else column
