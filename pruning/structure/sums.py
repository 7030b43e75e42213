"""Sums over units: from one number per weight to one number per unit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pruning.structure.units import Role, Slice

Values = Mapping[str, Tensor] | Callable[[str, nn.Parameter], Tensor | None]
"""A tensor shaped like the parameter, by its name, or None to leave that parameter out."""


class UnitSums:
    """Adds up any quantity of the parameters over the entries of each unit.

    Everything but the sums themselves is worked out once: where each entry goes, so that a call
    reduces each parameter along its other dimensions, gathers, and adds up runs of equal units.
    No call waits for the device, and every sum is made in the same order each time.

    Args:
        groups: (number of units, slices) of each group, in current numbering.
        parameters: the network's parameters by name; buffers have no part in the sums.
        roles: which slices count.
    """

    def __init__(
        self,
        groups: Sequence[tuple[int, Sequence[Slice]]],
        parameters: Mapping[str, nn.Parameter],
        roles: Collection[Role],
    ) -> None:
        self._parameters = parameters
        self._dims: dict[str, list[int]] = {}
        owners: dict[tuple[str, int], list[tuple[np.ndarray, np.ndarray]]] = {}
        first = 0
        for size, slices in groups:
            for s in slices:
                if s.role in roles and s.tensor in parameters:
                    part = (first + s.unit.cpu().numpy(), s.index.cpu().numpy())
                    owners.setdefault((s.tensor, s.dim), []).append(part)
            first += size
        self._total = first
        self._device = next((p.device for p in parameters.values()), torch.device("cpu"))
        for name, dim in owners:
            self._dims.setdefault(name, []).append(dim)

        units, places, weights = [], [], []
        start = 0
        for name, dims in self._dims.items():
            shape = parameters[name].shape
            for dim in dims:
                for unit, index in owners[name, dim]:
                    units.append(unit)
                    places.append(start + index)
                    weights.append(np.full(len(index), shape.numel() // shape[dim]))
                start += shape[dim]
        unit = np.concatenate([np.zeros(0, dtype=np.int64), *units])
        place = np.concatenate([np.zeros(0, dtype=np.int64), *places])
        weight = np.concatenate([np.zeros(0, dtype=np.int64), *weights])
        order = np.argsort(unit, kind="stable")
        runs = np.bincount(unit, minlength=first)
        entries = np.bincount(unit, weights=weight, minlength=first)
        self._places = torch.from_numpy(place[order]).to(self._device)
        self._runs = torch.from_numpy(runs).to(self._device)
        self.entries = torch.from_numpy(entries).to(self._device, torch.float32)
        """Number of weights of each unit, float32 [units]."""

    @torch.no_grad()
    def __call__(self, values: Values) -> Tensor:
        """The sums, [units]: float64 if a value is, float32 otherwise. None counts as zero."""
        get = values if callable(values) else lambda name, _: values.get(name)
        rows = []
        for name, dims in self._dims.items():
            parameter = self._parameters[name]
            value = get(name, parameter)
            for dim in dims:
                if value is None:
                    rows.append(torch.zeros(parameter.shape[dim], device=self._device))
                    continue
                dtype = torch.float64 if value.dtype == torch.float64 else torch.float32
                others = [d for d in range(value.dim()) if d != dim]
                rows.append(value.sum(others, dtype=dtype) if others else value.to(dtype))
        if not rows:
            return torch.zeros(self._total, device=self._device)
        # index_add would add in any order on a GPU; without `unsafe` this waits there for a check
        entries = torch.cat(rows)[self._places]
        return torch.segment_reduce(entries, "sum", lengths=self._runs, unsafe=True, initial=0.0)
