"""A training on the device: half precision, channels last, pruned, stopped and continued.

The same tests run on the CPU everywhere, and on CUDA where there is one (`make bench-gpu`).
"""

from __future__ import annotations

import copy
import os
from typing import Any

import numpy as np
import pytest
import torch
from small_tasks import ADAMW, SGD, assert_same_bits, digits_task, dropout_cnn, state_of
from torch import nn
from torch.nn.functional import cross_entropy

from pruning import EPI, AtEpoch, Pruner, Saliency, saliency
from pruning.history import Record
from pruning.meter import Meter
from pruning.structure.aside import Sample
from pruning.structure.network import Network
from pruning.training import snapshot
from pruning.training.trial import Trial

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used

HAS_CUDA = torch.cuda.is_available()
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not HAS_CUDA, reason="needs a CUDA device")],
    ),
]
SALIENCIES: list[Saliency] = [
    saliency("magnitude"),
    saliency("taylor"),
    saliency("batch_norm_scale"),
    saliency("random"),
]

pytestmark = pytest.mark.parametrize("device", DEVICES)


def half_precision(**changes: Any) -> Any:
    settings: dict[str, Any] = {
        "model": {"name": "small_tasks:dropout_cnn"},
        "precision": "bf16",
        "channels_last": True,
    }
    return digits_task(**(settings | changes))


@pytest.mark.parametrize("optimizer", [SGD, ADAMW], ids=["sgd", "adamw"])
@pytest.mark.parametrize("stop", [1, 3])
def test_bf16_channels_last_pruned_stopped_and_continued(
    device: str, optimizer: dict[str, Any], stop: int
) -> None:
    task = half_precision(optimizer=optimizer)
    policy = AtEpoch(epoch=2, ratio=0.5, saliency="taylor")
    whole = Trial(task, policy, 3, device)
    summary = whole.run()
    assert whole.training.model[0].weight.device.type == device
    assert summary["prune_epochs"] == [2]
    assert summary["unit_sparsity"] == 0.5
    assert np.isfinite(whole.records[-1].metrics["train_loss"])

    begun = Trial(task, policy, 3, device)
    for _ in range(stop):
        begun.step()
    data = snapshot.take(begun.training)
    records = tuple(Record.from_bytes(record.to_bytes()) for record in begun.records)
    resumed = Trial(task, policy, 3, device, data, records)
    optimizer_state = next(iter(resumed.training.optimizers[0].state.values()))
    assert any(value.device.type == device for value in optimizer_state.values())
    resumed.run()
    assert_same_bits(state_of(resumed.training), state_of(whole.training))
    for one, other in zip(resumed.records, whole.records, strict=True):
        assert (one.metrics, one.test, one.costs) == (other.metrics, other.test, other.costs)


def test_channels_last_survives_the_cut(device: str) -> None:
    trial = Trial(half_precision(epochs=2), AtEpoch(epoch=1, ratio=0.5), 0, device)
    trial.run()
    weight = trial.training.model[4].weight
    assert weight.shape[0] < 12
    assert weight.is_contiguous(memory_format=torch.channels_last)
    momentum = trial.training.optimizers[0].state[weight]["momentum_buffer"]
    assert momentum.is_contiguous(memory_format=torch.channels_last)


def test_two_runs_have_the_same_bits(device: str) -> None:
    trials = []
    for _ in range(2):
        trials.append(Trial(half_precision(epochs=2), AtEpoch(epoch=1), 1, device))
        trials[-1].run()
    assert_same_bits(*(state_of(trial.training) for trial in trials))


def test_it_learns(device: str) -> None:
    """In single precision, without channels last, the data whole, the network pruned by EPI."""
    options = {"widths": [8, 16, 16], "pool_after": [0, 1]}
    model = {"name": "small_cnn", "options": options}
    task = digits_task(model=model, augment={}, data="digits", epochs=6)
    policy = EPI(ratio=0.3, window=1, threshold=0.5)
    summary = Trial(task, policy, 0, device).run()
    assert len(summary["prune_epochs"]) == 1
    assert summary["test_accuracy"] > 0.8


def test_measuring_changes_nothing(device: str) -> None:
    ends = []
    for probes in (SALIENCIES, []):
        torch.manual_seed(0)
        model = dropout_cnn((1, 8, 8), 10, dropout=0).to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        x, y = torch.randn(32, 1, 8, 8).to(device), (torch.arange(32) % 10).to(device)
        sample = Sample(lambda: [(x, y)], lambda net, batch: cross_entropy(net(batch[0]), batch[1]))  # noqa: B023
        pruner = Pruner(model, optimizer, example_input=x[:2], sample=sample, probes=probes)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            pruner.start()
            for _ in range(3):
                cross_entropy(model(x), y).backward()
                pruner.after_backward()
                optimizer.step()
                optimizer.zero_grad()
                pruner.end_epoch()
        finally:
            torch.use_deterministic_algorithms(False)
        assert set(pruner.records[-1].probes) == {probe.key for probe in probes}
        assert all(np.isfinite(values).all() for values in pruner.records[-1].probes.values())
        ends.append({name: value.cpu() for name, value in model.state_dict().items()})
    assert_same_bits(*ends)


def test_saliencies_agree_with_the_cpus(device: str) -> None:
    torch.manual_seed(0)
    model = dropout_cnn((1, 8, 8), 10, dropout=0).double()
    x, y = torch.randn(16, 1, 8, 8, dtype=torch.float64), torch.arange(16) % 10
    scores = []
    for where in ("cpu", device):
        moved = copy.deepcopy(model).to(where)
        network = Network(moved, x[:2].to(where))
        network.remove([1, 11])
        cross_entropy(moved(x.to(where)), y.to(where)).backward()
        scores.append([one.score(network, 5).detach().double().cpu() for one in SALIENCIES])
    for here, there in zip(*scores, strict=True):
        torch.testing.assert_close(here, there, rtol=1e-5, atol=1e-9)


def test_a_network_shrinks_on_the_device_as_on_the_cpu(device: str) -> None:
    torch.manual_seed(0)
    model = dropout_cnn((1, 8, 8), 10, dropout=0)
    x, y = torch.randn(16, 1, 8, 8), torch.arange(16) % 10
    here, there = model, copy.deepcopy(model).to(device)
    networks: list[Network] = []
    for net, where in ((here, "cpu"), (there, device)):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        cross_entropy(net(x.to(where)), y.to(where)).backward()
        for parameter in net.parameters():
            parameter.grad = torch.ones_like(parameter)  # the same to the bit on both
        optimizer.step()
        networks.append(Network(net, x[:2].to(where), optimizer))
    for net, copied in ((here, there),):
        copied.load_state_dict(net.state_dict())
    for network in networks:
        network.remove([0, 2, 7, 8, 19])
    assert networks[0].cost() == networks[1].cost()
    assert next(there.parameters()).device.type == device
    assert shapes(here) == shapes(there)
    for (name, one), other in zip(here.named_parameters(), there.parameters(), strict=True):
        assert torch.equal(one.detach().cpu(), other.detach().cpu()), name
        momenta = [
            network.optimizers[0].state[parameter]["momentum_buffer"].cpu()
            for network, parameter in zip(networks, (one, other), strict=True)
            if network.optimizers
        ]
        assert torch.equal(*momenta)
    assert there(x.to(device)).shape == (16, 10)


def test_seconds_are_accounted_for(device: str) -> None:
    meter = Meter(device)
    with meter.section("train"):
        value = torch.randn(200, 200, device=device)
        for _ in range(3):
            value = value @ value / 200
            with meter.section("probe:one"):
                value.square().sum()
    seconds = meter.take()
    assert set(seconds) == {"train", "probe:one"}
    assert all(spent > 0 for spent in seconds.values())
    assert meter.take() == {}


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}
