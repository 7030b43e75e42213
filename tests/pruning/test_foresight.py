"""Pruning before training: SynFlow's rounds by hand, and all of it on real networks."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from small_tasks import assert_same_bits, digits_task, dropout_cnn
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pruning import policy as parse
from pruning.policies import AtEpoch, Grasp, Policy, Snip, Synflow
from pruning.pruner import Pruner
from pruning.saliency import Probe, WeightChange
from pruning.saliency import saliency as named
from pruning.saliency.flow import Flow
from pruning.saliency.synflow import Synflow as Score
from pruning.saliency.synflow import spare, weakest_first
from pruning.structure.aside import Sample
from pruning.structure.network import Network
from pruning.training.models import small_cnn, small_mlp, small_resnet
from pruning.training.trial import Trial

# SynFlow


def test_the_flow_by_hand() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -2.0], [-3.0, 0.5]]))
        model[2].weight.copy_(torch.tensor([[-4.0, 5.0]]))
    network = Network(model, torch.zeros(1, 2))
    assert Flow(network).through().tolist() == [(1 + 2) * 4, (3 + 0.5) * 5]


def test_biases_carry_flow_too() -> None:
    model = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -2.0]]))
        model[0].bias.copy_(torch.tensor([-0.25]))
        model[2].weight.copy_(torch.tensor([[-4.0]]))
    assert Flow(Network(model, torch.zeros(1, 2))).through().tolist() == [3.25 * 4]


@pytest.mark.parametrize("batch_norm", [True, False])
def test_every_layer_carries_the_whole_flow(batch_norm: bool) -> None:
    """Tanaka et al., theorem 2, where no layer is passed by; norms of any state are identities."""
    torch.manual_seed(0)
    model = small_cnn((1, 8, 8), 10, widths=(6, 5, 7), pool_after=(), batch_norm=batch_norm)
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if value.ndim == 1:
                value.uniform_(0.5, 2)  # means, variances, scales
            if name.endswith("bias"):
                value.zero_()
    network = Network(model, torch.zeros(2, 1, 8, 8))
    flow = Flow(network)
    whole = [part.sum() for part in network.layout.split(flow.through()).values()]
    assert whole == pytest.approx([whole[0]] * 3, rel=1e-9)
    out = flow._twin(torch.ones(1, 1, 8, 8, dtype=torch.float64)).sum().item()
    head = float(model[-1].bias.detach().abs().sum())
    assert whole[0] == pytest.approx(out - head, rel=1e-9)


@pytest.mark.parametrize("make", [small_cnn, small_resnet, small_mlp])
def test_a_silent_unit_is_as_a_removed_one(make: Any) -> None:
    torch.manual_seed(0)
    model = make((1, 8, 8), 10)
    network = Network(model, torch.zeros(2, 1, 8, 8))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-1, 1)
    network.remove([3, 8])
    units = np.array([0, 7, 12, 20, network.alive_ids.size - 1])
    flow = Flow(network)
    flow.silence(units)
    silent = flow.through()
    assert silent[units].tolist() == [0] * 5
    network.remove(network.alive_ids[units])
    assert np.delete(silent, units) == pytest.approx(Flow(network).through(), rel=1e-9)


def test_the_rounds_by_hand() -> None:
    """Eight units in one layer: a half is left after two rounds, whose flows are their weights."""
    model = nn.Sequential(nn.Linear(1, 8, bias=False), nn.ReLU(), nn.Linear(8, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([3.0, 1, 8, 2, 7, 4, 6, 5]).reshape(8, 1))
        model[2].weight.fill_(1)
    network = Network(model, torch.zeros(1, 1))
    found = Score(rounds=2, density=0.5).score(network, 0)
    # 8 * 0.5 ** 0.5 = 5.7, so 6 are left after the first round, 4 after the second
    by_hand = [1.0, 0.0, 2.75, 0.5, 2.5, 1.5, 2.25, 2.0]
    assert found.tolist() == by_hand


def test_a_layer_that_shrinks_gains_on_the_others() -> None:
    """A layer of two units and one of six: what is left carries what went, and is spared."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(1, 6, bias=False), nn.ReLU(), nn.Linear(6, 2, bias=False), nn.ReLU()
    )
    model.append(nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1)
    network = Network(model, torch.zeros(1, 1))
    assert Flow(network).through().tolist() == [2] * 6 + [6] * 2
    found = Score(rounds=6, density=0.2).score(network, 0).tolist()
    assert min(found[6:]) > sorted(found[:6])[2]
    assert max(found[:6]) >= 6  # the last of its layer is there to the end
    assert found[0] == max(found[:6])  # of equals the lower id is kept


def test_the_weakest_first_and_the_last_spared() -> None:
    flow = np.array([5.0, 1.0, 3.0, 3.0, 9.0, 0.0])
    there = np.array([True, True, True, True, True, False])
    order = weakest_first(flow, there)
    assert order.tolist() == [1, 3, 2, 0, 4]
    assert spare(order, np.array([0, 0, 1, 1, 2, 2])).tolist() == [1, 3]
    assert spare(order[-1:], np.array([0, 0, 1, 1, 2, 2])).tolist() == []


@pytest.mark.parametrize("rounds", [1, 3, 40])
@pytest.mark.parametrize("density", [0.01, 0.3])
def test_no_layer_is_ever_emptied(rounds: int, density: float) -> None:
    torch.manual_seed(0)
    model = small_resnet((1, 8, 8), 10)
    network = Network(model, torch.zeros(2, 1, 8, 8))
    with torch.no_grad():
        model[0].weight.mul_(1e-3)
    scores = network.scatter(Score(rounds=rounds, density=density).score(network, 0))
    layout = network.layout
    for floor in range(rounds + 1):
        assert (layout.counts(scores >= floor) >= 1).all()
    share = (scores >= rounds).sum() / layout.total
    assert share <= max(density + 1 / layout.total, len(layout.names) / layout.total)


def test_clipped_activations_let_the_flow_through() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU6(), nn.Linear(5, 5), nn.Hardtanh())
    model.append(nn.Linear(5, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(10)
    assert (Flow(Network(model, torch.zeros(1, 4))).through() > 0).all()


def test_a_norm_by_the_input_is_refused() -> None:
    model = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    network = Network(model, torch.zeros(1, 4))
    for ask in (lambda: Score().score(network, 0), lambda: Score().check(network)):
        with pytest.raises(ValueError, match="synflow cannot follow '0': a LayerNorm takes its"):
            ask()


# All of them

EVERY: list[Probe] = [
    *(named(name) for name in ("snip", "grasp", "gradient_flow")),
    named({"name": "grasp", "statistics": "running"}),
    named({"name": "gradient_flow", "statistics": "batch"}),
    named({"name": "synflow", "rounds": 4}),
    WeightChange(),
]


def sample_of(x: Tensor, y: Tensor) -> Sample:
    return Sample(
        lambda: iter([(x, y), (x.flip(0), y)]), lambda net, b: cross_entropy(net(b[0]), b[1])
    )


@pytest.mark.parametrize("probe", EVERY, ids=lambda probe: probe.key)
def test_measuring_leaves_everything_as_it_was(probe: Probe) -> None:
    torch.manual_seed(3)
    model = dropout_cnn((1, 8, 8), 10).train()
    model[9].eval()
    x, y = torch.randn(16, 1, 8, 8), torch.arange(16) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    pruner = Pruner(model, optimizer, example_input=x, probes=[probe], sample=sample_of(x, y))
    cross_entropy(model(x), y).backward()
    optimizer.step()
    weights, state = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    own = [parameter.grad for parameter in model.parameters()]
    gradients = [gradient.clone() for gradient in own]
    random_state = torch.get_rng_state()
    pruner.start()
    first = pruner.records[0].probes[probe.key]
    assert torch.equal(random_state, torch.get_rng_state())
    assert_same_bits(weights, model.state_dict())
    for parameter, held, gradient in zip(model.parameters(), own, gradients, strict=True):
        assert parameter.grad is held
        assert torch.equal(held, gradient)
    after = optimizer.state_dict()["state"]
    for number, entries in state["state"].items():
        assert torch.equal(after[number]["momentum_buffer"], entries["momentum_buffer"])
    assert [module.training for module in (model, model[1], model[9])] == [True, True, False]
    assert not any(module._forward_hooks for module in model.modules())
    if not probe.per_step:
        torch.rand(5)
        again = pruner.measure().probes[probe.key]
        assert np.array_equal(first, again, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "make", "shape"),
    [
        ("cnn", lambda: small_cnn((1, 8, 8), 10), (1, 8, 8)),
        ("mlp", lambda: small_mlp((1, 8, 8), 10, hidden=(24, 12)), (1, 8, 8)),
        ("resnet18", lambda: torchvision.models.resnet18(num_classes=10), (3, 32, 32)),
        ("mobilenet_v2", lambda: torchvision.models.mobilenet_v2(num_classes=10), (3, 32, 32)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_real_networks_are_measured(name: str, make: Any, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = make()
    x, y = torch.randn(8, *shape), torch.arange(8) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probes = [probe for probe in EVERY if "statistics" not in probe.key or name in ("cnn", "mlp")]
    pruner = Pruner(model, optimizer, example_input=x[:1], probes=probes, sample=sample_of(x, y))
    pruner.start()
    for key, values in pruner.records[0].probes.items():
        assert np.isfinite(values).all()
        if key == "weight_change":
            assert values.tolist() == [0.0]
        else:
            assert len(set(values.tolist())) > len(values) / 3, key


@pytest.mark.parametrize("name", ["snip", "grasp", "synflow"])
def test_a_real_training_begins_small(name: str) -> None:
    policy = parse({"policy": name, "ratio": 0.4})
    trial = Trial(digits_task(epochs=2), policy, seed=2)
    trial.run()
    layout = trial.training.layout
    assert [(epoch, len(action.units)) for epoch, action in trial.actions] == [
        (0, round(0.4 * layout.total))
    ]
    assert trial.records[1].costs["units"] == layout.total - round(0.4 * layout.total)
    scores = trial.records[0].probes[name]
    gone = list(trial.actions[0][1].units)
    best = {int(np.argmax(np.where(layout.group_of == g, scores, -np.inf))) for g in range(4)}
    kept = [unit for unit in range(layout.total) if unit not in gone and unit not in best]
    floor = np.ceil(0.05 * np.asarray(layout.sizes))
    if (layout.counts(trial.records[1].alive) > floor).all():
        assert scores[gone].max() <= scores[kept].min()


def test_synflow_needs_no_data() -> None:
    model = small_mlp((4,), 2, hidden=(8, 6))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    action = Pruner(model, optimizer, Synflow(), example_input=torch.full((2, 4), 9.0)).start()
    assert action is not None
    assert len(action.units) == 7


@pytest.mark.parametrize("policy", [Snip(), Grasp(), AtEpoch(epoch=0, saliency="gradient_flow")])
def test_the_others_do(policy: Policy) -> None:
    model = small_mlp((4,), 2, hidden=(8, 6))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="sample"):
        Pruner(model, optimizer, policy, example_input=torch.zeros(2, 4)).start()


# Weight change


def test_weight_change_by_hand() -> None:
    model = small_mlp((2,), 2, hidden=(2,))
    network = Network(model, torch.zeros(1, 2))
    with pytest.raises(ValueError, match="weight_change needs the untrained weights"):
        WeightChange().score(network, 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(2)
        network.start = {name: p.detach().clone() for name, p in model.named_parameters()}
        model[1].weight[0, 0] = 5  # by 3, of 8 weights of 2
        model[3].weight[1, 1] = -2  # by 4
        model[1].bias.fill_(100)
    found = WeightChange().score(network, 0)
    assert found.tolist() == [pytest.approx(5 / 32**0.5)]
    assert found.dtype == torch.float64
    network.remove([0])
    assert WeightChange().score(network, 0).isnan().tolist() == [True]


def test_the_pruner_keeps_the_untrained_weights_for_it() -> None:
    torch.manual_seed(0)
    model = small_mlp((4,), 2, hidden=(8, 6))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pruner = Pruner(model, optimizer, example_input=torch.zeros(2, 4), probes=[WeightChange()])
    start = [p.detach().clone() for p in model.parameters() if p.ndim > 1]
    pruner.start()
    for _ in range(2):
        cross_entropy(model(torch.ones(2, 4)), torch.tensor([0, 1])).backward()
        optimizer.step()
        pruner.end_epoch()
    now = [p.detach() for p in model.parameters() if p.ndim > 1]
    moved = sum((a - b).double().square().sum() for a, b in zip(start, now, strict=True))
    length = sum(a.double().square().sum() for a in start)
    values = [record.probes["weight_change"].item() for record in pruner.records]
    assert values[0] == 0
    assert 0 < values[1] < values[2] == pytest.approx((moved / length).sqrt().item())
