"""Torchvision's networks and our own train on after a removal, with the momentum of what stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from structure_cases import BIG, build, random_keep
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from pruning.structure.shrink import shrink
from pruning.structure.trace import trace_units


def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor) -> None:
    optimizer.zero_grad()
    output = model(x)
    nn.functional.cross_entropy(output, torch.arange(len(x))).backward()
    optimizer.step()


@pytest.mark.parametrize("name", [*BIG, "small_cnn", "small_mlp", "small_resnet"])
def test_momentum_is_sliced_and_every_parameter_moves(name: str) -> None:
    model, x = build(name)
    x = torch.cat([x, -x.flip(0)])
    units = trace_units(model, x, verify=False)
    model.train()
    for module in model.modules():
        if isinstance(module, StochasticDepth | nn.Dropout):
            module.eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    step(model, optimizer, x)
    momentum = {
        key: optimizer.state[parameter]["momentum_buffer"].clone()
        for key, parameter in model.named_parameters()
    }
    keep = random_keep(units, 0.4, seed=5)
    shrink(model, optimizer, units, keep | True, keep)
    for (owner, dim), (unit, index) in units.axes.items():
        if owner in momentum:
            stay = np.setdiff1d(np.arange(momentum[owner].shape[dim]), index[~keep[unit]])
            momentum[owner] = momentum[owner].index_select(dim, torch.from_numpy(stay))
    before = {key: parameter.clone() for key, parameter in model.named_parameters()}
    smaller = 0
    for key, parameter in model.named_parameters():
        assert torch.equal(optimizer.state[parameter]["momentum_buffer"], momentum[key]), key
        smaller += parameter.numel()
    step(model, optimizer, x)
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    moved = 0
    for key, parameter in model.named_parameters():
        assert id(parameter) in held, key
        change = 0.01 * optimizer.state[parameter]["momentum_buffer"].abs()
        if bool((change > 1e-6 * before[key].abs()).any()):
            assert not torch.equal(parameter, before[key]), key
            moved += 1
    # a bias whose shift the next batch norm takes out again has no gradient but rounding
    assert moved >= 0.8 * len(before)
    dense, _ = build(name)
    assert smaller < sum(parameter.numel() for parameter in dense.parameters())
