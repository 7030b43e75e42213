"""Each saliency against a calculation by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pruning.pruner import Pruner
from pruning.saliency import BatchNormScale, Magnitude, Random, Saliency, Taylor, saliency
from pruning.structure.network import Network

X = torch.randn(6, 2, 4, 4, generator=torch.Generator().manual_seed(1))
Y = torch.arange(6) % 3


@pytest.fixture
def model() -> nn.Sequential:
    """conv (bias) - batch norm - conv (bias, no norm) - linear; groups of 3 and 4 units."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 4, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([0.5, -2.0, 1.0]))
        net[1].bias.copy_(torch.tensor([0.1, 0.2, -0.3]))
    return net


def scored(model: nn.Module, score: Saliency, seed: int = 0) -> Tensor:
    return score.score(Network(model, X), seed).detach()


def test_magnitude_is_the_norm_of_the_filter_without_its_bias(model: nn.Sequential) -> None:
    by_hand = [filter_.norm().item() for conv in (model[0], model[3]) for filter_ in conv.weight]
    assert scored(model, Magnitude(normalize="none")).tolist() == pytest.approx(by_hand)


def test_magnitude_by_size_divides_by_the_root_of_the_number_of_weights(
    model: nn.Sequential,
) -> None:
    by_hand = [
        *(f.norm().item() / 18**0.5 for f in model[0].weight),  # 2 channels of 3x3
        *(f.norm().item() / 3**0.5 for f in model[3].weight),  # 3 channels of 1x1
    ]
    assert scored(model, Magnitude(normalize="size")).tolist() == pytest.approx(by_hand)
    assert Magnitude().normalize == "size"


def test_magnitude_by_layer_divides_by_the_layers_root_mean_square(model: nn.Sequential) -> None:
    by_hand = []
    for layer in (model[0], model[3]):
        norms = np.array([f.norm().item() for f in layer.weight])
        by_hand += (norms / np.sqrt((norms**2).mean())).tolist()
    assert scored(model, Magnitude(normalize="layer")).tolist() == pytest.approx(by_hand)


@pytest.mark.parametrize("normalize", ["none", "size", "layer"])
def test_magnitude_by_l1_norm(model: nn.Sequential, normalize: str) -> None:
    by_hand = []
    for layer in (model[0], model[3]):
        norms = np.array([f.abs().sum().item() for f in layer.weight])
        unit = {"none": 1, "size": layer.weight[0].numel(), "layer": norms.mean()}[normalize]
        by_hand += (norms / unit).tolist()
    found = scored(model, Magnitude(norm="l1", normalize=normalize))
    assert found.tolist() == pytest.approx(by_hand)


def test_tied_filters_count_together() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 1)
            self.head = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            summed: Tensor = self.one(x) + self.other(x)
            return self.head(summed.mean((2, 3)))  # type: ignore[no-any-return]

    model = Tied()
    squares = model.one.weight.square().sum((1, 2, 3)) + model.other.weight.square().sum((1, 2, 3))
    by_hand = (squares / (18 + 2)).sqrt()
    assert scored(model, Magnitude()).tolist() == pytest.approx(by_hand.tolist())


def test_taylor_takes_gamma_and_beta_where_there_are_any(model: nn.Sequential) -> None:
    cross_entropy(model(X), Y).backward()
    norm, conv = model[1], model[3]
    first = (norm.weight.grad * norm.weight + norm.bias.grad * norm.bias).abs()
    second = ((conv.weight.grad * conv.weight).sum((1, 2, 3)) + conv.bias.grad * conv.bias).abs()
    assert scored(model, Taylor()).tolist() == pytest.approx([*first.tolist(), *second.tolist()])


def test_taylor_of_weights(model: nn.Sequential) -> None:
    cross_entropy(model(X), Y).backward()
    by_hand = []
    for conv in (model[0], model[3]):
        change = (conv.weight.grad * conv.weight).sum((1, 2, 3)) + conv.bias.grad * conv.bias
        by_hand += change.abs().tolist()
    found = scored(model, Taylor(form="weights"))
    assert found.tolist() == pytest.approx(by_hand, rel=1e-4, abs=1e-7)
    assert found[:3].max() < 1e-5 < found[3:].max()  # under a batch norm scale does not matter


def test_taylor_is_the_mean_over_the_steps(model: nn.Sequential) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pruner = Pruner(model, optimizer, example_input=X, probes=[Taylor()])
    norm, steps = model[1], []
    for x in (X, 2 * X, X + 1):
        optimizer.zero_grad()
        cross_entropy(model(x), Y).backward()
        steps.append((norm.weight.grad * norm.weight + norm.bias.grad * norm.bias).abs().detach())
        pruner.after_backward()
    pruner.end_epoch()
    assert pruner.records[1].probes["taylor"][:3].tolist() == pytest.approx(
        torch.stack(steps).mean(0).tolist()
    )
    cross_entropy(model(X), Y).backward()
    pruner.after_backward()
    pruner.end_epoch()
    assert pruner.records[2].probes["taylor"][:3].tolist() != pytest.approx(
        torch.stack(steps).mean(0).tolist()
    )


def test_a_layer_that_gets_no_gradient_scores_zero(model: nn.Sequential) -> None:
    cross_entropy(model(X), Y).backward()
    model[0].weight.grad = model[0].bias.grad = None
    assert scored(model, Taylor(form="weights"))[:3].tolist() == [0, 0, 0]


def test_batch_norm_scale_is_the_mean_absolute_gamma() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 1)
            self.norm_a, self.norm_b = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
            self.head = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            summed = self.norm_a(self.a(x)) + self.norm_b(self.b(x))
            return self.head(summed.mean((2, 3)))  # type: ignore[no-any-return]

    model = Twice()
    with torch.no_grad():
        model.norm_a.weight.copy_(torch.tensor([1.0, -2.0, 0.0]))
        model.norm_b.weight.copy_(torch.tensor([3.0, 1.0, -0.5]))
    assert scored(model, BatchNormScale()).tolist() == [2.0, 1.5, 0.25]


def test_batch_norm_scale_says_which_layer_has_none(model: nn.Sequential) -> None:
    with pytest.raises(ValueError, match="needs a batch norm after every prunable layer; '3' has"):
        scored(model, BatchNormScale())


def test_random_is_fixed_for_life_and_by_seeds(model: nn.Sequential) -> None:
    network = Network(model, X)
    before = Random().score(network, seed=4)
    assert ((before >= 0) & (before < 1)).all()
    assert len(set(before.tolist())) == 7
    assert torch.equal(before, Random().score(network, seed=4))
    assert not torch.equal(before, Random().score(network, seed=5))
    assert not torch.equal(before, Random(seed=1).score(network, seed=4))
    network.remove([1, 5])
    assert torch.equal(Random().score(network, seed=4), before[[0, 2, 3, 4, 6]])


def test_what_was_measured_lines_up_after_a_prune(model: nn.Sequential) -> None:
    network = Network(model, X)
    before = network.scatter(Magnitude(normalize="none").score(network, 0).detach())
    network.remove([0, 4])
    after = network.scatter(Magnitude(normalize="none").score(network, 0).detach())
    assert np.isnan(after[[0, 4]]).all()
    assert after[[1, 2]] == pytest.approx(before[[1, 2]])  # the first layer's inputs are whole
    assert (after[[3, 5, 6]] < before[[3, 5, 6]]).all()  # the second's filters lost a channel


def test_a_score_that_is_not_a_number_ranks_last(model: nn.Sequential) -> None:
    with torch.no_grad():
        model[3].weight[2] = float("nan")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pruner = Pruner(model, optimizer, example_input=X, probes=[Magnitude()])
    values = pruner.measure().probes["magnitude"]
    assert np.isfinite(values).all()
    assert values.argmin() == 5


def test_names_and_keys() -> None:
    assert saliency("taylor") == Taylor()
    assert (
        saliency({"name": "magnitude", "normalize": "none"}).key == 'magnitude{"normalize":"none"}'
    )
    assert Magnitude(normalize="size", norm="l2").key == "magnitude"
    assert saliency({"name": "activation_density", "eps": 0.1}).key == (
        'activation_density{"eps":0.1}'
    )
    with pytest.raises(ValueError, match="unknown saliency 'taylr'; did you mean 'taylor'"):
        saliency("taylr")
