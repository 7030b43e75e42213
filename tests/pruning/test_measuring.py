"""Measuring changes nothing: weights, gradients, buffers and random states stay as they were."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from small_tasks import assert_same_bits, digits_task, dropout_cnn, state_of
from torch.nn.functional import cross_entropy

from pruning.policies import Prune
from pruning.pruner import Pruner
from pruning.saliency import (
    ActivationDensity,
    BatchNormScale,
    FeatureTaylor,
    GradientFlow,
    Grasp,
    Magnitude,
    Random,
    Saliency,
    Snip,
    Synflow,
    Taylor,
)
from pruning.structure.aside import Sample
from pruning.training.loop import Training

ALL: list[Saliency] = [
    Magnitude(normalize="size"),
    Magnitude(normalize="layer"),
    Magnitude(normalize="none"),
    Taylor(form="auto"),
    Taylor(form="weights"),
    BatchNormScale(),
    Random(seed=5),
    Snip(),
    Grasp(),
    GradientFlow(),
    Synflow(rounds=3),
    Magnitude(norm="l1"),
    ActivationDensity(),
    FeatureTaylor(),
]


def trained(probes: list[Saliency], optimizer: str) -> Training:
    task = digits_task(
        model={"name": "small_tasks:dropout_cnn"},
        epochs=3,
        optimizer={"name": optimizer, "lr": 0.01},
    )
    training = Training(task, 1, probes)
    training.begin()
    training.epoch()
    training.apply(Prune.of([0, 5, 9, 19]))
    training.epoch()
    training.epoch()
    return training


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_training_with_every_probe_has_the_bits_of_one_with_none(optimizer: str) -> None:
    with_probes, without = trained(ALL, optimizer), trained([], optimizer)
    for record in with_probes.pruner.records:
        assert len(record.probes) == len(ALL)
        for values in record.probes.values():
            assert np.array_equal(np.isfinite(values), record.alive)
    assert_same_bits(state_of(with_probes), state_of(without))
    for one, other in zip(with_probes.pruner.records, without.pruner.records, strict=True):
        assert (one.metrics, one.test, one.costs) == (other.metrics, other.test, other.costs)


def test_start_leaves_everything_as_it_was() -> None:
    torch.manual_seed(3)
    model = dropout_cnn((1, 8, 8), 10).train()
    x, y = torch.randn(16, 1, 8, 8), torch.arange(16) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    cross_entropy(model(x), y).backward()
    optimizer.step()
    weights, state = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    own = {name: parameter.grad for name, parameter in model.named_parameters()}
    gradients = {name: gradient.clone() for name, gradient in own.items()}
    sample = Sample(
        lambda: [(x, y), (x + 1, y)], lambda net, batch: cross_entropy(net(batch[0]), batch[1])
    )
    pruner = Pruner(model, optimizer, example_input=x, sample=sample, probes=ALL)
    random_state = torch.get_rng_state()

    pruner.start()

    assert torch.equal(random_state, torch.get_rng_state())
    assert_same_bits(weights, model.state_dict())
    for name, parameter in model.named_parameters():
        assert parameter.grad is own[name]
        assert torch.equal(parameter.grad, gradients[name])
    after = optimizer.state_dict()
    assert after["param_groups"] == state["param_groups"]
    for number, entries in state["state"].items():
        assert torch.equal(after["state"][number]["momentum_buffer"], entries["momentum_buffer"])
    assert set(pruner.records[0].probes) == {probe.key for probe in ALL}


def test_start_without_gradients_leaves_none() -> None:
    model = dropout_cnn((1, 8, 8), 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(4, 1, 8, 8), torch.arange(4)
    sample = Sample(lambda: [x], lambda net, batch: cross_entropy(net(batch), y))
    pruner = Pruner(model, optimizer, example_input=x, sample=sample, probes=[Taylor()])
    pruner.start()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert np.ptp(pruner.records[0].probes["taylor"]) > 0


def test_after_backward_leaves_gradients_and_random_state() -> None:
    model = dropout_cnn((1, 8, 8), 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(4, 1, 8, 8), torch.arange(4)
    sample = Sample(lambda: [x], lambda net, batch: cross_entropy(net(batch), y))
    pruner = Pruner(model, optimizer, example_input=x, sample=sample, probes=ALL)
    cross_entropy(model(x), y).backward()
    weights = copy.deepcopy(model.state_dict())
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    random_state = torch.get_rng_state()
    pruner.after_backward()
    pruner.end_epoch()
    assert torch.equal(random_state, torch.get_rng_state())
    assert_same_bits(weights, model.state_dict())
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)
