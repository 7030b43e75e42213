"""SNIP, GraSP and gradient flow: against gradients and Hessians worked out in other ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from pruning.pruner import Pruner
from pruning.saliency import GradientFlow, Grasp, Saliency, Snip
from pruning.saliency.curvature import Statistics, hessian_gradient
from pruning.structure.aside import Sample
from pruning.structure.network import Network


def batches(*shape: int, classes: int = 3) -> list[tuple[Tensor, Tensor]]:
    rng = torch.Generator().manual_seed(1)
    return [
        (torch.randn(6, *shape, generator=rng, dtype=torch.float64), torch.arange(6) % classes)
        for _ in range(2)
    ]


def loss_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return cross_entropy(model(batch[0]), batch[1])


def sampled(model: nn.Module, data: list[tuple[Tensor, Tensor]]) -> Network:
    network = Network(model, data[0][0])
    network.sample = Sample(lambda: iter(data), loss_of)
    return network


@pytest.fixture
def tiny() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()


@pytest.fixture
def cnn() -> nn.Sequential:
    """conv - batch norm - ReLU in place - max-pool - conv (bias, no norm) - ReLU - linear."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 5, 3, padding=1, bias=False),
        nn.BatchNorm2d(5),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 4, 1),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    ).double()
    with torch.no_grad():
        model[1].running_mean.uniform_(-0.5, 0.5)
        model[1].running_var.uniform_(0.5, 2.0)
        model[1].weight.uniform_(0.5, 2.0)
    return model


def brute(model: nn.Sequential, data: list[tuple[Tensor, Tensor]], temperature: float) -> Tensor:
    """w * (H g) of both weight matrices, by the full Hessian of the mean loss."""
    first, second = model[0], model[2]
    shapes = first.weight.shape, second.weight.shape

    def mean_loss(flat: Tensor) -> Tensor:
        w1, w2 = flat[: first.weight.numel()], flat[first.weight.numel() :]
        total = flat.new_zeros(())
        for x, y in data:
            hidden = torch.tanh(x @ w1.view(shapes[0]).T + first.bias.detach())
            logits = hidden @ w2.view(shapes[1]).T + second.bias.detach()
            total = total + cross_entropy(logits / temperature, y)
        return total / len(data)

    flat = torch.cat([first.weight.flatten(), second.weight.flatten()]).detach()
    gradient = torch.autograd.functional.jacobian(mean_loss, flat)
    hessian = torch.autograd.functional.hessian(mean_loss, flat)
    return flat * (hessian @ gradient)


def test_grasp_and_gradient_flow_by_the_whole_hessian(tiny: nn.Sequential) -> None:
    data = batches(3)
    network = sampled(tiny, data)
    for temperature in (1.0, 200.0, 3.0):
        by_hand = brute(tiny, data, temperature)[:12].view(4, 3).sum(1)
        found = Grasp(temperature=temperature).score(network, 0)
        torch.testing.assert_close(found, by_hand, rtol=1e-9, atol=0)
    by_hand = brute(tiny, data, 1.0)[:12].abs().view(4, 3).sum(1)
    torch.testing.assert_close(GradientFlow().score(network, 0), by_hand, rtol=1e-9, atol=0)


def test_grasp_keeps_what_the_gradients_need(tiny: nn.Sequential) -> None:
    """Shrinking a unit's weights by a share changes g . g by -2 * share * its score."""
    data = batches(3)
    score = Grasp(temperature=1.0).score(sampled(tiny, data), 0)

    def flow() -> float:
        tiny.zero_grad()
        torch.stack([loss_of(tiny, batch) for batch in data]).mean().backward()
        return float(sum(tiny[i].weight.grad.square().sum() for i in (0, 2)))

    before, share = flow(), 1e-6
    for unit in range(4):
        with torch.no_grad():
            kept = tiny[0].weight[unit].clone()
            tiny[0].weight[unit] *= 1 - share
        change = flow() - before
        with torch.no_grad():
            tiny[0].weight[unit] = kept
        assert change == pytest.approx(-2 * share * score[unit].item(), rel=1e-3)


@pytest.mark.parametrize("statistics", ["batch", "running"])
def test_the_product_by_differences_of_gradients(
    cnn: nn.Sequential, statistics: Statistics
) -> None:
    """(g(w + e g) - g(w - e g)) / 2e, with batch norm, max-pool and ReLU in place."""
    data = batches(2, 8, 8)
    found = hessian_gradient(sampled(cnn, data), "test", statistics)
    cnn.eval()
    cnn[1].train(statistics == "batch")
    weights = {name: w for name, w in cnn.named_parameters() if w.ndim > 1}
    assert found.keys() == weights.keys()

    def gradient() -> list[Tensor]:
        loss = torch.stack([loss_of(cnn, batch) for batch in data]).mean()
        return list(torch.autograd.grad(loss, list(weights.values())))

    def moved(by: float, direction: list[Tensor]) -> list[Tensor]:
        with torch.no_grad():
            for weight, step in zip(weights.values(), direction, strict=True):
                weight += by * step
        found = gradient()
        with torch.no_grad():
            for weight, step in zip(weights.values(), direction, strict=True):
                weight -= by * step
        return found

    along = gradient()
    up, down = moved(1e-6, along), moved(-1e-6, along)
    for name, one, other in zip(weights, up, down, strict=True):
        torch.testing.assert_close(found[name], (one - other) / 2e-6, rtol=1e-5, atol=1e-9)


def test_under_a_batch_norm_grasp_is_minus_the_squared_gradient(cnn: nn.Sequential) -> None:
    data = batches(2, 8, 8)
    cnn[1].eps = 1e-12
    score = Grasp(temperature=1.0).score(sampled(cnn, data), 0)
    cnn.eval()
    cnn[1].train()
    torch.stack([loss_of(cnn, batch) for batch in data]).mean().backward()
    by_hand = -cnn[0].weight.grad.square().sum((1, 2, 3))
    torch.testing.assert_close(score[:5], by_hand, rtol=1e-8, atol=1e-14)


def test_snip_is_the_sum_of_sizes_per_weight(cnn: nn.Sequential) -> None:
    data = batches(2, 8, 8)
    network = sampled(cnn, data)
    assert Snip().score(network, 0).tolist() == [0] * 9  # nothing was differentiated
    loss_of(cnn, data[0]).backward()
    by_hand = [
        (conv.weight.grad * conv.weight).abs().sum((1, 2, 3)).tolist() for conv in (cnn[0], cnn[4])
    ]
    found = Snip().score(network, 0)
    assert found.tolist() == pytest.approx([*by_hand[0], *by_hand[1]])
    assert found[:5].min() > 1e-4  # no zero under a batch norm


def test_snip_of_the_untrained_network_is_the_mean_over_the_sample() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    data = batches(3)
    steps = []
    for batch in data:
        model.zero_grad()
        loss_of(model, batch).backward()
        steps.append((model[0].weight.grad * model[0].weight).abs().sum(1).detach())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sample = Sample(lambda: iter(data), loss_of)
    pruner = Pruner(model, optimizer, example_input=data[0][0], sample=sample, probes=[Snip()])
    pruner.start()
    found = pruner.records[0].probes["snip"]
    assert found.tolist() == pytest.approx(torch.stack(steps).mean(0).tolist(), rel=1e-6)


class Attention(nn.Module):
    """Attention as transformers have it, without a second derivative in its fast forms."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.wide = nn.Linear(8, 10)
        self.head = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).view(len(x), -1, 3, 2, 4).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        out: Tensor = self.head(torch.relu(self.wide(seen)).mean(1))
        return out


def test_attention_is_differentiated_twice() -> None:
    torch.manual_seed(0)
    model = Attention().double()
    network = sampled(model, batches(5, 8))
    product = hessian_gradient(network, "test", "batch")
    assert all(value.abs().max() > 0 for value in product.values())


Make = Callable[[], Saliency]


@pytest.mark.parametrize("make", [Grasp, GradientFlow])
def test_the_same_whatever_mode_and_random_state(make: Make, cnn: nn.Sequential) -> None:
    network = sampled(cnn, batches(2, 8, 8))
    with torch.no_grad():  # as the Pruner asks
        first = make().score(network, 0)
        torch.rand(3)
        cnn.eval()
        assert torch.equal(make().score(network, 0), first)


def test_a_weight_that_is_not_trained_or_not_used_counts_for_nothing(cnn: nn.Sequential) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.unused = cnn, nn.Linear(2, 2).double()

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.body(x)
            return out

    cnn[4].weight.requires_grad_(False)
    found = Grasp().score(sampled(Odd(), batches(2, 8, 8)), 0)
    assert found[:5].abs().min() > 0
    assert found[5:].tolist() == [0] * 4


@pytest.mark.parametrize("make", [Grasp, GradientFlow])
def test_without_a_sample_it_says_what_is_missing(make: Make, tiny: nn.Sequential) -> None:
    network = Network(tiny, batches(3)[0][0])
    make().check(network)
    with pytest.raises(ValueError, match=rf"{make.name} needs a sample"):  # type: ignore[attr-defined]
        make().score(network, 0)


def test_a_failing_loss_leaves_no_trace(cnn: nn.Sequential) -> None:
    def broken(model: nn.Module, batch: Any) -> Tensor:
        model(batch[0])
        raise RuntimeError("the loss fails")

    network = sampled(cnn, batches(2, 8, 8))
    network.sample = Sample(network.needs_sample("").batches, broken)
    before = {name: value.clone() for name, value in cnn.state_dict().items()}
    with pytest.raises(RuntimeError, match="the loss fails"):
        Grasp().score(network, 0)
    assert not cnn._forward_hooks
    assert all(module.training for module in cnn.modules())
    assert all(torch.equal(value, before[name]) for name, value in cnn.state_dict().items())
