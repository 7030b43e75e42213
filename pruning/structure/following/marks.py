"""Marks: of every entry of a tensor, with which entries of the network's weights it comes and goes.

A mark is the number of an entry along one axis of a parameter or buffer, counted from 1; 0 is none.
They lie where the tensors lie: each storage has arrays of marks beside it, entry by entry, so that
a view reads and writes those of its base, whatever made it. A tensor has several layers of marks
where an entry hangs on several things: a weight on its output and its input channel, a product of
all rows with all columns on both.

Kept true: an entry without a mark is never cut. Of two layers nothing is said about each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

Layer = Tensor
"""Marks, int32, of the shape of the tensor that they are those of; or 1 where they are the same
all along a dimension."""


class Memory:
    """The marks of all tensors that are alive.

    leaves: the network's parameters and buffers, whose marks are their places along each axis.
    """

    def __init__(self, leaves: Sequence[tuple[Tensor, Sequence[int]]]) -> None:
        # held, so that no other storage gets their addresses
        self._leaves = {_key(tensor): (tensor, firsts) for tensor, firsts in leaves}
        self._layers: dict[int, _Written] = {}
        self._weights: dict[int, StorageWeakRef | None] = dict.fromkeys(self._leaves)

    def layers(self, tensor: Tensor) -> list[Layer]:
        """What is known of a tensor, none if nothing is."""
        key = _key(tensor)
        if key in self._leaves and key not in self._layers:
            return self._of_leaf(tensor)
        written = self._layers.get(key)
        return written.seen_by(tensor) if written else []

    def knows(self, tensor: Tensor) -> bool:
        """Whether it may have marks."""
        key = _key(tensor)
        return key in self._layers or key in self._leaves

    def singles(self, tensor: Tensor) -> dict[int, Layer]:
        """Those of a parameter's own dimensions that have one entry: of a single channel, that."""
        leaf, firsts = self._leaves.get(_key(tensor), (tensor, ()))
        return {
            dim: torch.full((1,) * tensor.dim(), first + 1, dtype=torch.int32)
            for dim, (first, size) in enumerate(zip(firsts, leaf.shape, strict=False))
            if size == 1
        }

    def write(self, tensor: Tensor, layers: Sequence[Layer]) -> None:
        """Marks of a tensor that was just made or changed; of what shares its storage, too."""
        key = _key(tensor)
        known = self._layers.get(key)
        if known is not None and not _is_whole(tensor):
            known.write(tensor, layers)
        elif layers or known is not None:
            self._layers[key] = _Written(tensor, layers)
            self._forget()

    def is_weight(self, tensor: Tensor) -> bool:
        """Whether it is a parameter or buffer, a part of one, or computed from those alone."""
        return _key(tensor) in self._weights

    def add_weight(self, tensor: Tensor) -> None:
        """It was computed from weights alone."""
        self._weights[_key(tensor)] = _weak(tensor)

    def is_new(self, tensor: Tensor, given: Iterable[Tensor]) -> bool:
        """Whether a tensor shares its storage with none of those."""
        key = _key(tensor)
        return all(_key(one) != key for one in given)

    def _forget(self) -> None:
        for key in [key for key, one in self._layers.items() if _expired(one.storage)]:
            del self._layers[key]
        for key in [key for key, storage in self._weights.items() if storage and _expired(storage)]:
            del self._weights[key]

    def _of_leaf(self, tensor: Tensor) -> list[Layer]:
        leaf, firsts = self._leaves[_key(tensor)]
        marks = {
            dim: torch.arange(first + 1, first + 1 + size, dtype=torch.int32)
            for dim, (first, size) in enumerate(zip(firsts, leaf.shape, strict=True))
            if size > 1
        }
        places = _places(leaf, tensor)
        if places is not None:
            return [
                marks[dim][start : start + tensor.shape[at]].view(
                    [-1 if d == at else 1 for d in range(tensor.dim())]
                )
                for dim, (at, start) in places.items()
            ]
        found = []
        for dim, axis in marks.items():
            whole = axis.view([-1 if d == dim else 1 for d in range(leaf.dim())])
            flat = torch.zeros(_extent(leaf), dtype=torch.int32)
            flat.as_strided(leaf.shape, leaf.stride()).copy_(whole.expand(leaf.shape))
            offset = tensor.storage_offset() - leaf.storage_offset()
            found.append(narrow(flat.as_strided(tensor.shape, tensor.stride(), offset)))
        return [layer for layer in found if layer.numel() > 1]


class _Written:
    """The marks of one storage.

    They lie beside it entry by entry only once they are read, or written, otherwise than they were
    written first: most tensors are read as they were made.
    """

    def __init__(self, tensor: Tensor, layers: Sequence[Layer]) -> None:
        self.storage = _weak(tensor)
        self._size = tensor.untyped_storage().nbytes() // tensor.element_size()
        self._flat: list[Tensor] = []
        self._place: _Geometry | None = None
        self._whole: list[Layer] = []
        if _is_whole(tensor):
            self._place = _geometry(tensor)
            self._whole = [layer.int().expand(tensor.shape) for layer in layers]
        else:
            self.write(tensor, layers)

    def seen_by(self, tensor: Tensor) -> list[Layer]:
        """The marks of a tensor that lies in this storage."""
        place = _geometry(tensor)
        if place == self._place:
            found = self._whole = [narrow(layer) for layer in self._whole]
        else:
            self._lay_out()
            found = [narrow(flat.as_strided(*place)).clone() for flat in self._flat]
        return [layer for layer in found if layer.numel() > 1 or bool(layer.any())]

    def write(self, tensor: Tensor, layers: Sequence[Layer]) -> None:
        """Those of a tensor that lies in it."""
        self._lay_out()
        self._place, self._whole = None, []
        self._flat += [self._none() for _ in layers[len(self._flat) :]]
        for k, flat in enumerate(self._flat):
            entries = flat.as_strided(*_geometry(tensor))
            if k < len(layers):
                entries.copy_(layers[k].expand(tensor.shape))
            else:
                entries.zero_()

    def _lay_out(self) -> None:
        if self._place and not self._flat:
            self._flat = [self._none() for _ in self._whole]
            for flat, layer in zip(self._flat, self._whole, strict=True):
                flat.as_strided(*self._place).copy_(layer.expand(self._place[0]))

    def _none(self) -> Tensor:
        return torch.zeros(self._size, dtype=torch.int32)


def narrow(layer: Layer) -> Layer:
    """With one entry along each dimension along which the marks are the same."""
    for dim, size in enumerate(layer.shape):
        if size > 1 and (layer.stride(dim) == 0 or _is_even(layer, dim)):
            layer = layer.narrow(dim, 0, 1)
    return layer


def _is_even(layer: Layer, dim: int) -> bool:
    """Whether the marks are the same all along a dimension."""
    rest = layer.shape[dim] - 1
    return torch.equal(layer.narrow(dim, 1, rest), layer.narrow(dim, 0, rest))


def varies(layer: Layer) -> frozenset[int]:
    """The dimensions along which a layer, made narrow, has different marks."""
    return frozenset(dim for dim, size in enumerate(layer.shape) if size > 1)


def lies_along(layer: Layer, dim: int, size: int) -> bool:
    """Whether its entries lie along a dimension of that size. With one channel they have no choice:
    a single mark lies along every dimension that has one entry."""
    return layer.shape[dim] > 1 or (size == 1 and layer.numel() == 1)


def pairs(one: Layer, other: Layer) -> Tensor:
    """The marks that stand at the same place, each pair once: int64 [2, pairs]."""
    # as one number a pair, the first mark in its upper half: unique over columns is slow
    packed = torch.unique(one.long() << 32 | other.long())
    both = torch.stack([packed >> 32, packed & 0xFFFFFFFF])
    return both[:, both.all(0)]


_Geometry = tuple[torch.Size, tuple[int, ...], int]
"""Shape, strides and offset."""


def _geometry(tensor: Tensor) -> _Geometry:
    return tensor.shape, tensor.stride(), int(tensor.storage_offset())


def _is_whole(tensor: Tensor) -> bool:
    """Whether it is all of its storage, each entry once."""
    size = tensor.numel() * tensor.element_size()
    return tensor.is_contiguous() and 0 < size == tensor.untyped_storage().nbytes()


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _weak(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def _expired(storage: StorageWeakRef) -> bool:
    return bool(storage.expired())  # type: ignore[no-untyped-call]


def _extent(tensor: Tensor) -> int:
    return 1 + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))


def _places(leaf: Tensor, view: Tensor) -> dict[int, tuple[int, int]] | None:
    """Leaf dimension -> where it lies in a view of it, and from which entry on.

    Only of a view that slices, selects, permutes or repeats; None if it does anything else.
    """
    rest = int(view.storage_offset() - leaf.storage_offset())
    found: dict[int, tuple[int, int]] = {}
    for dim in sorted(range(leaf.dim()), key=leaf.stride, reverse=True):
        if leaf.shape[dim] == 1:
            continue
        start, rest = divmod(int(rest), leaf.stride(dim))
        alike = [
            d for d in range(view.dim()) if view.shape[d] > 1 and view.stride(d) == leaf.stride(dim)
        ]
        if len(alike) == 1 and start + view.shape[alike[0]] <= leaf.shape[dim]:
            found[dim] = alike[0], start
        elif alike:
            return None
    moving = sum(n > 1 and s > 0 for n, s in zip(view.shape, view.stride(), strict=True))
    return dict(sorted(found.items())) if len(found) == moving and not rest else None
