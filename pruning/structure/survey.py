"""Where in a network its units show as feature maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from torch import Tensor, nn

from pruning.structure.activations import Site, Tracker
from pruning.structure.copies import named_tensors
from pruning.structure.dry import dry_run
from pruning.structure.functions import KINDS
from pruning.structure.layout import Ints
from pruning.structure.network import Network


@dataclass(frozen=True)
class Survey:
    """Where the units of a network show.

    best: per group one of its sites of the best kind that it has (see ``KINDS``), None if it has
    none. gates: sites that are none of any unit, because they only weigh another feature map.
    """

    best: tuple[Site | None, ...]
    gates: frozenset[Site]


_surveys: WeakKeyDictionary[Network, Survey] = WeakKeyDictionary()


def survey(network: Network) -> Survey:
    """Found by one dry run of the network on its example, once: removing units changes nothing."""
    if network not in _surveys:
        _surveys[network] = dry_run(
            network.model, network.example_input, lambda copy, args: _survey(network, copy, args)
        )
    return _surveys[network]


def _survey(network: Network, copy: nn.Module, args: tuple[Any, ...]) -> Survey:
    units = Numbering(network, copy)
    sites: set[Site] = set()

    def see(site: Site, _: Tensor) -> None:
        sites.add(site)

    tracker = Tracker(units.names, units.widths, see)
    with tracker:
        copy(*args)
    best: list[Site | None] = [None] * len(network.units.groups)
    # a set of names has another order in every process
    for site in sorted(sites - tracker.gates, key=lambda site: (KINDS.index(site.kind), site)):
        for group in units.groups_at(site):
            best[group] = best[group] or site
    return Survey(tuple(best), frozenset(tracker.gates))


class Numbering:
    """Which units the channels behind the tensors of a network are, as they are numbered now.

    Attributes:
        names: of the tensors, by ``id``.
        widths: number of channels behind each tensor that makes or norms any unit, by its name.
        owners: the unit of each of them, a position among the alive ones, -1 for none; int64
            [channels].
    """

    def __init__(self, network: Network, model: nn.Module) -> None:
        self._tensors = named_tensors(model)  # held, so that no other tensor gets their ids
        self.names = {id(tensor): name for name, tensor in self._tensors.items()}
        self.owners: dict[str, Ints] = {}
        sizes = [size for _, size, _ in network.group_slices()]
        self._group_of = np.repeat(np.arange(len(sizes)), sizes)
        first = 0
        for _, size, slices in network.group_slices():
            for s in slices:
                if s.role != "consume":
                    width = self._tensors[s.tensor].shape[s.dim]
                    owners = self.owners.setdefault(s.tensor, np.full(width, -1))
                    owners[s.index.cpu().numpy()] = first + s.unit.cpu().numpy()
            first += size
        self.widths = {name: len(owners) for name, owners in self.owners.items()}

    def groups_at(self, site: Site) -> list[int]:
        """The groups that have channels there."""
        owners = self.owners[site.source]
        return [int(group) for group in np.unique(self._group_of[owners[owners >= 0]])]

    def counted(self, site: Site, found: Survey) -> Ints | None:
        """The owners that count there: of groups whose best kind it is; None if there are none."""
        if site in found.gates:
            return None
        kinds = [best.kind if best else None for best in found.best]
        wrong = [group for group in self.groups_at(site) if kinds[group] != site.kind]
        owners = self.owners[site.source].copy()
        owners[np.isin(self._group_of[owners], wrong) & (owners >= 0)] = -1
        return owners if (owners >= 0).any() else None
