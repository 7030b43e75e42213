"""What needs no look at the samples: for each metric that has such a level, what it comes to.

A network that has learned nothing gives one answer for all samples, or answers that have nothing
to do with them. Levels are the best of that on the validation targets themselves, so that no
constant is above them; margins are what luck adds, two standard errors of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset

from pruning.reading.target import UNLABELLED
from pruning.training.batches import Batches, DatasetBatches, TensorBatches
from pruning.training.luck import ERRORS, margin_of_share
from pruning.training.metrics import MetricSpec

Level = tuple[float, float]
"""A level, and its margin."""

_PLAIN = {"average", "num_classes", "num_labels", "num_outputs", "task", "ignore_index"}
"""Options of torchmetrics under which levels are as here; of others nothing is claimed."""


def chance(split: Batches, metrics: Sequence[MetricSpec]) -> dict[str, float]:
    """``chance_NAME`` and ``margin_NAME`` of each metric that has a level, and ``val_samples``.

    Empty where there is none, or targets are not to be had without all samples.
    """
    targets = _targets(split)
    if targets is None or not len(targets):
        return {}
    found: dict[str, float] = {}
    for spec in metrics:
        if level := _level(spec, targets):
            found[f"chance_{spec.short}"], found[f"margin_{spec.short}"] = level
    return {**found, "val_samples": float(len(targets))} if found else {}


def _level(spec: MetricSpec, targets: Tensor) -> Level | None:
    if not spec.ours and not (spec.theirs and set(spec.options) <= _PLAIN):
        return None
    name = spec.name.replace(":", ".").rpartition(".")[2]
    if not targets.is_floating_point():
        return _of_classes(name, spec.options.get("average"), targets[targets != UNLABELLED])
    return _of_values(name, targets.double()) or _of_labels(
        name, spec.options.get("average"), targets > 0.5
    )


def _of_classes(name: str, average: str | None, labels: Tensor) -> Level | None:
    """Of a class a sample, or a label a pixel."""
    counts = torch.unique(labels, return_counts=True)[1].double()
    if not len(counts):
        return None
    shares, total = counts / counts.sum(), float(counts.sum())
    if name in ("accuracy", "Accuracy", "MulticlassAccuracy"):
        each = (average or ("macro" if name == "MulticlassAccuracy" else "micro")) == "macro"
        share = 1 / len(counts) if each else float(shares.max())
        return share, margin_of_share(share, float(counts.min() * len(counts)) if each else total)
    if name in ("JaccardIndex", "MulticlassJaccardIndex") and average in (None, "macro"):
        # one class everywhere, or each anywhere as often as it is there
        found = max(float(shares.max()) / len(counts), float((shares / (2 - shares)).mean()))
        return found, margin_of_share(found, total)
    if name in ("AUROC", "MulticlassAUROC") and average in (None, "macro"):
        return _of_ranking(counts, total)
    return None


def _of_values(name: str, values: Tensor) -> Level | None:
    """Of values to be met: their mean, for absolute errors their median.

    Luck: R2 is at most the squared correlation of outputs and targets, whose standard error is
    1 / sqrt(n). That share of an error is its margin.
    """
    luck = min(1.0, ERRORS**2 / len(values))
    if name in ("R2Score", "ExplainedVariance"):
        return 0.0, luck
    if name in ("mse", "MeanSquaredError"):
        found = float((values - values.mean(0)).square().mean())
        return found, luck * found
    if name in ("mae", "MeanAbsoluteError"):
        found = float((values - values.median(0).values).abs().mean())
        return found, luck * found
    return None


def _of_labels(name: str, average: str | None, there: Tensor) -> Level | None:
    """Of labels [n, k], each there or not."""
    shares = there.double().mean(0)
    if name in ("accuracy", "Accuracy", "BinaryAccuracy", "MultilabelAccuracy"):
        share = float(torch.maximum(shares, 1 - shares).mean())
        return None if average == "weighted" else (share, margin_of_share(share, there.numel()))
    if name in ("AUROC", "BinaryAUROC", "MultilabelAUROC") and average in (None, "macro"):
        return _of_ranking(there.double().sum(0), float(len(there)))
    return None


def _of_ranking(counts: Tensor, total: float) -> Level | None:
    """Of the area under ROC curves, a class each; ``counts`` of ``total`` samples are in it.

    The standard error is Mann's and Whitney's. None where a class is in all samples or in none.
    """
    others = total - counts
    if not bool(((counts > 0) & (others > 0)).all()):
        return None
    return 0.5, ERRORS * float(((total + 1) / (12 * counts * others)).sqrt().mean())


def _targets(split: Batches) -> Tensor | None:
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
