"""A network whose units can be removed while it trains."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from pruning.actions import Mask
from pruning.structure.aside import Sample
from pruning.structure.copies import Example, copy_model, named_tensors, same_structure
from pruning.structure.cost import Cost, measure
from pruning.structure.layout import Bools, Ints, Layout
from pruning.structure.masks import masks_for, set_to_zero
from pruning.structure.optimizers import Optimizers, admit, listed, strays
from pruning.structure.shrink import shrink
from pruning.structure.sums import UnitSums, Values
from pruning.structure.trace import trace_units
from pruning.structure.units import Role, Slice, Units
from pruning.structure.wrappers import unwrapped

T = TypeVar("T")


class Network:
    """A model whose units can be removed for good; carries its optimizer along.

    Units have dense ids for life. What is measured of those that are left (`per_unit`, `entries`,
    `group_mean`) is a vector over the alive ones in order of their ids, on the model's device.

    Args:
        model: the dense network; of one that is compiled, or in DataParallel, what is wrapped.
        example_input: a batch it accepts, a tensor or a mapping, or a tuple of forward's arguments.
        optimizers: any torch optimizer over its parameters but LBFGS, or several, or None.
        protect: names of modules whose output channels must stay.
        units: the trace of an equal network, to save tracing it again.

    Warns of trainable parameters that no optimizer holds.

    Raises:
        UntraceableError: no unit of the model can be removed.
        ValueError: an optimizer is of another model, or of a kind that cannot lose units.
    """

    def __init__(
        self,
        model: nn.Module,
        example_input: Example,
        optimizers: Optimizers = None,
        *,
        protect: Collection[str] = (),
        units: Units | None = None,
    ) -> None:
        given, self.model = model, unwrapped(model)
        self.wrapped = given is not self.model or self.model._compiled_call_impl is not None
        """Whether forward passes are compiled, or those of replicas: no hook of ours sees them."""
        model = self.model
        self.optimizers = listed(optimizers)
        self.copies: list[nn.Module] = []
        """Networks that are cut alike, as `follow` found them."""
        self.sample: Sample | None = None
        """A few batches to measure on beside training, if there are any."""
        self.start: dict[str, Tensor] | None = None
        """The untrained parameters by name, on the CPU, if a probe has asked for them."""
        self.epoch = 0
        """How many epochs were trained."""
        self.masks: dict[str, Tensor] = {}
        """Which single weights stay, bool by parameter, where some are held at zero."""
        self.protect = tuple(protect)
        admit(model, self.optimizers)
        self.units = units or trace_units(model, example_input, protect=protect)
        self._example_input = example_input
        self._alive = np.ones(self.layout.total, dtype=np.bool_)
        self._forget()
        self.dense_cost = self.cost()

    @property
    def layout(self) -> Layout:
        """Names and sizes of the groups in the dense network."""
        return self.units.layout

    @property
    def example_input(self) -> Example:
        """A batch the model accepts, a tensor or a mapping, or a tuple of forward's arguments."""
        return self._example_input

    @property
    def alive(self) -> Bools:
        """Which units are left: bool [U], read-only."""
        view = self._alive.view()
        view.flags.writeable = False
        return view

    @property
    def alive_ids(self) -> Ints:
        """Ids of the units that are left, ascending: int64 [alive units]."""
        return np.flatnonzero(self._alive)

    def remove(self, unit_ids: Iterable[int] | Ints) -> None:
        """Remove units by their dense ids.

        Raises:
            ValueError: an id is out of range or already gone, or a group would be left without
                units. Nothing has been changed then.
        """
        ids = np.unique(np.fromiter(unit_ids, dtype=np.int64))
        if not ids.size:
            return
        if self.masks:  # they have the shapes of the weights, and no cut slices them
            raise ValueError("single weights are held at zero: no units can be removed any more")
        total = self.layout.total
        if ids[0] < 0 or ids[-1] >= total:
            wrong = ids[0] if ids[0] < 0 else ids[-1]
            raise ValueError(f"there is no unit {wrong}; units are 0 to {total - 1}")
        gone = ids[~self._alive[ids]]
        if gone.size:
            group = self.layout.names[self.layout.group_of[gone[0]]]
            raise ValueError(f"{group}: unit {gone[0]} is already gone")
        keep = self._alive.copy()
        keep[ids] = False
        optimizers = (*self.optimizers, *strays(self.model, self.optimizers))
        shrink(self.model, optimizers, self.units, self._alive, keep, self.copies)
        self._alive = keep
        self._forget()

    def follow(self, copy: nn.Module) -> nn.Module:
        """Cut a second network alike from now on: an average of this one, or its teacher.

        Returns the part of it that has this network's structure. Raises ValueError if none has.
        """
        found = same_structure(copy, self.model)
        self.copies.append(found)
        return found

    @torch.no_grad()
    def copy_to_copies(self) -> None:
        """Give the networks that follow this one's values."""
        for copy in self.copies:
            own = named_tensors(copy)
            for name, tensor in named_tensors(self.model).items():
                own[name].copy_(tensor)

    def _forget(self) -> None:
        self._cost: Cost | None = None
        self._slices: list[tuple[str, int, list[Slice]]] | None = None
        self._sums: dict[tuple[Role, ...], UnitSums] = {}
        self._group: Tensor | None = None

    def mask(self, action: Mask, seed: int) -> None:
        """Set single weights to zero, and hold them there if the action says so."""
        masks = masks_for(self.model, action, seed, self.epoch)
        for model in (self.model, *self.copies):
            set_to_zero(model, masks)
        if action.hold:
            self.hold(masks)

    def hold(self, masks: Mapping[str, Tensor]) -> None:
        """Keep the weights these masks leave out at zero, whatever the optimizer does."""
        # one hook for all masks to come: it looks at those that are held when a step ends
        for optimizer in () if self.masks else self.optimizers:
            optimizer.register_step_post_hook(lambda *_: set_to_zero(self.model, self.masks))
        self.masks = dict(masks)
        set_to_zero(self.model, self.masks)
        self._cost = None

    def needs_sample(self, why: str) -> Sample:
        """The sample. Raises ValueError if there is none: ``why`` says what needs it."""
        if self.sample is None:
            raise ValueError(f"{why} needs a sample: give the Pruner a few batches and a loss")
        return self.sample

    def cost(self) -> Cost:
        """What the network costs now; counted anew only after a removal."""
        if self._cost is None:
            params, macs = measure(self.model, self._example_input)
            masked = sum(int((~mask).sum()) for mask in self.masks.values())
            self._cost = Cost(params, macs, int(self._alive.sum()), masked)
        return self._cost

    def macs_at(self, widths: Ints) -> int:
        """MACs of one sample if each layer kept the first `widths` [layers] of its units.

        Of the dense network; nothing is changed or computed.
        """
        number = np.arange(self.layout.total) - self.layout.offsets[self.layout.group_of]
        bare = self.bare(number < widths[self.layout.group_of])
        return measure(bare, self._example_input)[1]

    def bare(self, keep: Bools) -> nn.Module:
        """The model with only the units to `keep` (bool [U]), as shapes without numbers."""
        bare = copy_model(self.model, lambda t: torch.empty_like(t, device="meta"))
        shrink(bare, None, self.units, self._alive, keep)
        return bare

    def with_only(self, keep: Bools, run: Callable[[nn.Module], T]) -> T:
        """``run`` of a copy with only the units to `keep`, bool [U]; without numbers if it can."""
        try:
            return run(self.bare(keep))
        except Exception:  # one whose control flow depends on values runs with them only
            real = copy_model(self.model, lambda t: t.clone())
            shrink(real, None, self.units, self._alive, keep)
            return run(real)

    @property
    def sparsity(self) -> float:
        """Share of the dense network's parameters that are gone."""
        return 1 - self.cost().params / self.dense_cost.params

    @property
    def unit_sparsity(self) -> float:
        """Share of the dense network's units that are gone."""
        return 1 - self.cost().units / self.dense_cost.units

    @property
    def weight_sparsity(self) -> float:
        """Share of the dense network's parameters that are there, but held at zero."""
        return self.cost().masked / self.dense_cost.params

    def group_slices(self) -> list[tuple[str, int, list[Slice]]]:
        """(group, alive units, slices) with units and indices as they are numbered now."""
        if self._slices is None:
            self._slices = list(self._current())
        return self._slices

    def _current(self) -> Iterable[tuple[str, int, list[Slice]]]:
        tensors = named_tensors(self.model)
        # sorted: where maps of several groups are concatenated, it need not be in the groups' order
        gone = {
            axis: np.sort(index[~self._alive[unit]])
            for axis, (unit, index) in self.units.axes.items()
        }
        split = self.layout.split(self._alive)
        for group in self.units.groups:
            alive = split[group.name]
            number = np.cumsum(alive) - 1
            slices = []
            for s in group.slices:
                unit, index = s.unit.numpy(), s.index.numpy()
                here = alive[unit]
                now = index[here] - np.searchsorted(gone[s.tensor, s.dim], index[here])
                device = tensors[s.tensor].device
                slices.append(
                    Slice(
                        s.tensor,
                        s.dim,
                        torch.from_numpy(number[unit[here]]).to(device),
                        torch.from_numpy(now).to(device),
                        s.role,
                    )
                )
            yield group.name, int(alive.sum()), slices

    def _unit_sums(self, roles: Sequence[Role]) -> UnitSums:
        key = tuple(roles)
        if key not in self._sums:
            groups = [(size, slices) for _, size, slices in self.group_slices()]
            self._sums[key] = UnitSums(groups, dict(self.model.named_parameters()), key)
        return self._sums[key]

    def per_unit(self, values: Values, roles: Sequence[Role] = ("produce",)) -> Tensor:
        """Sum a quantity of the weights over each unit: [alive units], without a sync.

        Args:
            values: `values(name, parameter)`, or a mapping by name, gives a tensor shaped like the
                parameter; None (or a missing name) counts as zero.
            roles: which of the unit's weights count; parameters only, never buffers.
        """
        return self._unit_sums(roles)(values)

    def entries(self, roles: Sequence[Role] = ("produce",)) -> Tensor:
        """How many weights in these roles each unit has: float32 [alive units]."""
        return self._unit_sums(roles).entries

    def norm_scales(self) -> frozenset[str]:
        """Names of the batch norms' (and instance norms') scales, gamma."""
        norms = {
            id(module.weight)
            for module in self.model.modules()
            if isinstance(module, _NormBase) and module.weight is not None
        }
        return frozenset(n for n, p in self.model.named_parameters() if id(p) in norms)

    def group_mean(self, values: Tensor) -> Tensor:
        """The mean of `values` [alive units] over each unit's group, [alive units]."""
        counts = self.layout.counts(self._alive)
        means = [part.mean().expand(len(part)) for part in torch.split(values, counts.tolist())]
        return torch.cat(means)

    def groups_where(self, mask: Tensor) -> list[str]:
        """Names of the groups in which `mask` (bool [alive units]) holds for some unit."""
        ids = self.alive_ids[mask.detach().cpu().numpy()]
        return [self.layout.names[g] for g in np.unique(self.layout.group_of[ids])]

    def scatter(self, values: Tensor | npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Values of the alive units as a vector over all, float32 [U]; NaN where one is gone."""
        flat = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
        out = np.full(self.layout.total, np.nan, dtype=np.float32)
        out[self._alive] = flat
        return out
