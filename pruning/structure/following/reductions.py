"""Operations that make one number of many along a dimension, or look at all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pruning.structure.following.call import Call, rule
from pruning.structure.following.marks import Layer, varies


@rule("reduction argmax argmin argsort topk kthvalue median mode aminmax nanmedian")
def _reduction(call: Call) -> Sequence[Layer]:
    value = call.given[0]
    over = _dims(call.args, value.dim())
    kept = _keep(call, over)
    if call.out.dim() == value.dim():
        return kept
    return [one.squeeze(tuple(over)) for one in kept]


@rule("_softmax _log_softmax cumsum cumprod cummax cummin logcumsumexp sort _logcumsumexp renorm")
def _scan(call: Call) -> Sequence[Layer]:
    return _keep(call, _dims(call.args, call.given[0].dim()))


def _keep(call: Call, over: set[int]) -> list[Layer]:
    layers = call.layers(call.given[0])
    mixed = [one for one in layers if varies(one) & over]
    call.taint(mixed, f"a {call.name.strip('_')} over channels in the code")
    return [one for one in layers if not varies(one) & over]


def _dims(args: dict[str, Any], dims: int) -> set[int]:
    given = args.get("dim")
    if given is None or given == []:
        return set(range(dims))
    return {d % dims for d in (given if isinstance(given, (list, tuple)) else [given])}
