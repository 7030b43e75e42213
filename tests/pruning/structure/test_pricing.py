"""What a network costs at any widths is what it costs when it has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from structure_cases import SMALL, build
from torch import Tensor, nn

from benchmarks.zoo import NETWORKS
from pruning.structure.cost import measure
from pruning.structure.layout import Bools
from pruning.structure.network import Network
from pruning.structure.pricing import evaluate, macs_by_width, params_by_width
from pruning.structure.units import Units


def drawn(units: Units, seed: int) -> Bools:
    """Any units, and the first of each layer."""
    keep = np.random.default_rng(seed).random(units.layout.total) < 0.4
    keep[units.layout.offsets[:-1]] = True
    return keep


def assert_exact(network: Network, rel: float = 0) -> None:
    params, macs = params_by_width(network), macs_by_width(network)
    for seed in range(3):
        keep = drawn(network.units, seed)
        widths = network.layout.counts(keep)
        counted = network.with_only(keep, lambda model: measure(model, network.example_input))
        assert (evaluate(params, widths), evaluate(macs, widths)) == pytest.approx(counted, rel=rel)
    dense = np.asarray(network.layout.sizes)
    cost = network.dense_cost
    assert (evaluate(params, dense), evaluate(macs, dense)) == (cost.params, cost.macs)


@pytest.mark.parametrize("name", [*SMALL, "resnet18", "mobilenet_v2"])
def test_exact_at_any_widths(name: str) -> None:
    model, x = build(name)
    assert_exact(Network(model, x))


def test_many_widths_at_once() -> None:
    network = Network(*build("small_resnet"))
    terms = macs_by_width(network)
    widths = np.array([network.layout.counts(drawn(network.units, seed)) for seed in range(6)])
    found = evaluate(terms, widths.reshape(2, 3, -1))
    assert found.shape == (2, 3)
    assert found.ravel().tolist() == [float(evaluate(terms, one)) for one in widths]


def test_more_units_never_cost_less() -> None:
    network = Network(*build("small_resnet"))
    for terms in (macs_by_width(network), params_by_width(network)):
        widths = network.layout.counts(drawn(network.units, 0))
        more = np.minimum(widths + np.eye(len(widths), dtype=np.int64), network.layout.sizes)
        assert (evaluate(terms, more) >= evaluate(terms, widths)).all()


class Moody(nn.Module):
    """Does more than its widths say, while it is dense."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(8, 12), nn.Linear(12, 4)
        self.calls = 1

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.one(x))
        if self.one.out_features < 12:
            return self.two(hidden) + self.two(hidden)
        return 2 * self.two(hidden)


def test_a_cost_that_does_not_follow_from_widths_is_refused() -> None:
    network = Network(Moody(), torch.randn(2, 8))
    with pytest.raises(ValueError, match=r"without a unit of 'one' it computes something else"):
        macs_by_width(network)
    params_by_width(network)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_network_is_priced(name: str) -> None:
    if NETWORKS[name].refused:
        pytest.skip("cannot be cut")
    # torch's einsum multiplies entry by entry where a size is one, which counts for nothing
    assert_exact(Network(*NETWORKS[name].build()), rel=1e-3)
