"""What is removed together: torch-pruning traces the network once; the description is our own.

Every entry of every weight along its channel dimensions is a node; what torch-pruning says must be
removed together is tied, and so are the channels inside one group of a grouped convolution. The
connected components are the units, and units that lie in the same tensors form a group.

Kept true: nothing is guessed. Where units reach the output, a layer that mixes them, or a place to
which they cannot be followed, the nodes are tainted with the reason, and every unit with a tainted
node stays. Names and order follow the order of the modules, so ids are the same in every process.
What is found is a claim; ``verify`` proves it. Only `trace_units` calls this, with a copy of its
own: torch-pruning leaves it in evaluation mode.

torch-pruning traces and does no more. Its cuts make new parameters behind the optimizer's back and
its numbers are those after the last cut; from a description in dense numbering, slicing optimizers
and replaying stored cuts are index arithmetic. Its own walk over its graph was tried (see `walk`).
Its fault still: one layer on which its mappings fail (IndexError at LSTM and GRU, ZeroDivisionError
in shufflenet_v2, TypeError in swin_s and dpn68) costs the whole network.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
import torch_pruning as tp
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from pruning.structure.copies import first_line, named_tensors, tensors_in
from pruning.structure.layout import Ints
from pruning.structure.ties import Ties
from pruning.structure.units import Group, Role, Slice, Units, UntraceableError
from pruning.structure.walk import LostError, Step, follow

_PRODUCERS = (_ConvNd, nn.Linear)
# A unit of zeros is not nothing to these: it counts in a norm, or goes into every output.
_MIXERS = (nn.LayerNorm, nn.GroupNorm, nn.MultiheadAttention, nn.LSTM)


class Tracer:
    """Ties the entries of one network's tensors, and reads the units off."""

    def __init__(self, model: nn.Module, args: tuple[Any, ...]) -> None:
        self._ties = Ties()
        self._tensors = named_tensors(model)
        self._name_of = {id(tensor): name for name, tensor in self._tensors.items()}
        self._modules = {module: name for name, module in model.named_modules()}
        self._rank = {name: rank for rank, name in enumerate(self._modules.values())}
        self._roles: dict[tuple[str, int], Role] = {}
        self._producers: dict[tuple[str, int], str] = {}
        self._channels: dict[tuple[nn.Module, bool], Ints | None] = {}
        self._taints: list[tuple[Ints, str]] = []
        model.requires_grad_(True)  # torch-pruning reads autograd's graph: frozen, there is none
        try:
            self._follow(model, args)
        except Exception as error:
            raise UntraceableError(
                f"{type(model).__name__} cannot be traced: {first_line(error)}"
            ) from error
        finally:
            model.requires_grad_(False)

    def _follow(self, model: nn.Module, args: tuple[Any, ...]) -> None:
        """Ask torch-pruning what each layer's output channels are tied to."""
        graph = tp.DependencyGraph()
        graph.build_dependency(
            model,
            args,
            forward_fn=lambda m, a: m(*a),
            # a node of its own after each output, so that torch-pruning marks it as one
            output_transform=lambda out: [o * 1 for o in tensors_in(out) if o.requires_grad],
            verbose=False,
        )
        for module, node in graph.module2node.items():
            if isinstance(module, _MIXERS):
                node.dependencies.clear()  # what reaches a mixer stays; no need to follow it on
        seen: set[nn.Module] = set()
        for module in self._modules:
            if not isinstance(module, _PRODUCERS) or module not in graph.module2node:
                continue
            roots = self._nodes(module, out=True)
            if roots is None or module in seen:
                continue
            try:
                for step in follow(graph, module, len(roots)):
                    self._join(roots[step.root], step)
                    # Reached whole, its own walk would find the same. Reached in part, as behind a
                    # channel shuffle, it has channels of which this walk knows nothing.
                    if step.out and len(np.unique(step.index)) == self._width(step.target.module):
                        seen.add(step.target.module)
            except LostError as error:
                self._taints.append((roots, str(error)))

    def _width(self, module: nn.Module) -> int | None:
        nodes = self._nodes(module, out=True) if module in self._modules else None
        return None if nodes is None else len(nodes)

    def _join(self, roots: Ints, step: Step) -> None:
        target, module, index = step.target, step.target.module, step.index
        if target.type == tp.ops.OPTYPE.OUTPUT:
            self._taints.append((roots, "its units are the network's output"))
        elif isinstance(module, _MIXERS):
            name = f"{self._modules[module]} ({type(module).__name__})"
            self._taints.append((roots, f"{name} mixes its units"))
        elif isinstance(module, nn.Parameter):
            name = self._name_of[id(module)]
            self._tie(roots, self._axis(name, target.pruning_dim % module.dim(), "norm"), index)
        elif module in self._modules and (nodes := self._nodes(module, step.out)) is not None:
            self._tie(roots, nodes, index)

    def _tie(self, roots: Ints, nodes: Ints, index: Ints) -> None:
        # Seen behind channel shuffles and GLU. An IndexError here would cost the whole network, a
        # negative index would pass for another unit's.
        if index.max() >= len(nodes) or index.min() < 0:
            raise LostError("torch-pruning maps its units beyond a tensor's end")
        self._ties.tie(roots, nodes[index])

    def _nodes(self, module: nn.Module, out: bool) -> Ints | None:
        """The nodes of a layer's output (or input) channels; None if no tensor has any."""
        if (module, out) not in self._channels:
            self._channels[module, out] = self._make_nodes(module, out)
        return self._channels[module, out]

    def _make_nodes(self, module: nn.Module, out: bool) -> Ints | None:
        name = self._modules[module]
        if isinstance(module, _ConvNd) and module.groups > 1:
            return self._grouped(name, module, out)
        if isinstance(module, _PRODUCERS):
            swapped = isinstance(module, _ConvTransposeNd)
            if not out:
                return self._all(module, {"weight": 0 if swapped else 1}, "consume")
            return self._all(module, {"weight": 1 if swapped else 0, "bias": 0}, "produce")
        if isinstance(module, _NormBase):
            tensors = ("weight", "bias", "running_mean", "running_var")
            return self._all(module, dict.fromkeys(tensors, 0), "norm")
        if isinstance(module, nn.PReLU) and module.num_parameters > 1:
            return self._all(module, {"weight": 0}, "produce")
        if isinstance(module, nn.Embedding):
            return self._all(module, {"weight": 1}, "produce")
        return None

    def _all(self, module: nn.Module, dims: dict[str, int], role: Role) -> Ints | None:
        """The axes of a module's tensors, tied to each other entry by entry."""
        axes = []
        for key, dim in dims.items():
            tensor = getattr(module, key, None)
            if tensor is None:
                continue
            if id(tensor) not in self._name_of:
                # A parametrization makes it anew at every access: a cut of it would not last.
                reason = f"{self._modules[module]}.{key} is computed from other parameters"
                axes.append(self._ties.axis((self._modules[module], key), tensor.shape[dim]))
                self._taints.append((axes[-1], reason))
                continue
            axes.append(self._axis(self._name_of[id(tensor)], dim, role, self._modules[module]))
        for other in axes[1:]:
            self._ties.tie(axes[0], other)
        return axes[0] if axes else None

    def _axis(self, tensor: str, dim: int, role: Role, module: str = "") -> Ints:
        axis = (tensor, dim)
        if self._roles.get(axis) != "consume":
            self._roles[axis] = role
        if role == "produce":
            first = self._producers.setdefault(axis, module)
            self._producers[axis] = min(first, module, key=self._rank.__getitem__)
        return self._ties.axis(axis, self._tensors[tensor].shape[dim])

    def _grouped(self, name: str, module: _ConvNd, out: bool) -> Ints:
        """Grouped and depthwise convolutions: the channels of one conv-group are one unit.

        The weight lies along dimension 0 in any case: the outputs of a convolution, the inputs of
        a transposed one. Where torch-pruning takes inputs for outputs the layer is refused.
        """
        groups = module.groups
        made = (name, out) in self._ties
        inputs = self._ties.axis((name, False), module.in_channels)
        outputs = self._ties.axis((name, True), module.out_channels)
        if not made:
            hub = self._ties.axis((name, "groups"), groups)
            weight = self._all(module, {"weight": 0}, "produce")
            for nodes in (inputs, outputs, weight):
                if nodes is not None:
                    self._ties.tie(np.repeat(hub, len(nodes) // groups), nodes)
            bias = self._all(module, {"bias": 0}, "produce")
            if bias is not None:
                self._ties.tie(outputs, bias)
            if groups == module.out_channels != module.in_channels:
                self._taints.append((outputs, f"{name} has fewer outputs than inputs per group"))
        return outputs if out else inputs

    def units(self, protect: Collection[str]) -> Units:
        """Read the units off: connected components, grouped by the tensors they lie in."""
        for name in protect:
            for module, at in self._modules.items():
                if at == name or at.startswith(name + "."):
                    nodes = self._channels.get((module, True))
                    if nodes is not None:
                        # the first reason is the one that is told: here the user's own wish
                        self._taints.insert(0, (nodes, "protected"))
        labels = self._ties.labels()
        reasons: dict[int, str] = {}
        for nodes, reason in self._taints:
            for unit in np.unique(labels[nodes]):
                reasons.setdefault(int(unit), reason)

        axes = list(self._roles)
        owner = [labels[self._ties.axis(axis, 0)] for axis in axes]
        lies_in: dict[int, list[int]] = {}
        for k, owners in enumerate(owner):
            for unit in np.unique(owners).tolist():
                lies_in.setdefault(unit, []).append(k)
        # by the tensors they lie in: of a layer that is summed with a concatenation there are two
        # groups, `sum` and `sum#2`
        alike: dict[tuple[int, ...], list[int]] = {}
        for unit, where in lies_in.items():
            alike.setdefault(tuple(where), []).append(unit)

        found = []
        for signature, members in alike.items():
            made_by = [k for k in signature if axes[k] in self._producers]
            if not made_by:  # such as the network's input, where it is concatenated
                continue
            first = min(made_by, key=lambda k: (self._rank[self._producers[axes[k]]], k))
            ids, at = np.unique(owner[first], return_index=True)
            chosen = np.isin(ids, members)
            order = ids[chosen][np.argsort(at[chosen])]
            slices = tuple(self._slice(axes[k], owner[k], order) for k in signature)
            why = next((reasons[u] for u in order.tolist() if u in reasons), None)
            if why is None and all(s.role != "consume" for s in slices):
                why = "nothing reads its units: they are the network's output"
            name = self._producers[axes[first]]
            found.append((self._rank[name], int(at[chosen].min()), name, slices, len(order), why))
        found.sort(key=lambda f: f[:2])

        groups, refused = [], {}
        names: dict[str, int] = {}
        for _, _, name, slices, size, why in found:
            names[name] = names.get(name, 0) + 1
            full = name if names[name] == 1 else f"{name}#{names[name]}"
            if why is None:
                groups.append(Group(full, size, slices))
            else:
                refused[full] = why
        return Units.of(tuple(groups), refused)

    def _slice(self, axis: tuple[str, int], owner: Ints, order: Ints) -> Slice:
        """The entries along one axis that belong to the units `order[0], order[1], ...`."""
        index = np.flatnonzero(np.isin(owner, order))
        by_label = np.argsort(order)
        unit = by_label[np.searchsorted(order[by_label], owner[index])]
        role = self._roles[axis]
        return Slice(axis[0], axis[1], torch.from_numpy(unit), torch.from_numpy(index), role)
