"""Remove units for good: smaller tensors, and an optimizer that goes on with what stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from pruning.structure.computed import recompute
from pruning.structure.copies import begin_anew, named_tensors, same_structure
from pruning.structure.cut import Cut, aligned, leaves, matching, shorten
from pruning.structure.heads import narrow_attention
from pruning.structure.layout import Bools
from pruning.structure.optimizers import Optimizers, Target, check, listed, states_of
from pruning.structure.units import Units

_GATES = {"LSTM": 4, "GRU": 3}


def shrink(
    model: nn.Module,
    optimizers: Optimizers,
    units: Units,
    alive: Bools,
    keep: Bools,
    copies: Sequence[nn.Module] = (),
) -> None:
    """Remove units from a model in place, from its copies, and from what optimizers remember.

    Every parameter and buffer stays the object it was, with fewer entries: optimizers, schedulers
    and lists made before hold it still; hooks, marks, a subclass of its own, its gradient and its
    memory format are kept. Marks and state that lie like it are sliced like it.

    Args:
        model: the network as it is, from which the units not in `alive` are gone.
        alive: bool [U], the units before.
        keep: bool [U], the units after.
        copies: networks of the same structure, as averages of the model are; cut alike.

    Raises:
        ValueError: `keep` revives a unit or empties a group, a tensor cannot be cut, or the state
            of an optimizer cannot be sliced. Nothing has been changed then.
    """
    _check(units, alive, keep)
    given = listed(optimizers)
    for one in copies:
        same_structure(one, model)
    targets = [t for one in (model, *copies) for t in _targets(one, units, alive, keep)]
    for target in targets:
        _check_target(target)
    check(given, targets)
    owned = {id(t) for one in (model, *copies) for t in named_tensors(one).values()}
    for target in targets:
        remembered = [vars(target.tensor), *states_of(given, target.tensor)]
        _shorten_all([target.tensor, *_tensors(remembered, owned)], target.cut)
    changed = {id(target.tensor) for target in targets}
    for one in (model, *copies):
        for module in one.modules():
            if any(id(t) in changed for t in _own(module)):
                recompute(module)
                _refit(module)
        _recount(one, units, keep)
        begin_anew(one)


def _check(units: Units, alive: Bools, keep: Bools) -> None:
    layout = units.layout
    for name, vector in (("alive", alive), ("keep", keep)):
        if vector.shape != (layout.total,):
            raise ValueError(f"{name} must have {layout.total} units, not shape {vector.shape}")
    revived, left = layout.counts(keep & ~alive), layout.counts(keep)
    for group, name in enumerate(layout.names):
        if revived[group]:
            raise ValueError(f"{name}: {revived[group]} units are gone and cannot be revived")
        if not left[group]:
            raise ValueError(f"{name}: its last unit cannot be removed")


def cuts_of(
    units: Units, alive: Bools, keep: Bools, tensors: Mapping[str, Tensor]
) -> dict[str, Cut]:
    """Which current positions stay, for every tensor and dimension that loses some."""
    cuts: dict[str, Cut] = {}
    for (name, dim), (unit, index) in units.axes.items():
        # sorted: where maps of several groups are concatenated, it need not be in the groups' order
        gone = np.sort(index[~alive[unit]])
        drop = index[alive[unit] & ~keep[unit]]
        if drop.size:
            tensor = tensors[name]
            now = drop - np.searchsorted(gone, drop)
            stay = np.delete(np.arange(tensor.shape[dim]), now)
            cuts.setdefault(name, {})[dim] = torch.from_numpy(stay).to(tensor.device)
    return cuts


def _targets(model: nn.Module, units: Units, alive: Bools, keep: Bools) -> list[Target]:
    tensors = named_tensors(model)
    cuts = cuts_of(units, alive, keep, tensors)
    return [Target(name, tensors[name], cut) for name, cut in cuts.items()]


def _check_target(target: Target) -> None:
    for what, tensor in (("", target.tensor), ("the gradient of ", target.tensor.grad)):
        if tensor is not None and (
            tensor.layout != torch.strided or hasattr(tensor, "__tensor_flatten__")
        ):
            kind = type(tensor).__name__ if tensor.layout == torch.strided else "sparse tensor"
            raise ValueError(f"{what}{target.name} is a {kind}, which cannot lose units")


def _tensors(remembered: object, owned: set[int]) -> list[Tensor]:
    """The tensors in here that are none of the network's own, each once."""
    found = [value for _, value in leaves(remembered) if isinstance(value, Tensor)]
    return list({id(t): t for t in found if id(t) not in owned}.values())


def _shorten_all(tensors: Sequence[Tensor], cut: Cut) -> None:
    """The first one, and alike whatever lies like it."""
    shape = tensors[0].shape
    for tensor in tensors:
        if aligned(tensor, shape) and (own := matching(tensor, shape, cut)):
            shorten(tensor, own)


def _own(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters(recurse=False)
    yield from module.buffers(recurse=False)


def _recount(model: nn.Module, units: Units, keep: Bools) -> None:
    """Make the numbers in its code say how many channels are left."""
    for count, number in units.numbers(keep).items():
        held = vars(model.get_submodule(count.module))
        if count.entry is None:
            held[count.attribute] = number
        else:
            entries = list(held[count.attribute])
            entries[count.entry] = number
            held[count.attribute] = type(held[count.attribute])(entries)


def _refit(module: nn.Module) -> None:
    """Make a module's attributes say what its tensors' shapes are."""
    if isinstance(module, _ConvNd):
        weight = module.weight
        swapped = isinstance(module, _ConvTransposeNd)
        if module.groups > 1:
            along = module.in_channels if swapped else module.out_channels
            module.groups = weight.shape[0] // (along // module.groups)
        one, other = weight.shape[0], weight.shape[1] * module.groups
        module.in_channels, module.out_channels = (one, other) if swapped else (other, one)
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, _NormBase):
        tensor = module.weight if module.weight is not None else module.running_mean
        if tensor is not None:
            module.num_features = tensor.shape[0]
    elif isinstance(module, (nn.LayerNorm, nn.RMSNorm)) and module.weight is not None:
        module.normalized_shape = tuple(module.weight.shape)
    elif isinstance(module, nn.GroupNorm) and module.weight is not None:
        if module.num_groups > 1:
            wide = module.num_channels // module.num_groups
            module.num_groups = module.weight.shape[0] // wide
        module.num_channels = module.weight.shape[0]
    elif isinstance(module, nn.MultiheadAttention):
        narrow_attention(module)
    elif isinstance(module, nn.RNNBase):
        weights = dict(module.named_parameters())
        module.hidden_size = weights["weight_hh_l0"].shape[0] // _GATES.get(module.mode, 1)
        module.input_size = weights["weight_ih_l0"].shape[1]
    elif isinstance(module, nn.RNNCellBase):
        module.input_size, module.hidden_size = module.weight_ih.shape[1], module.weight_hh.shape[1]
    elif isinstance(module, nn.PReLU):
        module.num_parameters = module.weight.shape[0]
    elif isinstance(module, nn.Embedding):
        module.embedding_dim = module.weight.shape[1]
