"""What is removed together: one forward pass is followed, entry by entry.

Every entry of every weight along each of its dimensions is a node; what is computed together is
tied, and so are the channels inside one group of a grouped convolution. The connected components
are the units, and units that lie in the same tensors form a group.

Kept true: nothing is guessed. Where units reach the output, an operation that mixes them, or one
that is not known, the nodes are tainted with the reason, and every unit with a tainted node stays.
Names and order follow the order of the modules, so ids are the same in every process. What is found
is a claim; ``verify`` proves it. Only `trace_units` calls this, with a copy of its own.

torch-pruning did this once. Its graph of layers does not know what lies where in a tensor: it lost
sight behind reshapes, took what it did not know for element-wise, and one layer on which its
mappings failed (LSTM, shufflenet_v2, swin_s, dpn68) cost the whole network. What follows the
operations themselves (`following`) needs no mapping a layer, and loses one tensor at most.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from pruning.structure.copies import first_line, named_tensors
from pruning.structure.following.follow import follow
from pruning.structure.following.ledger import Axis
from pruning.structure.layout import Ints
from pruning.structure.reasons import PROTECTED, UNREAD, Reason
from pruning.structure.units import Count, Group, Slice, Units, UntraceableError


class Tracer:
    """Follows one network, and reads the units off."""

    def __init__(self, model: nn.Module, args: tuple[Any, ...]) -> None:
        self._tensors = named_tensors(model)
        self._rank = {name: rank for rank, (name, _) in enumerate(model.named_modules())}
        try:
            self._ledger = follow(model, args, self._tensors)
        except Exception as error:
            raise UntraceableError(
                f"{type(model).__name__} cannot be traced: {first_line(error)}"
            ) from error
        self._roles = self._ledger.roles
        for (name, dim), role in list(self._roles.items()):
            # a dense layer on more than rows adds its bias in an operation of its own
            if role == "produce" and name.endswith(".weight"):
                bias = (name.removesuffix("weight") + "bias", 0)
                if dim == 0 and bias in self._roles:
                    self._roles[bias] = "produce"
        self._ties = self._ledger.ties
        self._taints = self._ledger.taints
        self._one_width(model)
        self._even_out()

    def _one_width(self, model: nn.Module) -> None:
        """All layers of a recurrent network, both ways, have one width, which is one number."""
        for name, module in model.named_modules():
            if isinstance(module, nn.RNNBase):
                states = [
                    self._ties.axis((f"{name}.{key}".lstrip("."), 1), 0)
                    for key, _ in module.named_parameters()
                    if key.startswith("weight_hh")
                ]
                for other in states[1:]:
                    self._ties.tie(states[0], other)

    def _even_out(self) -> None:
        """What code takes for a grid stays one: whole rows go, or columns."""
        uneven = [grid.long().numpy() - 1 for grid in self._ledger.grids]
        while uneven:
            labels = self._ties.labels()
            uneven = [grid for grid in uneven if grid.min() >= 0 and not _even(labels[grid])]
            for grid in uneven:
                first = grid.reshape(-1, grid.shape[-1])
                for row in first[1:]:
                    self._ties.tie(first[0], row)

    def units(self, protect: Collection[str]) -> Units:
        """Read the units off: connected components, grouped by the tensors they lie in."""
        made = {axis: _layer(axis) for axis, role in self._roles.items() if role == "produce"}
        for axis, role in self._roles.items():
            if role != "consume" and any(_within(_layer(axis), name) for name in protect):
                # the first reason is the one that is told: here the user's own wish
                self._taints.insert(0, (self._ties.axis(axis, 0), PROTECTED))
        labels = self._ties.labels()
        reasons: dict[int, Reason] = {}
        for nodes, reason in self._taints:
            for unit in np.unique(labels[nodes]):
                reasons.setdefault(int(unit), reason)

        together, products = (
            {int(unit) for nodes in found for unit in np.unique(labels[nodes])}
            for found in (self._ledger.taken_together, self._ledger.products)
        )
        axes = self._read(labels)
        owner = [labels[self._ties.axis(axis, 0)] for axis in axes]
        found = []
        # by the tensors they lie in: of a layer that is summed with a concatenation there are two
        # groups, `sum` and `sum#2`
        for signature, members in _alike(owner, len(labels)):
            made_by = [k for k in signature if axes[k] in made]
            if not made_by:  # such as the network's input, where it is concatenated
                continue
            first = min(made_by, key=lambda k: (self._rank[made[axes[k]]], k))
            ids, at = np.unique(owner[first], return_index=True)
            chosen = np.isin(ids, members)
            order = ids[chosen][np.argsort(at[chosen])]
            slices = tuple(self._slice(axes[k], owner[k], order) for k in signature)
            why = next((reasons[u] for u in order.tolist() if u in reasons), None)
            read = any(s.role == "consume" for s in slices) or not products.isdisjoint(
                order.tolist()
            )
            if why is None and not read:
                why = UNREAD
            name = made[axes[first]]
            whole = not together.isdisjoint(order.tolist())
            place = self._rank[name], int(at[chosen].min())
            found.append((*place, name, slices, len(order), why, whole))
        found.sort(key=lambda f: f[:2])

        groups: list[Group] = []
        names: dict[str, int] = {}
        for _, _, name, slices, size, why, whole in found:
            names[name] = names.get(name, 0) + 1
            full = name if names[name] == 1 else f"{name}#{names[name]}"
            groups.append(Group(full, size, slices, why, whole))
        return Units.of(groups, tuple(self._counts()))

    def _counts(self) -> Iterator[Count]:
        for owner, rows in self._ledger.counts.items():
            yield Count(owner.module, owner.attribute, owner.entry, tuple(map(tuple, rows)))

    def _read(self, labels: Ints) -> list[Axis]:
        """The axes that take part, in the order of the network's tensors.

        Nothing else reads or makes those without a role, as a class token that is put before all
        others: they scale or shift, if they go with what is made at all.
        """
        made = np.zeros(len(labels), dtype=np.bool_)
        for axis in self._roles:
            made[labels[self._ties.axis(axis, 0)]] = True
        return [
            axis
            for axis in self._ledger.axes
            if axis in self._roles or made[labels[self._ties.axis(axis, 0)]].any()
        ]

    def _slice(self, axis: Axis, owner: Ints, order: Ints) -> Slice:
        """The entries along one axis that belong to the units `order[0], order[1], ...`."""
        index = np.flatnonzero(np.isin(owner, order))
        by_label = np.argsort(order)
        unit = by_label[np.searchsorted(order[by_label], owner[index])]
        role = self._roles.get(axis, "norm")
        return Slice(axis[0], axis[1], torch.from_numpy(unit), torch.from_numpy(index), role)


def _alike(owner: Sequence[Ints], size: int) -> list[tuple[tuple[int, ...], Ints]]:
    """Lists that units are in, by number, and the units, below `size`, that are in these alone."""
    kind = np.zeros(size, dtype=np.int64)
    signatures: list[tuple[int, ...]] = [()]
    for k, owners in enumerate(owner):
        units = np.unique(owners)
        before = kind[units]
        for one in np.unique(before).tolist():
            kind[units[before == one]] = len(signatures)
            signatures.append((*signatures[one], k))
    units = np.flatnonzero(kind)
    units = units[np.argsort(kind[units], kind="stable")]
    kinds, starts = np.unique(kind[units], return_index=True)
    parts = zip(kinds.tolist(), np.split(units, starts)[1:], strict=True)
    found = [(signatures[one], members) for one, members in parts]
    return sorted(found, key=lambda f: (f[0][0], f[1][0]))


def _even(labels: Ints) -> bool:
    """Whether units differ along one dimension of a grid at most."""
    return any(bool((labels == _along(labels, dim)).all()) for dim in range(labels.ndim))


def _along(labels: Ints, dim: int) -> Ints:
    """The labels of the first row along a dimension, as a grid in which the others are alike."""
    index = tuple(slice(None) if d == dim else slice(0, 1) for d in range(labels.ndim))
    return labels[index]


def _layer(axis: Axis) -> str:
    """The module that holds a tensor."""
    return axis[0].rpartition(".")[0]


def _within(layer: str, name: str) -> bool:
    return layer == name or layer.startswith(name + ".")
