"""Bayes-factor pruning: the log posterior by hand, the gates, masks that are held."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from small_tasks import digits_task
from torch import nn
from torch.nn.functional import cross_entropy

from pruning.actions import Mask
from pruning.history import History, Record
from pruning.policies import BayesFactor
from pruning.saliency import LogPosterior
from pruning.structure.aside import Sample
from pruning.structure.layout import Layout
from pruning.structure.network import Network
from pruning.training import snapshot
from pruning.training.loop import Training
from pruning.training.trial import Trial

MLP = {"name": "small_mlp", "options": {"hidden": [12, 8]}}
TASK = digits_task(model=MLP, epochs=4, optimizer={"name": "adam", "lr": 0.003})


def network_with_sample(likelihoods: int = 3) -> tuple[Network, list[Any]]:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    batches = [(torch.randn(n, 6), torch.arange(n) % 3) for n in range(4, 4 + likelihoods)]
    network = Network(model, torch.zeros(2, 6))
    network.sample = Sample(lambda: batches, lambda net, b: cross_entropy(net(b[0]), b[1]))
    return network, batches


@pytest.mark.parametrize("likelihood", ["mean", "sum"])
@pytest.mark.parametrize("by", ["magnitude", "random"])
def test_log_posterior_by_hand(likelihood: Any, by: Any) -> None:
    network, batches = network_with_sample()
    probe = LogPosterior(sparsity=0.6, by=by, likelihood=likelihood, mu=0.1, sigma=2.0)
    before, after = probe.score(network, seed=3).tolist()

    def by_hand(model: nn.Module) -> float:
        with torch.no_grad():
            x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
            log_p = -cross_entropy(model(x), y, reduction=likelihood).item()
            prior = sum(((w - 0.1) ** 2).sum().item() for w in model.parameters() if w.ndim > 1)
        return log_p - prior / (2 * 2.0**2)

    assert before == pytest.approx(by_hand(network.model), rel=1e-5)
    pruned = Network(copy.deepcopy(network.model), torch.zeros(2, 6))
    pruned.mask(Mask(0.6, by, hold=False), seed=3)
    zeros = [int((w == 0).sum()) for w in pruned.model.parameters() if w.ndim > 1]
    assert zeros == [18, 9]  # 0.6 of 30 and of 15
    assert after == pytest.approx(by_hand(pruned.model), rel=1e-5)
    if by == "magnitude":
        weights = network.model[1].weight.abs().flatten()
        kept = pruned.model[1].weight.flatten() != 0
        assert weights[kept].min() >= weights[~kept].max()


def test_random_masks_depend_on_seed_and_epoch_and_spare_no_zero() -> None:
    def zeros(seed: int, epoch: int, own: int = 0) -> list[bool]:
        network, _ = network_with_sample()
        with torch.no_grad():
            network.model[1].weight[0] = 0
        network.epoch = epoch
        network.mask(Mask(0.5, "random", hold=False, seed=own), seed)
        assert (network.model[1].weight[0] == 0).all()
        return (network.model[1].weight == 0).flatten().tolist()

    assert zeros(0, 1) == zeros(0, 1)
    different = [zeros(0, 1), zeros(1, 1), zeros(0, 2), zeros(0, 1, own=1)]
    assert len({tuple(one) for one in different}) == 4
    assert all(sum(one) == 15 for one in different)


def test_without_a_sample_it_is_refused() -> None:
    network, _ = network_with_sample()
    network.sample = None
    with pytest.raises(ValueError, match="log_posterior needs a sample"):
        LogPosterior(sparsity=0.5).score(network, 0)


def made(factors: list[float], policy: BayesFactor, epochs: int = 6) -> History:
    """A history with these log Bayes factors."""
    key = policy.log_posterior.key
    records = [Record(0, np.ones(2, bool), {})] + [
        Record(i, np.ones(2, bool), {key: np.array([-5.0, -5.0 + f])})
        for i, f in enumerate(factors, 1)
    ]
    return History(Layout(("a",), (2,)), tuple(records), epochs)


@pytest.mark.parametrize(
    ("gate", "factors", "prunes"),
    [
        ("propose", [-1.0], False),
        ("propose", [0.1], False),  # log 1.2 is more
        ("propose", [0.2], True),
        ("propose", [2.0, -1.0], False),
        ("previous", [-1.0], True),  # the first factor is infinite
        ("previous", [-1.0, 5.0], False),
        ("previous", [5.0, -1.0], True),
        ("open", [-9.0], True),
    ],
)
def test_gates(gate: Any, factors: list[float], prunes: bool) -> None:
    policy = BayesFactor(sparsity=0.5, gate=gate, beta=1.2)
    assert math.log(1.2) < 0.2
    assert (policy.decide(made(factors, policy)) is not None) == prunes


def test_the_last_epoch_is_trained_pruned_whatever_the_gate_says() -> None:
    policy = BayesFactor(sparsity=0.5)
    shut = made([-1.0] * 5, policy)
    action = policy.decide(shut)
    assert action == Mask(0.5)
    assert action.warnings == ("the gate was shut to the end: pruned after epoch 5 all the same",)
    regrowing = BayesFactor(sparsity=0.5, hold=False)
    assert regrowing.decide(made([1.0], regrowing)) == Mask(0.5, hold=False)
    assert regrowing.decide(made([1.0] * 5, regrowing)) == Mask(0.5, hold=True)
    free = BayesFactor(sparsity=0.5, hold=False, ends_pruned=False)
    assert free.decide(made([-1.0] * 5, free)) is None
    assert free.decide(made([1.0] * 5, free)) == Mask(0.5, hold=False)


@pytest.mark.parametrize("by", ["magnitude", "random"])
def test_held_weights_stay_zero_through_training_and_a_restart(by: Any) -> None:
    trial = Trial(TASK, BayesFactor(sparsity=0.75, by=by, gate="open"), seed=2)
    trial.step()
    trial.step()
    bits = snapshot.take(trial.training)
    summary = trial.run()
    assert [(epoch, action) for epoch, action in trial.actions] == [(1, Mask(0.75, by))]
    model = trial.training.model
    weights = {name: w for name, w in model.named_parameters() if w.ndim > 1}
    assert all(int((w == 0).sum()) == round(0.75 * w.numel()) for w in weights.values())
    masked = sum(round(0.75 * w.numel()) for w in weights.values())
    assert summary["weight_sparsity"] == masked / sum(p.numel() for p in model.parameters())
    assert summary["sparsity"] == summary["unit_sparsity"] == 0

    again = snapshot.resume(bits, TASK, 2, trial.records[:3])
    while again.epoch_number < TASK.epochs:
        again.epoch()
    for name, value in again.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_weights_that_are_not_held_grow_again_and_are_pruned_anew() -> None:
    trial = Trial(TASK, BayesFactor(sparsity=0.9, gate="open", hold=False, by="random"), seed=2)
    for _ in range(3):
        trial.step()
        assert trial.records[-1].costs["masked"] == 0
    weight = next(w for w in trial.training.model.parameters() if w.ndim > 1)
    assert int((weight == 0).sum()) < 0.9 * weight.numel()
    trial.step()  # the last
    assert int((weight == 0).sum()) == round(0.9 * weight.numel())
    assert [epoch for epoch, _ in trial.actions] == [1, 2, 3]


def test_a_masked_network_loses_no_units() -> None:
    training = Training(TASK)
    training.begin()
    training.apply(Mask(0.5))
    with pytest.raises(ValueError, match="single weights are held at zero"):
        training.pruner.network.remove([0])


def test_an_epoch_is_too_few() -> None:
    with pytest.raises(ValueError, match="1 epoch is not enough"):
        BayesFactor().check(1)
