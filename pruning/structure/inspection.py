"""A network layer by layer: which can be cut, why the others stay, and what each costs."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from pruning.structure.copies import named_tensors
from pruning.structure.cost import macs_by_module
from pruning.structure.network import Network
from pruning.structure.reasons import Reason
from pruning.structure.units import Group


@dataclass(frozen=True)
class Part:
    """What a layer is. width: channels or features that come out of it, of an nn.MultiheadAttention
    its heads, None where it has none of its own. params: a tensor that several layers share counts
    at the first. macs: of one sample.
    """

    width: int | None
    params: int
    macs: int


@dataclass(frozen=True)
class Layer:
    """A module with weights, or one that computes products itself. Name "" is the model.

    units: those named after it that are left; the network's are the sum over its layers. tied: the
    first layer of those whose units its channels go with, "" where it is that itself. reason: why
    its channels stay, None if they can be removed.
    """

    name: str
    kind: str
    units: int
    tied: str
    reason: Reason | None
    part: Part


UNCALLED = Reason("it is not called: other code uses its weights, or it never runs")
BARE = Reason("it computes without weights of its own")
SINGLE = Reason("all its channels hang together, as grouped convolutions tie them: one unit")
OWN = Reason("no unit was found in it: its weights, or what they make, go where none is followed")

_KEPT: dict[type[nn.Module], str] = {
    nn.LayerNorm: "has the width of what it averages over, which stays",
    nn.GroupNorm: "has the width of what it averages over, which stays",
}

_WIDTHS: dict[type[nn.Module], str] = {
    _ConvNd: "out_channels",
    nn.Linear: "out_features",
    _NormBase: "num_features",
    nn.Embedding: "embedding_dim",
    nn.MultiheadAttention: "num_heads",
}


def layers(network: Network) -> list[Layer]:
    """The network as it is now, in the order in which its model holds its modules."""
    model = network.model
    macs = macs_by_module(model, network.example_input)
    reader = _Reader(network, macs)
    return [reader.layer(name, part) for name, part in parts(model, macs).items()]


def parts(model: nn.Module, macs: Mapping[str, int]) -> dict[str, Part]:
    """What each layer is, by name; see ``Layer``. macs: by ``macs_by_module``."""
    seen: set[int] = set()
    found = {}
    for name, module in model.named_modules():
        held = {id(p): p.numel() for p in module.parameters(recurse=False)}
        if held or macs.get(name):
            count = sum(size for key, size in held.items() if key not in seen)
            found[name] = Part(_width(module), count, macs.get(name, 0))
        seen |= held.keys()
    return found


def summary(network: Network) -> str:
    """In a few lines: how many units can be removed, and what stays for which reason."""
    units = network.units
    name = type(network.model).__name__
    left = f"{network.alive.sum():,} of {units.layout.total:,} units left"
    lines = [f"{name}: {left}, in {len(units.groups)} groups: {_some(units.layout.names)}"]
    by_reason: dict[str, list[Group]] = {}
    for group in units.stay:
        by_reason.setdefault(group.reason.why if group.reason else "", []).append(group)
    for groups in by_reason.values():
        lines.append(f"  stays: {_some([one.name for one in groups])}: {groups[0].reason}")
    return "\n".join(lines)


def _some(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most + 1} more" if len(names) > most else ""
    return ", ".join(names if not more else names[: most - 1]) + more


class _Reader:
    """Looks up the units that lie in a layer."""

    def __init__(self, network: Network, called: Container[str]) -> None:
        self._modules = dict(network.model.named_modules())
        self._called = called
        self._names = {id(t): name for name, t in named_tensors(network.model).items()}
        self._lie_in: dict[str, list[Group]] = {}
        units = network.units
        for group in (*units.groups, *units.stay):
            for s in group.slices:
                if s.role != "consume":
                    self._lie_in.setdefault(s.tensor, []).append(group)
        self._units: dict[str, int] = {}
        for name, count in zip(
            units.layout.names, units.layout.counts(network.alive).tolist(), strict=True
        ):
            self._units[_first(name)] = self._units.get(_first(name), 0) + count

    def layer(self, name: str, part: Part) -> Layer:
        """Its row."""
        module = self._modules[name]
        groups = list(self._groups(module))
        free = [group for group in groups if group.reason is None]
        first = _first(free[0].name) if free else name
        reason = self._reason(name, module, groups)
        tied = "" if first == name or name in self._units else first
        kind = type(module).__name__
        return Layer(name, kind, self._units.get(name, 0), tied, reason, part)

    def _groups(self, module: nn.Module) -> Iterator[Group]:
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            yield from self._lie_in.get(self._names[id(tensor)], ())

    def _reason(self, name: str, module: nn.Module, groups: Sequence[Group]) -> Reason | None:
        if any(group.reason is None and group.size > 1 for group in groups):
            return None
        if groups:
            return groups[0].reason or SINGLE
        return self._without_units(name, module)

    def _without_units(self, name: str, module: nn.Module) -> Reason:
        for holder in (name, name.rpartition(".")[0]):
            for kind, does in _KEPT.items():
                if isinstance(self._modules[holder], kind):
                    called = type(self._modules[holder]).__name__
                    article = "an" if called[0] in "AEIOU" else "a"
                    return Reason(f"{article} {called} {does}", "" if holder == name else holder)
        if name not in self._called:
            return UNCALLED
        return OWN if any(True for _ in module.parameters(recurse=False)) else BARE


def _width(module: nn.Module) -> int | None:
    for kind, attribute in _WIDTHS.items():
        if isinstance(module, kind):
            return int(getattr(module, attribute))
    return None


def _first(group: str) -> str:
    """The layer that a group is named after: ``conv`` of ``conv#2``."""
    return group.partition("#")[0]
