"""What a network costs at any widths: a polynomial, exact, and small enough to lie in a record.

A tensor's size along a dimension, and so the size of whatever an operation is given, is a constant
and so many entries a unit of some layers. How many is seen in networks that lack a unit of one
layer each, run as shapes without numbers. Costs are products of such sizes: torch's own formulas
are asked with sizes that know what they are made of.

Kept true: the polynomial is compared with a network of half the widths, counted as any other is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import total_ordering
from typing import Any

import numpy as np
from torch import nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from pruning.structure.cost import Operation, measure, operations
from pruning.structure.layout import Bools, Layout
from pruning.structure.network import Network
from pruning.structure.polynomial import Terms, evaluate

Look = Callable[[nn.Module], list[Operation]]
OTHERWISE = "it computes something else, so that its cost does not follow from its widths"
EXACT = 1e-3


@total_ordering
class Size:
    """A number of entries: what it is now, and what it is made of.

    terms: coefficients by the layers whose widths are multiplied, in rising order. Compares as the
    number that it is.
    """

    def __init__(self, number: int, terms: dict[tuple[int, ...], int]) -> None:
        self.number, self.terms = number, terms

    @classmethod
    def of(cls, number: int, made: Mapping[int, int], widths: Sequence[int]) -> Size:
        """One that has so many entries a unit of some layers, and others that stay."""
        fixed = number - sum(value * widths[layer] for layer, value in made.items())
        return cls(number, {(): fixed} | {(layer,): value for layer, value in made.items()})

    def __add__(self, other: Size | int) -> Size:
        other = _size(other)
        terms = Counter(self.terms)
        for layers, value in other.terms.items():
            terms[layers] += value
        return Size(self.number + other.number, terms)

    def __mul__(self, other: Size | int) -> Size:
        other = _size(other)
        terms: Counter[tuple[int, ...]] = Counter()
        for mine, a in self.terms.items():
            for theirs, b in other.terms.items():
                terms[tuple(sorted(mine + theirs))] += a * b
        return Size(self.number * other.number, terms)

    def __mod__(self, other: Size | int) -> int:
        return self.number % int(other)

    def __int__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size | int) and self.number == int(other)

    def __lt__(self, other: Size | int) -> bool:
        return self.number < int(other)

    def __hash__(self) -> int:
        return hash(self.number)

    __radd__, __rmul__ = __add__, __mul__


def _size(given: Size | int) -> Size:
    return given if isinstance(given, Size) else Size(given, {(): given})


def macs_by_width(network: Network) -> Terms:
    """Multiply-accumulates of one sample. Raises ValueError, see ``_priced``."""
    terms = _priced(network, lambda model: operations(model, network.example_input))
    terms[:, 0] /= 2  # two flops each
    return _checked(network, terms, 1)


def params_by_width(network: Network) -> Terms:
    """Parameters. Raises ValueError, see ``_priced``."""

    def held(model: nn.Module) -> list[Operation]:
        return [Operation(math.prod, (list(p.shape),), {}) for p in model.parameters()]

    return _checked(network, _priced(network, held), 0)


def _priced(network: Network, look: Look) -> Terms:
    """The sum over all that ``look`` finds in the network."""
    dense = look(network.model)
    numbers, shape = _flat(dense)
    made_of: list[dict[int, int]] = [{} for _ in numbers]
    for layer, keep in _one_less(network.layout):
        fewer, other = _flat(network.with_only(keep, look))
        if other != shape:
            raise ValueError(f"without a unit of {network.layout.names[layer]!r} {OTHERWISE}")
        for made, before, after in zip(made_of, numbers, fewer, strict=True):
            if isinstance(before, int) and before != after:
                made[layer] = before - after
    sizes = [
        Size.of(number, made, network.layout.sizes) if made else number
        for number, made in zip(numbers, made_of, strict=True)
    ]
    total: Counter[tuple[int, ...]] = Counter()
    for one, (args, kwargs) in zip(dense, tree_unflatten(sizes, shape), strict=True):
        total.update(_size(one.formula(*args, **kwargs)).terms)
    return _rows(total)


def _flat(found: Sequence[Operation]) -> tuple[list[Any], TreeSpec]:
    return tree_flatten([(one.args, dict(one.kwargs)) for one in found])


def _one_less(layout: Layout) -> Iterator[tuple[int, Bools]]:
    """Every layer that can lose a unit, and what is kept then."""
    for layer, size in enumerate(layout.sizes):
        if size > 1:
            keep = np.ones(layout.total, dtype=np.bool_)
            keep[layout.offsets[layer]] = False
            yield layer, keep


def _rows(total: Mapping[tuple[int, ...], int]) -> Terms:
    products = sorted(product for product, value in total.items() if value)
    degree = max(map(len, products), default=0)
    rows = [[total[one], *one, *[-1] * (degree - len(one))] for one in products]
    return np.array(rows, dtype=np.float64).reshape(len(rows), 1 + degree)


def _checked(network: Network, terms: Terms, which: int) -> Terms:
    """The terms, if they say what every other unit costs. which: of ``measure``'s numbers."""
    layout = network.layout
    number = np.arange(layout.total) - layout.offsets[layout.group_of]
    keep = number % 2 == 0
    example = network.example_input
    counted = network.with_only(keep, lambda model: measure(model, example))[which]
    said = float(evaluate(terms, layout.counts(keep)))
    if abs(said - counted) > EXACT * counted:
        raise ValueError(
            f"its cost does not follow from its widths: {said:,.0f} were expected of every other "
            f"unit, {counted:,} were counted"
        )
    return terms
