"""Remove units for good: smaller tensors, and an optimizer that goes on with what stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from pruning.structure.copies import exchange, named_tensors
from pruning.structure.layout import Bools
from pruning.structure.units import Units

Cut = dict[int, Tensor]
"""dim -> positions that stay along it, int64."""


def shrink(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    units: Units,
    alive: Bools,
    keep: Bools,
) -> None:
    """Remove units from a model in place, and from its optimizer's state.

    Parameters become new `nn.Parameter` objects (their gradients and memory formats kept); the
    optimizer's groups hold the new ones at the old places, with moments sliced alike.

    Args:
        model: the network as it is, from which the units not in `alive` are gone.
        alive: bool [U], the units before.
        keep: bool [U], the units after.

    Raises:
        ValueError: `keep` revives a unit or empties a group, or the state of the optimizer cannot
            be sliced. Nothing has been changed then.
    """
    _check(units, alive, keep)
    old = named_tensors(model)
    cuts = _cuts(units, alive, keep, old)
    if optimizer is not None:
        _check_optimizer(optimizer, {name: old[name] for name in cuts}, cuts)
    new = {name: _renewed(old[name], cut) for name, cut in cuts.items()}
    for module in exchange(model, new):
        _refit(module)
    if optimizer is not None:
        by_old = {id(old[name]): (new[name], cut) for name, cut in cuts.items()}
        _carry(optimizer, by_old)


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


def _cuts(units: Units, alive: Bools, keep: Bools, tensors: Mapping[str, Tensor]) -> dict[str, Cut]:
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


def _select(tensor: Tensor, cut: Cut) -> Tensor:
    """The entries that stay, in the memory format that was."""
    # Selecting makes a contiguous tensor: channels-last would be lost. Strides say the order of the
    # dimensions; where two are equal, as with one input channel, the larger one is the outer.
    dims = range(tensor.dim())
    order = sorted(dims, key=lambda d: (tensor.stride(d), tensor.shape[d]), reverse=True)
    dense = tensor.detach().permute(order)
    for dim, stay in cut.items():
        dense = dense.index_select(order.index(dim), stay.to(dense.device))
    return dense.permute([order.index(d) for d in dims])


def _renewed(old: Tensor, cut: Cut) -> Tensor:
    selected = _select(old, cut)
    if not isinstance(old, nn.Parameter):
        return selected
    new = nn.Parameter(selected, requires_grad=old.requires_grad)
    if old.grad is not None:
        new.grad = _select(old.grad, cut)
    return new


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
    elif isinstance(module, nn.PReLU):
        module.num_parameters = module.weight.shape[0]
    elif isinstance(module, nn.Embedding):
        module.embedding_dim = module.weight.shape[1]


def _fits(state: Any, parameter: Tensor, cut: Cut) -> bool:
    """Whether a state tensor lies like its parameter, or has one entry where that has many."""
    if not isinstance(state, Tensor) or state.dim() != parameter.dim():
        return False
    # 1: Adafactor keeps sums over rows and over columns
    return all(state.shape[d] in (1, parameter.shape[d]) for d in cut)


def _check_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], cuts: Mapping[str, Cut]
) -> None:
    kind = type(optimizer).__name__
    if isinstance(optimizer, torch.optim.LBFGS):
        raise ValueError(f"optimizer {kind} keeps one flat history that cannot lose units")
    for name, tensor in tensors.items():
        for key, state in optimizer.state.get(tensor, {}).items():
            whole = isinstance(state, Tensor) and state.numel() > 1  # not a count of steps
            if whole and not _fits(state, tensor, cuts[name]):
                raise ValueError(
                    f"optimizer {kind}: state {key!r} of {name}, {tuple(state.shape)}, "
                    f"cannot be sliced like the parameter, {tuple(tensor.shape)}"
                )


def _carry(optimizer: torch.optim.Optimizer, by_old: Mapping[int, tuple[Tensor, Cut]]) -> None:
    """Put the new parameters in the old ones' places and slice what is remembered of them."""
    for settings in optimizer.param_groups:
        for place, old in enumerate(settings["params"]):
            if id(old) not in by_old:
                continue
            new, cut = by_old[id(old)]
            settings["params"][place] = new
            if old in optimizer.state:
                state = optimizer.state.pop(old)
                optimizer.state[new] = {k: _sliced(s, old, cut) for k, s in state.items()}


def _sliced(state: Any, parameter: Tensor, cut: Cut) -> Any:
    if not _fits(state, parameter, cut):
        return state
    return _select(state, {d: s for d, s in cut.items() if state.shape[d] == parameter.shape[d]})
