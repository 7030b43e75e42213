"""Feature maps as a network trains, and what activation saliencies make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pruning.foreign import noted
from pruning.meter import Meter
from pruning.saliency.base import ActivationSaliency
from pruning.structure.activations import Forewarn, Site
from pruning.structure.feature_maps import FeatureMaps
from pruning.structure.layout import Ints
from pruning.structure.network import Network

Pool = Callable[[Tensor], Tensor]
"""The mean over the processes that train one network together, each weighted by its part of every
batch."""

Unscale = Callable[[Tensor], Tensor]
"""From a gradient that carries the loss scale of its training to the one without."""


def own(values: Tensor) -> Tensor:
    """The mean of a process that sees whole batches, or the gradient of a loss without a scale."""
    return values


@dataclass
class _Sum:
    """Scores of the channels at one site, [channels], added up over so many feature maps."""

    owners: Ints
    values: Tensor
    count: Tensor


class Watcher:
    """Adds up the scores of feature maps over the steps of an epoch, until ``close``.

    What a step's maps say counts from its ``settle``, if its gradients were finite.
    It does not change training: nothing is drawn at random, no tensor is exchanged, and of a
    forward pass nothing stays behind after its backward pass. Sums are made in the same order each
    time. A user may run several forward passes a step.
    """

    def __init__(
        self,
        network: Network,
        probes: Sequence[ActivationSaliency],
        meter: Meter,
        pool: Pool = own,
        unscale: Unscale = own,
    ) -> None:
        self._network, self._meter, self._pool, self._unscale = network, meter, pool, unscale
        self._probes = {probe.key: probe for probe in probes}
        self._sums: dict[str, dict[Site, _Sum]] = {key: {} for key in self._probes}
        self._pending: list[tuple[str, Site, Ints, Tensor]] = []
        self._maps = FeatureMaps(network, self._see)

    @torch.no_grad()
    def settle(self, finite: Tensor | None = None) -> None:
        """A step has ended. finite: bool [], whether its gradients are; else it counts for none."""
        pending, self._pending = self._pending, []
        for key, site, owners, values in pending:
            counts = torch.tensor(True) if finite is None else finite
            values = torch.where(counts.to(values.device), values, 0.0)
            one = self._sums[key].get(site)
            if one and one.owners is owners:
                one.values, one.count = one.values + values, one.count + counts.long()
            else:
                self._sums[key][site] = _Sum(owners, values, counts.long())

    def take(self, key: str) -> Tensor | None:
        """The mean over feature maps since it was last taken: float32 [alive units], on the CPU.

        Of the channels of one unit in one map, those of a grouped convolution, their mean. A unit
        without feature maps has the probe's ``unseen``. None if none was seen at all.
        """
        self.settle()
        total, count = self._pool(torch.from_numpy(self._take(key))).numpy()
        if not count.any():
            return None
        mean = np.where(count > 0, total / np.where(count > 0, count, 1), self._probes[key].unseen)
        return torch.from_numpy(mean.astype(np.float32))

    def _take(self, key: str) -> npt.NDArray[np.float64]:
        """Sum and number of what was seen of each unit, [2, alive units]."""
        taken, self._sums[key] = self._sums[key], {}
        units = int(self._network.alive.sum())
        sums = [
            taken[site]
            for site in sorted(taken)
            if self._maps.owners(site) is taken[site].owners  # no units have gone since
        ]
        if not sums:
            return np.zeros((2, units))
        owners = np.concatenate([one.owners for one in sums])
        values = torch.cat([one.values for one in sums]).cpu().double().numpy()
        counts = np.concatenate([np.full(len(one.owners), int(one.count)) for one in sums])
        shares = np.concatenate([_shares(one.owners) for one in sums])
        owned = owners >= 0
        total = np.bincount(owners[owned], (values * shares)[owned], minlength=units)
        count = np.bincount(owners[owned], (counts * shares)[owned], minlength=units)
        return np.stack([total, count])

    def close(self) -> None:
        """Watch no more."""
        self._maps.close()

    def state_dict(self) -> dict[str, Any]:
        """What the steps so far said, as tensors and plain containers."""
        return {
            key: [
                [*astuple(site), one.values.clone(), one.count.clone()] for site, one in at.items()
            ]
            for key, at in self._sums.items()
        }

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """The inverse, for the same network."""
        for key, sites in state.items():
            for *place, values, count in sites:
                site = Site(*place)
                owners = self._maps.owners(site)
                if owners is not None:
                    self._sums[key][site] = _Sum(owners, values.to(device), count.to(device))

    def _see(self, site: Site, owners: Ints, feature_map: Tensor) -> Forewarn | None:
        keys = [key for key, probe in self._probes.items() if site.kind in probe.kinds]
        late = [key for key in keys if self._probes[key].gradient]
        for key in keys:
            if key not in late:
                self._add(key, site, owners, feature_map.detach())
        if not late or not feature_map.requires_grad:
            return None

        def arrived(activation: Tensor, gradient: Tensor) -> None:
            for key in late:
                self._add(key, site, owners, activation, gradient)

        # after the pass only the map's graph holds it: without a backward pass it goes with that
        waiting = _Waiting(feature_map, arrived)
        feature_map.register_hook(waiting)  # type: ignore[no-untyped-call]
        return waiting.copy

    @torch.no_grad()
    def _add(
        self,
        key: str,
        site: Site,
        owners: Ints,
        activation: Tensor,
        gradient: Tensor | None = None,
    ) -> None:
        with self._meter.section(f"probe:{key}"), noted(f"in saliency {key}"):
            values = self._probes[key].per_channel(
                _arranged(activation, site.dim),
                None if gradient is None else _arranged(self._unscale(gradient), site.dim),
            )
            self._pending.append((key, site, owners, values))


class _Waiting:
    """A feature map that is held until its gradient arrives, and no longer."""

    def __init__(self, feature_map: Tensor, arrived: Callable[[Tensor, Tensor], None]) -> None:
        self._held: Tensor | None = feature_map.detach()
        self._version = self._held._version
        self._arrived = arrived

    def copy(self) -> None:
        """Hold it as it is now: it is about to be overwritten."""
        if self._held is not None:
            self._held = self._held.clone()
            self._version = self._held._version

    def __call__(self, gradient: Tensor) -> None:
        held, self._held = self._held, None
        if held is None:  # a second backward pass through the same graph
            return
        if held._version != self._version:
            raise RuntimeError(
                "a feature map was changed in place through a view of it, before its gradient "
                "was there: what needs both cannot be measured in this network"
            )
        self._arrived(held, gradient.detach())


def _shares(owners: Ints) -> npt.NDArray[np.float64]:
    """One over the number of channels that a unit has at a site, [channels]."""
    _, position, channels = np.unique(owners, return_inverse=True, return_counts=True)
    return np.asarray(1 / channels[position])


def _arranged(values: Tensor, dim: int) -> Tensor:
    """As [batch, channels, positions], the channels being at ``dim``."""
    values = values.movedim(dim, 1)
    return values.flatten(2) if values.dim() > 2 else values.unsqueeze(2)
