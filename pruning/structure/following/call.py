"""One call of a torch operation, as the rules see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pruning.structure.following.ledger import Ledger
from pruning.structure.following.marks import Layer
from pruning.structure.reasons import Reason


@dataclass(frozen=True)
class Call:
    """An operation that has just run, or is about to: then nothing has come out of it.

    name: of the operation, ``add`` of ``aten.add_.Tensor``. args: by the names torch gives them.
    outs: the tensors that came out. module: the name of the module whose forward runs.
    """

    name: str
    args: dict[str, Any]
    outs: list[Tensor]
    ledger: Ledger
    module: str
    run: Callable[..., Any]
    _layers: dict[int, list[Layer]] = field(default_factory=dict)

    @cached_property
    def given(self) -> list[Tensor]:
        """The tensors that went in."""
        return list(_tensors(self.args.values()))

    @property
    def out(self) -> Tensor:
        """The first of those that came out."""
        return self.outs[0]

    def layers(self, tensor: Tensor | None) -> list[Layer]:
        """The marks of a tensor that went in."""
        if tensor is None:
            return []
        if id(tensor) not in self._layers:
            self._layers[id(tensor)] = self.ledger.memory.layers(tensor)
        return self._layers[id(tensor)]

    def weight_layers(self, weight: Tensor, dim: int, own: int | None = None) -> list[Layer]:
        """Those of a weight's layers that lie along a dimension, of one entry too.

        own: which dimension of the parameter that is, if it is another one.
        """
        dim %= weight.dim()
        if weight.shape[dim] == 1:
            single = self.ledger.memory.singles(weight).get(dim if own is None else own)
            return [] if single is None else [single]
        return [layer for layer in self.layers(weight) if layer.shape[dim] > 1]

    def is_weight(self, tensor: Tensor) -> bool:
        """Whether a tensor is a weight, or computed from weights alone."""
        return self.ledger.memory.is_weight(tensor)

    def taint(self, layers: Iterable[Layer], why: str) -> None:
        """These marks stay, because of what happens here."""
        self.ledger.taint(layers, Reason(why, self.module))


Rule = Callable[[Call], Sequence[Layer]]
"""Notes in the ledger what a call does to the marks of what went in, and says which those of its
first output are, in layers that can be spread over it."""

RULES: dict[str, Rule] = {}
"""By the name of the operation."""


def rule(names: str) -> Callable[[Rule], Rule]:
    """The rule of these operations, by torch's names for them, without underscores at their end."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names.split(), function))
        return function

    return register


def rule_for(func: torch._ops.OpOverload, name: str) -> Rule | None:
    """The rule of an operation: its own, or that of all that torch has tagged as pointwise."""
    return RULES.get(name) or RULES.get("pointwise" if torch.Tag.pointwise in func.tags else "")


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
