"""What probes say of each step of an epoch, added up on the device, without waiting for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm


class Steps:
    """Scores of the steps since they were last taken.

    A step whose gradients are not finite counts for no score: a GradScaler does not make it either.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin an epoch."""
        self.number = 0
        self._counted: Tensor | int = 0
        self._sums: dict[str, Tensor] = {}

    def begin(self, finite: Tensor) -> None:
        """One more step; finite: bool [], whether its gradients are."""
        self.number += 1
        self._counted = self._counted + finite.long()

    def add(self, key: str, score: Tensor, finite: Tensor) -> None:
        """What a probe says of this step."""
        counted = torch.where(finite.to(score.device), score, 0.0)
        self._sums[key] = self._sums[key] + counted if key in self._sums else counted

    @property
    def counted(self) -> int:
        """How many steps had finite gradients. Waits for the device."""
        return int(self._counted)

    def mean(self, key: str) -> Tensor | None:
        """Over the steps that counted; None if the probe was not asked or no step did."""
        return self._sums[key] / self.counted if key in self._sums and self.counted else None

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain containers."""
        sums = {key: value.clone() for key, value in self._sums.items()}
        return {"number": self.number, "counted": self.counted, "sums": sums}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """The inverse."""
        self.number, self._counted = state["number"], state["counted"]
        self._sums = {key: value.to(device) for key, value in state["sums"].items()}


def all_finite(gradients: Iterable[Tensor]) -> Tensor | None:
    """Whether all of them are, bool [], on their device; None if there are none."""
    dense = [g.coalesce().values() if g.is_sparse else g for g in gradients]
    if not dense:
        return None
    filled = [g for g in dense if g.numel()]
    return get_total_norm(filled, norm_type=torch.inf).isfinite()
