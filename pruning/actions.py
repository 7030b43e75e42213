"""Actions: what a policy may decide to do to a network between two epochs."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

By = Literal["magnitude", "random"]


@dataclass(frozen=True)
class Prune:
    """Remove these units.

    units: their ids in the dense network, in rising order. reinit: what stays begins anew, with
    weights drawn for its new shape. warnings: what a reader of the result should know; they are no
    part of the action's identity.
    """

    units: tuple[int, ...]
    reinit: bool = False
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(
        cls, units: Iterable[int], warnings: Iterable[str] = (), *, reinit: bool = False
    ) -> Prune:
        """An action with its units in order."""
        return cls(tuple(sorted(int(unit) for unit in units)), reinit, tuple(warnings))

    def to_json(self) -> dict[str, Any]:
        """What identifies the action."""
        return {"units": list(self.units)} | ({"reinit": True} if self.reinit else {})


@dataclass(frozen=True)
class Mask:
    """Set single weights to zero: in every weight tensor for itself, until ``sparsity`` are zero.

    by: ``magnitude`` takes the smallest first, ``random`` draws among those that are not zero.
    hold: they stay zero from now on; else they may grow again. seed: of ``random``.
    """

    sparsity: float
    by: By = "magnitude"
    hold: bool = True
    seed: int = 0
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def to_json(self) -> dict[str, Any]:
        """What identifies the action."""
        rest = {"sparsity": self.sparsity, "by": self.by, "hold": self.hold, "seed": self.seed}
        return {"mask": rest}


Action = Prune | Mask


def decided(answer: object) -> Action | None:
    """What a policy has decided. Raises TypeError for what is no action."""
    if answer is None or isinstance(answer, Prune | Mask):
        return answer
    if isinstance(answer, Coroutine):
        answer.close()  # or Python warns that nobody has awaited it
    kind = type(answer).__name__
    raise TypeError(f"decide returned {answer!r}, a {kind} (allowed: an Action or None)")


def from_json(data: Mapping[str, Any], warnings: Iterable[str] = ()) -> Action:
    """The inverse of both ``to_json``."""
    if "mask" in data:
        return Mask(**data["mask"], warnings=tuple(warnings))
    return Prune.of(data["units"], warnings, reinit=data.get("reinit", False))
