"""What a network is made of, layer by layer, and what a cut would leave of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from pruning.policies import OneShot
from pruning.policies.aim import specify as specify_aim
from pruning.pruner import Pruner
from pruning.structure.copies import Example
from pruning.structure.cost import macs_by_module
from pruning.structure.inspection import Layer, Part, layers, parts
from pruning.structure.layout import Bools
from pruning.structure.network import Network
from pruning.structure.reasons import UNTRACED
from pruning.structure.trace import find_units
from pruning.structure.units import Units, UntraceableError


@dataclass(frozen=True)
class Cut:
    """What is left after a policy's cut: units, parameters, MACs of one sample, and each layer."""

    policy: OneShot
    units: int
    params: int
    macs: int
    parts: dict[str, Part]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """A network as it is, and what cuts would leave.

    units: that are left and can be removed. params, macs: of the whole. why: what keeps every unit
    of it, "" if some can be removed.
    """

    layers: tuple[Layer, ...]
    units: int
    params: int
    macs: int
    cuts: tuple[Cut, ...] = ()
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data: a mapping a layer, in it what each of the cuts leaves, in their order."""
        return {
            "units": self.units,
            "params": self.params,
            "macs": self.macs,
            "why": self.why,
            "cuts": [_cut_to_json(cut) for cut in self.cuts],
            "layers": [self._layer_to_json(layer) for layer in self.layers],
        }

    def _layer_to_json(self, layer: Layer) -> dict[str, Any]:
        part = layer.part
        return {
            "name": layer.name,
            "kind": layer.kind,
            "prunable": layer.reason is None,
            "reason": "" if layer.reason is None else str(layer.reason),
            "tied": layer.tied,
            "units": layer.units,
            **asdict(part),
            "unit_share": layer.units / max(1, self.units),
            "param_share": part.params / max(1, self.params),
            "mac_share": part.macs / max(1, self.macs),
            "left": [asdict(cut.parts[layer.name]) for cut in self.cuts],
        }


def inspect(pruner: Pruner, policies: Iterable[OneShot]) -> Inspection:
    """The pruner's network, and what each policy would leave of it if it cut now.

    Nothing is changed. pruner: has recorded an epoch, or the untrained network (``start``), with
    what the policies measure. Raises ValueError if it has not.
    """
    cuts = tuple(_cut(pruner, policy) for policy in policies)
    return _inspection(pruner.network, cuts=cuts)


def without_units(
    model: nn.Module, example_input: Example, why: str, protect: Collection[str] = ()
) -> Inspection:
    """A model of which nothing can be removed: why, in the whole and, if it is known, by layer."""
    try:
        units = find_units(model, example_input, protect=protect)
    except UntraceableError:
        found = _inspection(Network(model, example_input, units=Units.of(())), why=why)
        stays = tuple(replace(layer, reason=UNTRACED) for layer in found.layers)
        return replace(found, layers=stays)
    return _inspection(Network(model, example_input, units=units), why=why)


def _inspection(network: Network, cuts: Sequence[Cut] = (), why: str = "") -> Inspection:
    cost = network.cost()
    found = tuple(layers(network))
    return Inspection(found, cost.units, cost.params, cost.macs, tuple(cuts), why)


def _cut(pruner: Pruner, policy: OneShot) -> Cut:
    network = pruner.network
    action = policy.cut(pruner.history)
    keep = network.alive.copy()
    if action:
        keep[np.array(action.units)] = False
    left = _left(network, keep)
    return Cut(
        policy,
        int(keep.sum()),
        sum(part.params for part in left.values()),
        sum(part.macs for part in left.values()),
        left,
        action.warnings if action else (),
    )


def _left(network: Network, keep: Bools) -> dict[str, Part]:
    """The layers with only the units to ``keep``."""
    return network.with_only(
        keep, lambda model: parts(model, macs_by_module(model, network.example_input))
    )


def _cut_to_json(cut: Cut) -> dict[str, Any]:
    return {
        "ratio": None if cut.policy.aim else cut.policy.ratio,
        "aim": specify_aim(cut.policy.aim),
        "scope": cut.policy.scope,
        "saliency": cut.policy.saliency.key,
        "floor": cut.policy.floor,
        "round_to": cut.policy.round_to,
        "units": cut.units,
        "params": cut.params,
        "macs": cut.macs,
        "warnings": list(cut.warnings),
    }
