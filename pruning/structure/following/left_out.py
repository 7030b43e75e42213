"""A dense network in which some units are left out of every mean, norm and softmax over units.

Zeros where units are read say what a network is without them, as long as each is read by itself. A
LayerNorm takes them together: of zeros it would make other statistics than of nothing. So the dense
network that a smaller one has to equal computes these over the units that are left alone, place by
place where they lie, and where its code computes with a width, as attention that scales by it, with
what is left of that. This is a definition, as for a masked norm; that the smaller network does
compute it is what the proof shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from pruning.structure.copies import named_tensors
from pruning.structure.cut import Cut
from pruning.structure.following.attention import ATTENTION
from pruning.structure.following.call import Call
from pruning.structure.following.follow import Follower, entered
from pruning.structure.following.layers import CONVOLUTIONS
from pruning.structure.following.ledger import Ledger, Onlooker
from pruning.structure.following.marks import Layer, narrow, varies
from pruning.structure.following.norms import BATCH
from pruning.structure.following.numbers import Number, Owned, Owner, Size
from pruning.structure.following.products import PRODUCTS
from pruning.structure.following.reductions import KEPT, TAKEN, dims_of
from pruning.structure.following.sizes import Sizes, rows_of

READERS = frozenset(f"{PRODUCTS} {ATTENTION}".split())


@contextmanager
def left_out(
    model: nn.Module, cuts: Mapping[str, Cut], numbers: Mapping[Owner, int]
) -> Iterator[None]:
    """Forward passes in here leave out what is cut.

    cuts: tensor -> dimension -> what stays. numbers: what those of the model's code are then.
    """
    tensors = named_tensors(model)
    ledger = Onlooker(tensors, lambda _: True)  # what is gone of a head does not take all of it
    gone = torch.zeros(len(ledger.ties) + 1, dtype=torch.bool)
    for name, cut in cuts.items():
        for dim, stay in cut.items():
            marks = torch.from_numpy(ledger.ties.axis((name, dim), 0)) + 1
            gone[marks] = True
            gone[marks[stay.cpu()]] = False
    with entered(model, _Without(ledger, gone), _Fewer(ledger, gone, numbers)):
        yield


class _Without(Follower):  # type: ignore[no-untyped-call]
    def __init__(self, ledger: Ledger, gone: Tensor) -> None:
        super().__init__(ledger)
        self._gone = gone

    def compute(self, call: Call, args: Any, kwargs: Any) -> Any:
        if call.name in ("native_layer_norm", "_fused_rms_norm"):
            return self._normed(call)
        if call.name == "native_group_norm" and call.args["group"] == 1:
            return self._grouped(call)
        if call.name in (*KEPT.split(), *TAKEN.split()):
            return self._taken(call)
        if call.name in BATCH.split():
            return self._standardized(call)
        if call.name in CONVOLUTIONS.split():
            return self._convolved(call)
        if call.name in READERS:
            return self._read(call)
        return super().compute(call, args, kwargs)

    def _stay(self, call: Call, value: Tensor, over: set[int]) -> dict[int, Tensor]:
        """dim -> which of its positions are left, of the dimensions along which units are gone."""
        found: dict[int, Tensor] = {}
        for layer in call.layers(value):
            out = narrow(_lost(layer, self._gone))
            if len(dims := varies(out) & over) == 1 == len(varies(out)):
                (dim,) = dims
                found[dim] = torch.nonzero(~out.flatten()).flatten()
        return found

    def _taken(self, call: Call) -> Any:
        value = call.given[0]
        args = dict(call.args)
        stays = self._stay(call, value, dims_of(args, value.dim()))
        name = next(key for key, one in args.items() if one is value)
        args[name] = _select(value, stays)
        out = call.run(**args)
        return _spread(out, value, stays) if call.name in KEPT.split() else out

    def _standardized(self, call: Call) -> Any:
        value = call.args["input"]
        stays = self._stay(call, value, set(range(2, value.dim())))
        out, *rest = call.run(**{**call.args, "input": _select(value, stays)})
        return (_spread(out, value, stays), *rest)

    def _convolved(self, call: Call) -> Any:
        value = self._zeroed(call, call.args["input"])
        stays = self._stay(call, call.args["input"], set(range(2, value.dim())))
        out = call.run(**{**call.args, "input": _select(value, stays)})
        return _spread(out, value, stays)

    def _read(self, call: Call) -> Any:
        factor = next((one for one in call.given if not call.is_weight(one)), None)
        if factor is None:
            return call.run(**call.args)
        zero = self._zeroed(call, factor)
        return call.run(**{name: zero if a is factor else a for name, a in call.args.items()})

    def _zeroed(self, call: Call, factor: Tensor) -> Tensor:
        """It is zero where units are gone, as weights are that read them: those that are computed
        need not be, and there are none where two factors are none."""
        for layer in call.layers(factor):
            factor = factor.masked_fill(_lost(layer, self._gone), 0)
        return factor

    def _normed(self, call: Call) -> Any:
        value, args = call.args["input"], dict(call.args)
        first = value.dim() - len(args["normalized_shape"])
        stays = self._stay(call, value, set(range(first, value.dim())))
        args["input"] = _select(value, stays)
        own = {dim - first: stay for dim, stay in stays.items()}
        for name in ("weight", "bias"):
            if args.get(name) is not None:
                args[name] = _select(args[name], own)
        args["normalized_shape"] = list(args["input"].shape[first:])
        out, *rest = call.run(**args)
        return (_spread(out, value, stays), *rest)

    def _grouped(self, call: Call) -> Any:
        value, args = call.args["input"], dict(call.args)
        stays = self._stay(call, value, {1})
        args["input"] = _select(value, stays).contiguous()
        for name in ("weight", "bias"):
            if args.get(name) is not None and 1 in stays:
                args[name] = _select(args[name], {0: stays[1]})
        args["C"] = args["input"].shape[1]
        out, *rest = call.run(**args)
        return (_spread(out, value, stays), *rest)


class _Fewer(Sizes):
    """What code computes with numbers, it computes with what they are then."""

    def __init__(self, ledger: Ledger, gone: Tensor, numbers: Mapping[Owner, int]) -> None:
        super().__init__(self, ledger.memory)
        self._gone, self._numbers = gone, numbers

    def called(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> Any:
        """Attention scales by the size of what is left of its heads."""
        if func is scaled_dot_product_attention and kwargs.get("scale") is None:
            query = args[0] if args else kwargs["query"]
            width = self.amount(Size.of(query, query.dim() - 1, self))
            kwargs = {**kwargs, "scale": width**-0.5}
        return func(*args, **kwargs)

    def amount(self, number: Number) -> int:
        """How many are left of what it counts."""
        if isinstance(number, Owned):
            return self._numbers.get(number.owner, int(number))
        assert isinstance(number, Size)
        left = number.tensor.shape[number.dim]
        for rows in rows_of(number, self._memory):
            stay = ((rows != 0) & ~_lost(rows, self._gone)).any(1) | (rows == 0).all(1)
            left = int(stay.sum())
        return left * number.times // number.parts


def _lost(layer: Layer, gone: Tensor) -> Tensor:
    known = layer.long() < len(gone)  # hubs come later, and are of no weight
    return known & gone[torch.where(known, layer.long(), 0)]


def _select(value: Tensor, stays: Mapping[int, Tensor]) -> Tensor:
    for dim, stay in stays.items():
        value = value.index_select(dim, stay)
    return value


def _spread(small: Tensor, like: Tensor, stays: Mapping[int, Tensor]) -> Tensor:
    """Back to the size before, with zeros where something is gone."""
    for dim, stay in stays.items():
        shape = list(small.shape)
        shape[dim] = like.shape[dim]
        small = small.new_zeros(shape).index_copy(dim, stay, small)
    return small
