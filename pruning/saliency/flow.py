"""The synaptic flow of a network: what ones put in do to what comes out, all weights positive.

In double precision: nothing normalises it. The flow of an untrained ResNet-50 comes to 1e65, of a
DenseNet-121 to 1e85, and single precision ends at 1e38.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from pruning.structure.copies import as_args, copy_model, first_samples, map_tensors, tensors_in
from pruning.structure.layout import Ints
from pruning.structure.network import Network
from pruning.structure.wrappers import uncompiled

_BY_INPUT = (nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm, nn.RMSNorm)


class Flow:
    """A copy of a network in float64, all its parameters by absolute value.

    Tanaka et al. 2020, section 5: with an input of ones, R is the sum of the outputs and the flow
    through a weight |w * dR/dw| [C]. Through a unit of a network of ReLUs as much flows in as out
    [C]. Batch and instance norms have mean 0 and variance 1, which leaves their scale and shift
    [G]; activations that are clipped from above (ReLU6) are not [G], as nothing would flow through
    them. Gates that saturate let nothing through: their own units come out lowest.

    Raises ValueError for a norm that takes its statistics from its input: no flow is defined there.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._twin = _linear(network.model)
        self._parameters = dict(self._twin.named_parameters())
        device = next(self._twin.parameters()).device
        args = first_samples(as_args(network.example_input), 1)
        self._ones = map_tensors(args, lambda a: _positive(torch.ones_like(a, device=device)))

    def through(self) -> npt.NDArray[np.float64]:
        """The flow through each unit's weights and biases; [alive units], not negative."""
        weights = tuple(self._parameters.values())
        with torch.enable_grad(), uncompiled():
            outputs = [t for t in tensors_in(self._twin(*self._ones)) if t.is_floating_point()]
            result = torch.stack([output.sum() for output in outputs]).sum()
            slopes = torch.autograd.grad(result, weights, allow_unused=True, materialize_grads=True)
        flows = [(w.detach() * slope).abs() for w, slope in zip(weights, slopes, strict=True)]
        by_name = dict(zip(self._parameters, flows, strict=True))
        found: npt.NDArray[np.float64] = self._network.per_unit(by_name).cpu().numpy()
        return found

    @torch.no_grad()
    def silence(self, units: Ints) -> None:
        """Set all that belongs to these units to zero; by their place among the alive ones."""
        first = 0
        for _, size, slices in self._network.group_slices():
            inside = units[(units >= first) & (units < first + size)] - first
            first += size
            if not len(inside):
                continue
            gone = torch.zeros(size, dtype=torch.bool)
            gone[torch.from_numpy(inside)] = True
            for s in slices:
                if s.tensor in self._parameters:
                    index = s.index[gone.to(s.unit.device)[s.unit]]
                    self._parameters[s.tensor].index_fill_(s.dim, index, 0)


def _positive(tensor: Tensor) -> Tensor:
    return tensor.double().abs() if tensor.is_floating_point() else tensor.clone()


def _linear(model: nn.Module) -> nn.Module:
    twin = copy_model(model, _positive)
    for name, module in twin.named_modules():
        if isinstance(module, _BY_INPUT):
            kind = type(module).__name__
            raise ValueError(
                f"synflow cannot follow {name!r}: a {kind} takes its statistics from its input"
            )
        if isinstance(module, _NormBase):
            like = next(twin.parameters())
            module.running_mean = like.new_zeros(module.num_features)
            module.running_var = like.new_ones(module.num_features)
            # else instance norms go by their input, even in evaluation: the flow was 0 behind them
            module.track_running_stats = True
        elif isinstance(module, nn.Hardtanh):
            module.max_val = math.inf
    return twin.requires_grad_(True)
