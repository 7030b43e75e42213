"""What a network does that has learned nothing: it names one class, the most frequent, always."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset

from pruning.training.batches import Batches, DatasetBatches, TensorBatches


def chance(split: Batches) -> dict[str, float]:
    """The accuracy on a split of always naming its most frequent class, and its samples.

    Empty where labels are no classes, a sample each, or are not to be had without all samples.
    """
    labels = _labels(split)
    if labels is None or labels.ndim != 1 or labels.is_floating_point() or not len(labels):
        return {}
    most = int(torch.bincount(labels - labels.min()).max())
    return {"chance_accuracy": most / len(labels), "val_samples": float(len(labels))}


def _labels(split: Batches) -> Tensor | None:
    if isinstance(split, TensorBatches):
        return split.y.cpu()
    return _beside(split.dataset) if isinstance(split, DatasetBatches) else None


def _beside(dataset: Dataset[tuple[Tensor, int]]) -> Tensor | None:
    """The labels that a dataset holds beside its samples, as torchvision's do."""
    if isinstance(dataset, Subset):
        found = _beside(dataset.dataset)
        return None if found is None else found[torch.as_tensor(dataset.indices)]
    try:
        found = torch.as_tensor(getattr(dataset, "targets", None))
        return found if len(found) == len(dataset) else None  # type: ignore[arg-type]
    except Exception:  # a user's own may call anything so
        return None
