"""What a probe gave, held against what it was asked for."""

from __future__ import annotations

from torch import Tensor

from pruning.saliency.base import Probe, Saliency


def fitting(probe: Probe, score: object, units: int) -> Tensor:
    """What ``probe.score`` gave of a network with so many units. Raises TypeError for what is none.

    Of a saliency float [units], of any other probe a tensor.
    """
    each = isinstance(probe, Saliency)
    if isinstance(score, Tensor) and (not each or _is_of_each(score, units)):
        return score
    found = f"{score!r:.60}, of type {type(score).__name__}"
    if isinstance(score, Tensor):
        found = f"{list(score.shape)} of {score.dtype}"
    of_each = f"[{units}] of torch.float32, a score for each unit that is left"
    raise TypeError(f"{probe.key} gives {found} (allowed: {of_each if each else 'a tensor'})")


def _is_of_each(score: Tensor, units: int) -> bool:
    return score.shape == (units,) and score.is_floating_point()
