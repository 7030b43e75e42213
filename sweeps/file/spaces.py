"""Search spaces: what stands in a sweep file where a value is to be drawn.

{grid: [a, b]}            each of them, walked whole
{choice: [a, b]}          one of them
{uniform: [low, high]}    a number between, both included; step: only every step-th
{log_uniform: [low, high]}    the same, evenly in orders of magnitude
{int: [low, high]}        a whole number, both included; step: likewise
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pruning.settings import canonical

if TYPE_CHECKING:  # Optuna takes a second to import
    from optuna import Trial

SAMPLED = ("choice", "uniform", "log_uniform", "int")
DIGITS = 4
"""Significant digits of a number that is drawn."""

_STEPPED = ("uniform", "int")


def kind_of(value: Any) -> str | None:
    """``grid`` or one of ``SAMPLED`` if this mapping is a space, None if it is a value."""
    if not isinstance(value, Mapping):
        return None
    kinds = [kind for kind in ("grid", *SAMPLED) if kind in value]
    return kinds[0] if len(kinds) == 1 and set(value) <= {kinds[0], "step"} else None


@dataclass(frozen=True)
class Space:
    """What one field is drawn from: ``options``, or numbers from ``low`` to ``high``."""

    kind: str
    options: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any], field: str) -> Space:
        """Raises ValueError that names the field, what stands there and what is allowed."""
        kind = kind_of(given)

        def refuse(allowed: str) -> ValueError:
            return ValueError(f"{field}: {dict(given)} is not allowed: {allowed}")

        assert kind in SAMPLED
        bounds, step = given[kind], given.get("step")
        if kind == "choice":
            if not isinstance(bounds, list) or not bounds or step is not None:
                raise refuse("a choice is a list of at least one value")
            if len(set(map(canonical, bounds))) < len(bounds):
                raise refuse("the choice names a value twice")
            return cls(kind, tuple(bounds))
        if not isinstance(bounds, list) or len(bounds) != 2 or not all(map(_number, bounds)):
            raise refuse(f"{kind} is [low, high], two numbers")
        low, high = bounds
        if low >= high:
            raise refuse(f"low ({low}) must be below high ({high})")
        if kind == "log_uniform" and low <= 0:
            raise refuse(f"low ({low}) must be above 0 on a logarithmic scale")
        if kind == "int" and not all(isinstance(bound, int) for bound in bounds):
            raise refuse("int is [low, high], two whole numbers")
        if step is not None:
            if kind not in _STEPPED:
                raise refuse(f"{kind} takes no step")
            if not _number(step) or not 0 < step <= high - low:
                raise refuse(f"step must be above 0 and up to high - low ({high - low:g})")
            if kind == "int" and not isinstance(step, int):
                raise refuse("the step of whole numbers is a whole number")
        return cls(kind, (), low, high, step)

    @property
    def base(self) -> Any:
        """A value to begin with: the first option, or the middle."""
        if self.kind == "choice":
            return self.options[0]
        if self.kind == "log_uniform":
            return readable(math.sqrt(self.low * self.high), DIGITS, self.low, self.high)
        middle = (self.low + self.high) / 2
        step = self.step or (1 if self.kind == "int" else 0)
        if step:
            middle = self.low + (middle - self.low) // step * step
        middle = readable(middle, 12 if step else DIGITS, self.low, self.high)
        return int(middle) if self.kind == "int" else middle

    @property
    def extremes(self) -> list[Any]:
        """Values such that a field that takes them takes all of the space."""
        if self.kind == "choice":
            return list(self.options)
        odd = self.step is None and self.kind != "int"
        between = [self.low + 0.381966 * (self.high - self.low)] if odd else []
        return [self.low, self.high, *between]

    def suggest(self, trial: Trial, name: str) -> Any:
        """A value, as the study's sampler would have it."""
        if self.kind == "choice":
            labels = {_label(option): option for option in self.options}
            return labels[trial.suggest_categorical(name, list(labels))]
        if self.kind == "int":
            low, high, step = int(self.low), int(self.high), int(self.step or 1)
            return trial.suggest_int(name, low, high, step=step)
        log = self.kind == "log_uniform"
        drawn = trial.suggest_float(name, self.low, self.high, step=self.step, log=log)
        return readable(drawn, 12 if self.step else DIGITS, self.low, self.high)

    def label(self, value: Any) -> Any:
        """A value as the study knows it: lists and mappings are JSON there."""
        return _label(value) if self.kind == "choice" else value


def readable(value: float, digits: int, low: float, high: float) -> float:
    """A number of few digits within the bounds: who reads a setting can type it again."""
    return min(max(float(f"{value:.{digits}g}"), low), high)


def spaces(template: Any, field: str, place: str = "") -> dict[str, Space]:
    """The sampled spaces in a mapping, by their dotted place. Raises ValueError, see ``parse``.

    field: the mapping's own name in the sweep file.
    """
    if kind_of(template) in SAMPLED:
        return {place: Space.parse(template, f"{field}.{place}")}
    found: dict[str, Space] = {}
    for key, part in template.items() if isinstance(template, Mapping) else ():
        found |= spaces(part, field, f"{place}.{key}" if place else str(key))
    return found


def filled(template: Any, values: Mapping[str, Any], place: str = "") -> Any:
    """The mapping with a value in each space's place."""
    if place in values:
        return values[place]
    if not isinstance(template, Mapping):
        return template
    return {
        key: filled(part, values, f"{place}.{key}" if place else str(key))
        for key, part in template.items()
    }


def _number(value: Any) -> bool:
    finite = isinstance(value, int | float) and math.isfinite(value)
    return finite and not isinstance(value, bool)


def _label(value: Any) -> Any:
    return (
        value if value is None or isinstance(value, bool | int | float | str) else canonical(value)
    )
