"""Operations that make one number of many along a dimension, or look at all of them.

A unit that is gone is left out of a mean, maximum or softmax over units. That needs no tie, but
says what the smaller network equals: see ``left_out``. Where order counts, all stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pruning.structure.following.call import Call, rule
from pruning.structure.following.marks import Layer, varies

KEPT = "_softmax _log_softmax _safe_softmax"
"""Those after which the dimension is still there."""

TAKEN = (
    "mean sum amax amin max min var std var_mean std_mean linalg_vector_norm norm logsumexp prod"
)
"""Those for which a unit left out is nothing but that."""


@rule(f"{TAKEN} all any argmax argmin argsort topk kthvalue median mode aminmax nanmedian")
@rule("count_nonzero nansum")
def _reduction(call: Call) -> Sequence[Layer]:
    value = call.given[0]
    over = dims_of(call.args, value.dim())
    kept = _pass(call, over)
    if call.out.dim() == value.dim():
        return kept
    return [one.squeeze(tuple(over)) for one in kept]


@rule(KEPT)
def _softmax(call: Call) -> Sequence[Layer]:
    layers = call.layers(call.given[0])
    over = dims_of(call.args, call.given[0].dim())
    call.ledger.take_together(one for one in layers if varies(one) & over)
    return layers


@rule("cumsum cumprod cummax cummin logcumsumexp sort renorm")
def _scan(call: Call) -> Sequence[Layer]:
    return _pass(call, dims_of(call.args, call.given[0].dim()))


def _pass(call: Call, over: set[int]) -> list[Layer]:
    layers = call.layers(call.given[0])
    mixed = [one for one in layers if varies(one) & over]
    if call.name in TAKEN.split():
        call.ledger.take_together(mixed)
    else:
        call.taint(mixed, f"a {call.name.strip('_')} over channels in the code")
    return [one for one in layers if not varies(one) & over]


def dims_of(args: dict[str, Any], dims: int) -> set[int]:
    """The dimensions an operation goes over: all where it names none."""
    given = args.get("dim")
    if given is None or given == []:
        return set(range(dims))
    return {d % dims for d in (given if isinstance(given, (list, tuple)) else [given])}
