"""A made-up training as large as ResNet-50's: 53 layers, 26,560 units."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pruning.history import History, Record
from pruning.policies.base import Policy
from pruning.randomness import stream
from pruning.saliency import Saliency
from pruning.structure.layout import Layout
from pruning.testing.life import Life

RECORDED = 20

_STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))

Values = npt.NDArray[np.floating]


def resnet50() -> Layout:
    """The convolutions of ResNet-50 as layers: each block's three, each stage's shortcut."""
    sizes = {"conv1": 64}
    for stage, (blocks, width) in enumerate(_STAGES, 1):
        for block in range(blocks):
            for conv, size in enumerate((width, width, 4 * width), 1):
                sizes[f"layer{stage}.{block}.conv{conv}"] = size
        sizes[f"layer{stage}.0.downsample.0"] = 4 * width
    return Layout(tuple(sizes), tuple(sizes.values()))


def large_history(policy: Policy, life: Life, epochs: int, thinned: bool = False) -> History:
    """The first 20 records of a training of so many epochs, with what the policy measures.

    Saliencies settle, each unit at its own value and pace. Any other probe has what it measured in
    the tiny training, an axis as long as its layers or units stretched to as many here. thinned:
    every fourth unit of a layer is gone from the middle of the records on.
    """
    layout = resnet50()
    series = {p.key: _series(p.key, layout) for p in policy.probes() if isinstance(p, Saliency)}
    others = [p.key for p in policy.probes() if p.key not in series]
    cut = np.arange(layout.total) - layout.offsets[layout.group_of]
    small, dense = life.records(), next(iter(life.actions), (len(life.stored) - 1, None))[0]
    records = []
    for epoch in range(RECORDED):
        alive = np.ones(layout.total, dtype=np.bool_)
        if thinned and epoch >= RECORDED // 2:
            alive &= cut % 4 != 3
        record = small[min(epoch, dense)]
        probes: dict[str, Values] = {
            key: np.where(alive, values[epoch], np.nan).astype(np.float32)
            for key, values in series.items()
        }
        for key in others:
            if key in record.probes:
                probes[key] = _stretched(record.probes[key], life.history.layout, layout)
        records.append(_record(epoch, alive, probes))
    return History.of(layout, records, epochs, reference=_reference(policy, life, layout))


def _series(key: str, layout: Layout) -> npt.NDArray[np.float32]:
    """A positive score per epoch and unit that converges, [epochs, units]."""
    draw = np.random.default_rng(stream(key, "large") % 2**32)
    end = draw.lognormal(sigma=0.5, size=layout.total)
    start = end * draw.lognormal(sigma=0.5, size=layout.total)
    pace = draw.uniform(2, 6, size=layout.total)
    epochs = np.arange(RECORDED)[:, None]
    noise = 1 + 0.01 * draw.standard_normal((RECORDED, layout.total))
    series = (end + (start - end) * np.exp(-epochs / pace)) * noise
    return series.astype(np.float32)


def _stretched(values: Values, small: Layout, large: Layout) -> Values:
    lengths = {len(small.sizes): len(large.sizes), small.total: large.total}
    for axis, size in enumerate(values.shape):
        if size in lengths:
            values = values.take(np.arange(lengths[size]) % size, axis)
    return values


def _record(epoch: int, alive: npt.NDArray[np.bool_], probes: dict[str, Values]) -> Record:
    better = 1 - np.exp(-epoch / 5)
    metrics = {
        "train_loss": 2.3 - 2 * better,
        "train_accuracy": 0.1 + 0.85 * better,
        "val_loss": 2.3 - 1.8 * better,
        "val_accuracy": 0.1 + 0.8 * better,
    }
    share = float(alive.mean()) ** 2
    costs = {
        "params": int(25_557_032 * share),
        "macs": int(4_089_184_256 * share),
        "units": int(alive.sum()),
        "masked": 0,
        "samples": 1_281_167,
    }
    return Record(epoch, alive, probes, {k: float(v) for k, v in metrics.items()}, costs=costs)


def _reference(policy: Policy, life: Life, layout: Layout) -> Record | None:
    """Where the policy ended that a control is compared with: half of every layer is left."""
    if life.history.reference is None:
        return None
    number = np.arange(layout.total) - layout.offsets[layout.group_of]
    alive = number < (np.asarray(layout.sizes) // 2)[layout.group_of]
    end = _record(RECORDED, alive, {})
    return Record(end.epoch, alive, {}, end.metrics, costs=dict(life.history.reference.costs))
