"""The network: removals add up, ids last, and per-unit sums are right."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from networks import Concat, Residual, Separable, Tied, cnn, mlp
from torch import Tensor, nn

from pruning.structure.cost import Cost, measure
from pruning.structure.network import Network

X = torch.randn(4, 1, 8, 8)


@pytest.mark.parametrize("kind", [cnn, Residual, Separable, Concat, Tied])
def test_steps_equal_one_removal_and_replay(kind: type[nn.Module]) -> None:
    model = kind().eval()
    dense = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    network = Network(model, X, optimizer)
    layout = network.layout
    free = np.concatenate(
        [np.arange(a, b - 1) for a, b in zip(layout.offsets, layout.offsets[1:], strict=False)]
    )
    chosen = np.random.default_rng(0).permutation(free)[: len(free) // 2]
    for part in np.array_split(chosen, 4):
        network.remove(part)
    replayed = Network(dense, X, units=network.units)
    replayed.remove(chosen.tolist())
    assert np.array_equal(network.alive, replayed.alive)
    assert not network.alive[chosen].any()
    state, other = model.state_dict(), dense.state_dict()
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in other.items()}
    assert all(torch.equal(state[k], other[k]) for k in state)
    assert torch.equal(model(X), dense(X))
    assert network.cost() == replayed.cost()
    dense.load_state_dict(state, strict=True)


def test_costs() -> None:
    model = mlp()
    network = Network(model, X)
    assert network.dense_cost == Cost(
        params=64 * 48 + 48 + 48 * 24 + 24 + 24 * 10 + 10, macs=64 * 48 + 48 * 24 + 240, units=72
    )
    network.remove(range(24))
    assert network.cost() == Cost(
        params=64 * 24 + 24 + 24 * 24 + 24 + 24 * 10 + 10, macs=64 * 24 + 24 * 24 + 240, units=48
    )
    assert network.sparsity == 1 - network.cost().params / network.dense_cost.params
    assert network.unit_sparsity == pytest.approx(1 / 3)
    assert network.cost() is network.cost()


def test_attention_is_counted_and_training_untouched() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).train()
    t, d = 5, 16
    rng = torch.get_rng_state()
    projections, attention, hidden = 4 * t * d * d, 2 * t * t * d, 2 * t * d * 32
    assert measure(layer, torch.randn(3, t, d))[1] == projections + attention + hidden
    torch.set_rng_state(rng)
    norm = cnn().train()
    before = copy.deepcopy(norm.state_dict())
    rng = torch.get_rng_state()
    assert measure(norm, X) == measure(norm, X[:1])
    assert torch.equal(rng, torch.get_rng_state())
    assert norm.training
    assert all(torch.equal(before[k], v) for k, v in norm.state_dict().items())


class Judges(nn.Module):
    """Looks at its activations, which it cannot do without storage."""

    def __init__(self) -> None:
        super().__init__()
        self.net = mlp()

    def forward(self, x: Tensor) -> Tensor:
        y = self.net(x)
        return y if y.sum().item() < 1e30 else -y


def test_a_model_that_must_compute_is_still_counted() -> None:
    assert measure(Judges(), X) == measure(mlp(), X)


def test_removal_errors() -> None:
    network = Network(cnn(), X)
    total = network.layout.total
    for ids, message in (
        ([total], f"no unit {total}"),
        ([-1], "no unit -1"),
        (range(16), r"0\.0: its last unit"),
    ):
        with pytest.raises(ValueError, match=message):
            network.remove(ids)
    assert network.alive.all()
    network.remove([3, 3])
    network.remove([])
    with pytest.raises(ValueError, match=r"0\.0: unit 3 is already gone"):
        network.remove(np.array([2, 3]))
    assert network.alive.sum() == total - 1
    with pytest.raises(ValueError, match="read-only"):
        network.alive[0] = False


def test_a_single_unit_can_be_left() -> None:
    network = Network(Separable(), X)
    layout = network.layout
    network.remove(np.setdiff1d(np.arange(layout.total), layout.offsets[:-1]))
    assert network.model(X).shape == (4, 10)
    assert network.model.depth[0].groups == 1
    assert network.model.multi[0].groups == 1
    assert network.unit_sparsity > 0.5


def by_hand(network: Network, values: dict[str, Tensor], roles: tuple[str, ...]) -> Tensor:
    sums, counts = [], []
    for _, size, slices in network.group_slices():
        for u in range(size):
            total, count = 0.0, 0
            for s in slices:
                if s.role in roles and s.tensor in values:
                    part = values[s.tensor].index_select(s.dim, s.index[s.unit == u])
                    total, count = total + float(part.double().sum()), count + part.numel()
            sums.append(total)
            counts.append(count)
    return torch.tensor([sums, counts], dtype=torch.float64)


@pytest.mark.parametrize("kind", [cnn, mlp, Residual, Separable, Concat, Tied])
@pytest.mark.parametrize("roles", [("produce",), ("norm",), ("consume",), ("produce", "consume")])
def test_sums_per_unit(kind: type[nn.Module], roles: tuple[str, ...]) -> None:
    network = Network(kind(), X)
    for gone in ([], [0, 2], [5]):
        network.remove(gone)
        network.model(X).sum().backward()
        values = {n: (p.grad * p).detach() for n, p in network.model.named_parameters()}
        expected, counts = by_hand(network, values, roles)
        torch.testing.assert_close(
            network.per_unit(values, roles).double(), expected, rtol=1e-4, atol=1e-4
        )
        assert torch.equal(network.entries(roles).double(), counts)
        double = network.per_unit(lambda n, p: p.grad.double() * p, roles)
        assert double.dtype == (torch.float64 if counts.any() else torch.float32)
        torch.testing.assert_close(double.double(), expected, rtol=1e-4, atol=1e-4)
        network.model.zero_grad()


def test_sums_leave_out_what_is_none() -> None:
    network = Network(cnn(), X)
    weights = network.per_unit(lambda n, p: torch.ones_like(p) if p.dim() > 1 else None)
    assert weights[:16].tolist() == [9.0] * 16
    scales = network.norm_scales()
    assert scales == {f"{i}.1.weight" for i in (0, 1, 3, 4, 6)}
    gamma = network.per_unit({n: network.model.get_parameter(n) for n in scales}, roles=("norm",))
    assert gamma.tolist() == [1.0] * network.layout.total
    assert not gamma.requires_grad
    assert network.groups_where(gamma != 1) == []
    gamma[17] = 0
    assert network.groups_where(gamma == 0) == ["1.0"]


def test_means_and_scatter() -> None:
    network = Network(mlp(), X)
    network.remove([1, 50])
    values = torch.arange(70.0)
    means = network.group_mean(values)
    assert means[:47].unique().tolist() == [23.0]
    assert means[47:].unique().tolist() == [58.0]
    wide = network.scatter(values)
    assert wide.dtype == np.float32
    assert np.flatnonzero(np.isnan(wide)).tolist() == [1, 50]
    assert np.array_equal(wide[network.alive_ids], values.numpy())


def test_sums_change_nothing() -> None:
    network = Network(cnn(), X)
    network.model(X).sum().backward()
    before = copy.deepcopy(network.model.state_dict())
    grads = [p.grad.clone() for p in network.model.parameters()]
    rng = torch.get_rng_state()
    network.per_unit(lambda _, p: p.square())
    assert torch.equal(rng, torch.get_rng_state())
    assert all(torch.equal(before[k], v) for k, v in network.model.state_dict().items())
    assert all(map(torch.equal, grads, (p.grad for p in network.model.parameters())))
