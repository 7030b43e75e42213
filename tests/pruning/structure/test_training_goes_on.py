"""After a removal in the midst of training, what stays goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from networks import Residual, Separable, Tied, cnn
from structure_cases import random_keep
from torch import Tensor, nn

from pruning.structure.network import Network
from pruning.structure.shrink import shrink
from pruning.structure.trace import trace_units
from pruning.structure.units import Units

X = torch.randn(8, 1, 8, 8)
Y = torch.arange(8) % 10

Build = Callable[[Iterable[Any]], torch.optim.Optimizer]
OPTIMIZERS: dict[str, Build] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9, centered=True),
    "adafactor": lambda p: torch.optim.Adafactor(p, lr=0.01),
}


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    dtype = next(model.parameters()).dtype
    nn.functional.cross_entropy(model(X.to(dtype)), Y).backward()
    optimizer.step()


def by_hand(units: Units, keep: Any, name: str, tensor: Tensor, shape: torch.Size) -> Tensor:
    """The entries of a tensor that lie like parameter `name` of this dense shape and stay."""
    for (owner, dim), (unit, index) in units.axes.items():
        if owner == name and tensor.shape[dim] == shape[dim]:
            stay = np.setdiff1d(np.arange(shape[dim]), index[~keep[unit]])
            tensor = tensor.index_select(dim, torch.from_numpy(stay))
    return tensor


@pytest.mark.parametrize("kind", [cnn, Residual, Separable, Tied])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_is_sliced_and_all_weights_learn(name: str, kind: Callable[[], nn.Module]) -> None:
    model = kind().double()
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = OPTIMIZERS[name](groups)
    units = trace_units(model, X)
    for _ in range(3):
        step(model, optimizer)
    shapes = {n: p.shape for n, p in model.named_parameters()}
    values = {n: t.clone() for n, t in model.state_dict().items()}
    grads = {n: p.grad.clone() for n, p in model.named_parameters()}
    state = {
        n: {k: torch.as_tensor(s).clone() for k, s in optimizer.state[p].items() if s is not None}
        for n, p in model.named_parameters()
    }
    settings = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    places = [
        [n for p in g["params"] for n, q in model.named_parameters() if p is q]
        for g in optimizer.param_groups
    ]

    keep = random_keep(units, 0.4, seed=3)
    shrink(model, optimizer, units, keep | True, keep)

    assert settings == [
        {k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups
    ]
    now = dict(model.named_parameters())
    assert places == [
        [n for p in g["params"] for n, q in now.items() if p is q] for g in optimizer.param_groups
    ]
    assert len(optimizer.state) == len(now)
    for n, p in now.items():
        assert torch.equal(p, by_hand(units, keep, n, values[n], shapes[n]))
        assert torch.equal(p.grad, by_hand(units, keep, n, grads[n], shapes[n]))
        for key, before in state[n].items():
            after = torch.as_tensor(optimizer.state[p][key])
            expected = before
            if before.dim() == len(shapes[n]):
                expected = by_hand(units, keep, n, before, shapes[n])
            assert torch.equal(after, expected), (n, key)

    before_step = {n: p.detach().clone() for n, p in now.items()}
    step(model, optimizer)
    for n, p in model.named_parameters():
        assert p.grad.shape == p.shape
        moved = (p != before_step[n]).flatten()
        assert moved[p.grad.flatten() != 0].all(), n
        assert moved.any(), n


def test_tied_parameters_stay_one() -> None:
    model = Tied()
    network = Network(model, X)
    network.remove([0, 3, 17])
    assert model.two.weight is model.one.weight
    assert model.one.weight.shape == (14, 14)
    assert len(model.two.bias) == 14


def test_frozen_parameters_and_partial_optimizer() -> None:
    model = cnn()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model[3].parameters(), lr=0.1, momentum=0.9)
    step(model, optimizer)
    network = Network(model, X, optimizer)
    network.remove(range(0, network.layout.total, 3))
    assert not model[0][0].weight.requires_grad
    assert model[0][0].weight.grad is None
    assert model[1][0].weight.requires_grad
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [
        id(p) for p in model[3].parameters()
    ]
    step(model, optimizer)


def test_channels_last_is_kept() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 6, 1), nn.Conv2d(6, 4, 3)
    )
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(X).sum().backward()
    optimizer.step()
    Network(model, X, optimizer).remove([1, 5, 9])
    for conv in (model[0], model[2], model[3]):
        o, i, h, w = conv.weight.shape
        expected = torch.empty(o, h, w, i).permute(0, 3, 1, 2).stride()
        assert conv.weight.stride() == expected
        assert conv.weight.grad.stride() == expected
        assert optimizer.state[conv.weight]["momentum_buffer"].stride() == expected
    assert model(X).is_contiguous(memory_format=torch.channels_last)


def test_refusals_name_the_group_and_change_nothing() -> None:
    model = cnn()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    units = trace_units(model, X)
    alive = np.ones(units.layout.total, dtype=bool)
    parameters = list(model.parameters())
    keep = alive.copy()
    keep[units.layout.slice_of("1.0")] = False
    with pytest.raises(ValueError, match=r"1\.0: its last unit"):
        shrink(model, optimizer, units, alive, keep)
    with pytest.raises(ValueError, match=r"0\.0: 1 units are gone"):
        shrink(model, optimizer, units, np.arange(len(alive)) > 0, alive)
    with pytest.raises(ValueError, match="LBFGS"):
        shrink(model, torch.optim.LBFGS(parameters), units, alive, np.arange(len(alive)) > 0)
    assert all(p is q for p, q in zip(parameters, model.parameters(), strict=True))
