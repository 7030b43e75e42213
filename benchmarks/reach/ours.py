"""What our own pruning makes of a network.

Imports of ``pruning`` stand in the functions: ``one`` says first which checkout it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.reach.exact import compare, mark, numbers
from benchmarks.reach.layers import channels, dense_channels, output_layers
from benchmarks.reach.meter import Meter
from benchmarks.reach.suites import Subject
from benchmarks.reach.training import train
from benchmarks.reach.values import copied

RATIO = 0.5


def cut(subject: Subject, only_time: bool = False) -> dict[str, Any]:
    """Half of every layer: does it go on training, how exact is it, what is left, what it took."""
    from pruning import AtEpoch, Magnitude, Pruner
    from pruning.structure.units import UntraceableError

    model, args = subject.built()
    policy = AtEpoch(epoch=0, ratio=RATIO, scope="layer", saliency=Magnitude())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    meter = Meter()
    try:
        with meter:
            pruner = Pruner(model, optimizer, policy, example_input=_example(args), epochs=2)
            action = pruner.start()
    except UntraceableError as error:
        return {"works": False, "reason": str(error), "refused": True, **meter.result()}
    except Exception as error:
        return {"works": False, "reason": _raw(error), **meter.result()}
    row: dict[str, Any] = {"works": True, "reason": "", **meter.result()}
    if only_time:
        return row
    row["macs"] = pruner.network.cost().macs / max(1, pruner.network.dense_cost.macs)
    units, gone = pruner.network.units, list(getattr(action, "units", ()))
    dense = _plain(subject.built()[0])
    row["reach"], row["out_of_reach"] = _reach(dense, args, units)
    row["why"] = dict(list(units.refused.items())[:6])
    try:
        train(model, args, optimizer)
    except Exception as error:
        row |= {"works": False, "reason": f"after the cut: {_raw(error)}"}
    del model, optimizer, pruner
    verdict = compare(dense, args, _cut_marks(dense, units, gone))
    if row["works"] and not verdict.exact:
        row["reason"] = f"not exact: {verdict.where}"
    return row | {
        "exact": verdict.exact,
        "worst": min(verdict.worst, 1e300),
        "left_out": list(verdict.left_out),
    }


def _example(args: tuple[Any, ...]) -> Any:
    return args[0] if len(args) == 1 and isinstance(args[0], torch.Tensor) else args


def _plain(model: nn.Module) -> nn.Module:
    """Without what torch puts around a network; units are named without it, too."""
    inner: nn.Module = getattr(model, "_orig_mod", model)
    return inner.module if isinstance(inner, nn.DataParallel) else inner


def _raw(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def _cut_marks(dense: nn.Module, units: Any, gone: Sequence[int]) -> nn.Module:
    """A copy whose tensors are marked, without these units."""
    from pruning.structure.shrink import shrink

    marked = mark(copied(dense))
    alive = np.ones(units.layout.total, dtype=np.bool_)
    keep = alive.copy()
    keep[list(gone)] = False
    shrink(marked, None, units, alive, keep)
    return marked


def _reach(model: nn.Module, args: tuple[Any, ...], units: Any) -> tuple[float, list[str]]:
    """Share of the output channels that can be removed, and the layers of which some cannot.

    Of all convolutions and linear layers but those that make the output, and those of one channel,
    which always keep it. Removed for real: once all but the first unit of each group, once all but
    the last.
    """
    outputs = set(output_layers(model, args))
    layers = [one for one in dense_channels(model) if one[0] not in outputs and one[3] > 1]
    starts, sizes = units.layout.offsets[:-1].tolist(), units.layout.sizes
    stays: dict[str, set[int]] = {}
    for kept in (starts, [start + size - 1 for start, size in zip(starts, sizes, strict=True)]):
        left = numbers(_cut_marks(model, units, sorted({*range(units.layout.total)} - {*kept})))
        for name, weight, module, _ in layers:
            shape = _shape(model, weight)
            here = set(channels(module, shape, left[weight]).tolist())
            stays[name] = stays.get(name, here) & here
    total = sum(width for *_, width in layers)
    short = [name for name, *_ in layers if stays[name]]
    return 1 - sum(map(len, stays.values())) / max(1, total), short


def _shape(model: nn.Module, name: str) -> torch.Size:
    return dict(model.named_parameters())[name].shape
