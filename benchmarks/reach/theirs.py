"""What Torch-Pruning makes of the same network: as it comes, or with heads given by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.reach.exact import compare, mark
from benchmarks.reach.layers import output_layers
from benchmarks.reach.meter import Meter
from benchmarks.reach.suites import Subject
from benchmarks.reach.training import train

RATIO = 0.5


def cut(subject: Subject, heads: bool = False) -> dict[str, Any]:
    """Half of every layer by magnitude, the layers that make the output left alone."""
    from pruning.structure.cost import measure

    model, args = subject.built()
    row: dict[str, Any] = {"heads": bool(_attentions(model) or hasattr(model, "hidden_dim"))}
    meter = Meter()
    try:
        dense = measure(model, args)
        with meter:
            _step(_pruner(model, args, heads), model, heads)
        row |= meter.result()
        params, macs = measure(model, args)
        train(model, args, torch.optim.SGD(model.parameters(), lr=1e-3))
        if params >= dense[0]:
            raise RuntimeError("nothing was removed")
        row |= {"works": True, "reason": "", "macs": macs / max(1, dense[1])}
    except Exception as error:
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        return row | meter.result() | {"works": False, "reason": text}
    return row | _exactness(subject, heads)


def _exactness(subject: Subject, heads: bool) -> dict[str, Any]:
    model, args = subject.built()
    try:
        pruner = _pruner(model.double().eval(), tuple(_double(value) for value in args), heads)
        mark(model)
        _step(pruner, model, heads)
        verdict = compare(*subject.built(), model)
    except Exception as error:
        return {"exact": False, "where": f"{type(error).__name__}: {error}"[:300]}
    return {
        "exact": verdict.exact,
        "worst": min(verdict.worst, 1e300),
        "where": verdict.where,
        "left_out": list(verdict.left_out),
    }


def _pruner(model: nn.Module, args: tuple[Any, ...], heads: bool) -> Any:
    import torch_pruning as tp

    modules = dict(model.named_modules())
    ignored = [modules[name] for name in output_layers(model, args)]
    counts = {qkv: count for qkv, (_, count) in _attentions(model).items()}
    return tp.pruner.BasePruner(
        model,
        args,
        importance=tp.importance.MagnitudeImportance(p=2),
        pruning_ratio=RATIO,
        ignored_layers=ignored,
        **({"num_heads": counts} if heads else {}),
    )


def _step(pruner: Any, model: nn.Module, heads: bool) -> None:
    """Prune; by hand comes then what its examples set: numbers of heads, and a hidden size."""
    attentions = _attentions(model) if heads else {}
    pruner.step()
    for qkv, (attention, _) in attentions.items():
        if isinstance(qkv, nn.Linear):
            count = pruner.num_heads[qkv]
            setattr(attention, "num_heads", count)  # noqa: B010
            for name in ("head_dim", "attn_dim"):
                width = qkv.out_features // (3 if name == "attn_dim" else 3 * count)
                if hasattr(attention, name):
                    setattr(attention, name, width)
    patches = getattr(model, "conv_proj", None)
    if heads and hasattr(model, "hidden_dim") and isinstance(patches, nn.Conv2d):
        setattr(model, "hidden_dim", patches.out_channels)  # noqa: B010


def _attentions(model: nn.Module) -> dict[nn.Module, tuple[nn.Module, int]]:
    """What has heads: the layer that makes them, and the module that counts them."""
    found: dict[nn.Module, tuple[nn.Module, int]] = {}
    for module in model.modules():
        count, qkv = getattr(module, "num_heads", None), getattr(module, "qkv", None)
        if isinstance(module, nn.MultiheadAttention):
            found[module] = (module, int(module.num_heads))
        elif isinstance(count, int) and isinstance(qkv, nn.Linear):
            found[qkv] = (module, count)
    return found


def _double(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.double() if value.is_floating_point() else value
    return {k: _double(v) for k, v in value.items()} if isinstance(value, dict) else value
