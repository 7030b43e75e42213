"""The few lines in somebody else's loop, on a small real task; and that ours is the same loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from sklearn.datasets import load_digits
from small_tasks import assert_same_bits, digits_task, state_of
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pruning import EPI, AtEpoch, Policy, Pruner, Taylor
from pruning.structure.aside import Sample
from pruning.structure.units import UntraceableError
from pruning.training.loop import open_data, open_model
from pruning.training.models import small_mlp
from pruning.training.trial import Trial


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    found = load_digits()
    x = torch.from_numpy(found.images).float().unsqueeze(1) / 16 - 0.5
    return x[:600], torch.from_numpy(found.target).long()[:600]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 10),
    )


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        right = (model(x).argmax(1) == y).float().mean().item()
    model.train()
    return right


@pytest.mark.parametrize(
    "optimize",
    [partial(torch.optim.SGD, lr=0.05, momentum=0.9), partial(torch.optim.AdamW, lr=0.02)],
    ids=["sgd", "adamw"],
)
def test_the_loop_of_the_readme(
    digits: tuple[Tensor, Tensor], optimize: Callable[..., torch.optim.Optimizer]
) -> None:
    inputs, labels = digits
    model = network()
    optimizer = optimize(model.parameters())
    first, size = model[0].weight, sum(p.numel() for p in model.parameters())
    policy = EPI(ratio=0.5, saliency="taylor", window=2, threshold=0.8)
    x = inputs[:2]

    pruner = Pruner(model, optimizer, policy, example_input=x)
    loader = [(inputs[i : i + 30], labels[i : i + 30]) for i in range(0, 480, 30)]
    pruned_at = []
    for epoch in range(16):
        for x, y in loader:
            loss = cross_entropy(model(x), y)
            loss.backward()
            pruner.after_backward()
            optimizer.step()
            optimizer.zero_grad()
        if pruner.end_epoch():
            pruned_at.append(epoch + 1)
            at_the_cut = [parameter.detach().clone() for parameter in model.parameters()]

    assert len(pruned_at) == 1
    assert 3 <= pruned_at[0] < 12  # no value before two epochs and the one compared
    assert [at for at, _ in pruner.actions] == pruned_at
    assert sum(p.numel() for p in model.parameters()) < 0.6 * size
    assert pruner.network.unit_sparsity == 0.5
    assert model[0].out_channels == model[0].weight.shape[0] == model[4].in_channels
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert [id(p) for p in held] == [id(p) for p in model.parameters()]
    assert first is model[0].weight
    for parameter, before in zip(model.parameters(), at_the_cut, strict=True):
        if parameter.ndim > 1:  # a bias under a batch norm has no gradient
            assert not torch.equal(parameter, before)
        for value in optimizer.state[parameter].values():
            assert value is None or value.ndim == 0 or value.shape == parameter.shape
    assert accuracy(model, inputs[480:], labels[480:]) > 0.4  # chance is 0.1
    assert [record.epoch for record in pruner.records] == list(range(17))
    assert "taylor" not in pruner.records[0].probes
    assert pruner.records[-1].costs["macs"] < pruner.records[0].costs["macs"]


@pytest.mark.parametrize("saliency", ["magnitude", "taylor", "batch_norm_scale", "random"])
def test_start_prunes_before_training(digits: tuple[Tensor, Tensor], saliency: str) -> None:
    x, y = digits
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    policy = AtEpoch(epoch=0, ratio=0.5, saliency=saliency)
    sample = Sample(
        lambda: [(x[:64], y[:64]), (x[64:128], y[64:128])],
        lambda net, batch: cross_entropy(net(batch[0]), batch[1]),
    )
    pruner = Pruner(model, optimizer, policy, example_input=x[:2], sample=sample)
    action = pruner.start()
    assert action is not None
    assert len(action.units) == 18
    assert model[0].out_channels + model[4].out_channels == 18
    cross_entropy(model(x[:64]), y[:64]).backward()
    pruner.after_backward()
    optimizer.step()
    assert pruner.end_epoch({"loss": 1.0}) is None
    assert pruner.records[1].metrics == {"loss": 1.0}
    assert int(pruner.records[1].alive.sum()) == 18


def test_start_without_batches_cannot_rank_by_gradients(digits: tuple[Tensor, Tensor]) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    policy = AtEpoch(epoch=0, saliency="taylor")
    pruner = Pruner(model, optimizer, policy, example_input=digits[0][:2])
    with pytest.raises(
        ValueError, match=r"taylor was not measured in epoch 0; .* give the Pruner a sample"
    ):
        pruner.start()


def test_start_comes_once(digits: tuple[Tensor, Tensor]) -> None:
    model = network()
    pruner = Pruner(model, torch.optim.SGD(model.parameters(), lr=0.1), example_input=digits[0][:2])
    assert pruner.start() is None
    with pytest.raises(RuntimeError, match=r"start\(\) comes before the first step"):
        pruner.start()


def test_batch_norm_scale_without_batch_norm_is_refused(digits: tuple[Tensor, Tensor]) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    policy = AtEpoch(epoch=0, saliency="batch_norm_scale")
    pruner = Pruner(model, optimizer, policy, example_input=digits[0][:2])
    with pytest.raises(ValueError, match="needs a batch norm after every prunable layer; '1' has"):
        pruner.start()


def test_what_cannot_be_pruned_is_refused(digits: tuple[Tensor, Tensor]) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(UntraceableError) as error:
        Pruner(model, optimizer, example_input=digits[0][:2])
    assert "\n" not in str(error.value)


def test_protected_layers_stay_whole(digits: tuple[Tensor, Tensor]) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    policy = AtEpoch(epoch=0, ratio=0.5)
    pruner = Pruner(model, optimizer, policy, example_input=digits[0][:2], protect=["0"])
    pruner.start()
    assert (model[0].out_channels, model[4].out_channels) == (12, 12)


def test_probes_beside_the_policys(digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pruner = Pruner(model, optimizer, AtEpoch(epoch=9), example_input=x[:2], probes=[Taylor()])
    cross_entropy(model(x[:32]), y[:32]).backward()
    pruner.after_backward()
    pruner.end_epoch()
    assert set(pruner.records[1].probes) == {"magnitude", "taylor"}
    assert pruner.records[1].seconds["probe:taylor"] > 0


@pytest.mark.parametrize(
    "policy",
    [
        AtEpoch(epoch=0, saliency="taylor"),
        AtEpoch(epoch=1, saliency="taylor"),
        EPI(window=1, threshold=0.5),
    ],
    ids=["before", "after one", "epi"],
)
def test_our_own_training_is_this_loop(policy: Policy) -> None:
    model_spec = {"name": "small_cnn", "options": {"widths": [8, 8], "pool_after": [0]}}
    task = digits_task(model=model_spec, schedule={"name": "constant"}, epochs=3)
    trial = Trial(task, policy, seed=5)
    trial.run()

    data = open_data(task, torch.device("cpu"))
    model = open_model(task, data, seed=5).train()
    optimizer = task.optimizer.build(model)

    def loss_of(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return cross_entropy(net(batch[0]), batch[1], label_smoothing=0.1)

    x = torch.zeros(2, 1, 8, 8)
    sample = Sample(lambda: data.train.shuffled(32, 5, 0), loss_of)
    pruner = Pruner(model, optimizer, policy, example_input=x, epochs=3, seed=5, sample=sample)
    pruner.start()
    for epoch in range(3):
        for batch in data.train.shuffled(32, 5, epoch):
            loss_of(model, batch).backward()
            pruner.after_backward()
            optimizer.step()
            optimizer.zero_grad()
        pruner.end_epoch()

    assert trial.actions == pruner.actions
    assert len(pruner.actions) == 1
    by_hand = {f"model.{name}": value for name, value in model.state_dict().items()}
    ours = {name: value for name, value in state_of(trial.training).items() if name in by_hand}
    assert_same_bits(ours, by_hand)


def test_pruning_before_training_asks_for_start() -> None:
    model = small_mlp((4,), 2, hidden=(8,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pruner = Pruner(model, optimizer, AtEpoch(epoch=0), example_input=torch.zeros(2, 4))
    model(torch.ones(2, 4)).sum().backward()
    with pytest.raises(RuntimeError, match=r"call start\(\)"):
        pruner.after_backward()
