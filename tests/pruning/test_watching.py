"""Watching feature maps: Taylor by hand, nothing changed, nothing counted twice, nothing kept."""

from __future__ import annotations

import copy
import gc
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest
import torch
from small_tasks import assert_same_bits, digits_task, state_of
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pruning.meter import Meter
from pruning.policies import Prune
from pruning.pruner import Pruner
from pruning.saliency import ActivationDensity, FeatureTaylor, Saliency
from pruning.saliency.watching import Watcher, _Waiting
from pruning.structure.aside import Sample, untouched
from pruning.structure.feature_maps import unwatched
from pruning.structure.network import Network
from pruning.training.loop import Training
from pruning.training.models import small_cnn, small_resnet

BOTH = [ActivationDensity(), FeatureTaylor()]
X = torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(1))
Y = torch.arange(6) % 3


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return small_cnn((2, 8, 8), 3, widths=(4, 6), pool_after=(0,), hidden=(5,))


@pytest.fixture
def network(model: nn.Module) -> Network:
    return Network(model, X[:2])


@pytest.fixture
def watcher(network: Network) -> Iterator[Watcher]:
    watcher = Watcher(network, BOTH, Meter())
    yield watcher
    watcher.close()


def taylor_by_hand(model: nn.Module, x: Tensor, y: Tensor, after: type[nn.Module]) -> list[Tensor]:
    """|mean over positions of a * dL/da|, mean over the batch, behind each of these modules."""
    twin = copy.deepcopy(model)
    maps: list[Tensor] = []
    for module in twin.modules():
        if isinstance(module, after):
            module.register_forward_hook(lambda _, __, out: maps.append(out))
    gradients = torch.autograd.grad(cross_entropy(twin(x), y), maps)
    products = [a.detach() * g for a, g in zip(maps, gradients, strict=True)]
    return [(p.flatten(2).mean(2) if p.dim() > 2 else p).abs().mean(0) for p in products]


def test_taylor_against_autograd(model: nn.Module, network: Network, watcher: Watcher) -> None:
    for gone in ([], [1, 4, 12]):
        network.remove(gone)
        by_hand = torch.cat(taylor_by_hand(model, X, Y, nn.ReLU))
        cross_entropy(model(X), Y).backward()
        found = watcher.take("feature_taylor")
        assert found is not None
        assert found.tolist() == pytest.approx(by_hand.tolist())
        assert found.max() > 0


def test_taylor_of_a_residual_stage_is_the_mean_over_its_maps() -> None:
    model = small_resnet((2, 8, 8), 3, widths=(4,), blocks=1)
    network = Network(model, X[:2])
    watcher = Watcher(network, [FeatureTaylor()], Meter())
    maps: list[Tensor] = []
    model[2].register_forward_hook(lambda _, __, out: maps.append(out))
    model[3].register_forward_hook(lambda _, __, out: maps.append(out))
    loss = cross_entropy(model(X), Y)
    gradients = torch.autograd.grad(loss, maps, retain_graph=True)
    sites = [(a * g).mean((2, 3)).abs().mean(0) for a, g in zip(maps, gradients, strict=True)]
    watcher.take("feature_taylor")
    loss.backward()  # again through the same graph: the maps were let go
    assert watcher.take("feature_taylor") is None
    cross_entropy(model(X), Y).backward()
    found = watcher.take("feature_taylor")
    assert found is not None
    by_hand = torch.stack(sites).mean(0)
    assert found[:4].tolist() == pytest.approx(by_hand.tolist())


def test_a_map_that_is_overwritten_later_counts_as_it_was() -> None:
    """As in torchvision's MobileNetV3: the dropout behind an activation is in place."""
    layers = (nn.Linear(4, 6), nn.Hardswish(), nn.Dropout(0.5, inplace=True), nn.Linear(6, 3))
    model = nn.Sequential(*layers)
    network = Network(model, torch.zeros(2, 4))
    watcher = Watcher(network, [FeatureTaylor()], Meter())
    x = torch.randn(5, 4)
    before: list[Tensor] = []
    model[1].register_forward_hook(lambda _, __, out: before.append(out.detach().clone()))
    model[1].register_forward_hook(lambda _, __, out: out.register_hook(before.append) and None)
    cross_entropy(model(x), torch.arange(5) % 3).backward()
    activation, gradient = before
    found = watcher.take("feature_taylor")
    assert found is not None
    assert found.tolist() == pytest.approx((activation * gradient).abs().mean(0).tolist())


def test_a_map_that_is_overwritten_through_a_view_is_an_error() -> None:
    class Viewing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            hidden = nn.functional.hardswish(self.one(x))
            hidden.view(-1).mul_(2)
            return self.other(hidden)  # type: ignore[no-any-return]

    network = Network(Viewing(), torch.zeros(2, 4))
    watcher = Watcher(network, [FeatureTaylor()], Meter())
    with pytest.raises(RuntimeError, match="changed in place through a view"):
        network.model(torch.randn(3, 4)).sum().backward()
    watcher.close()


def test_the_mean_is_over_all_forward_passes_since_it_was_taken(
    model: nn.Module, watcher: Watcher
) -> None:
    """Two passes before one backward, one with a backward of its own."""
    model.eval()
    model(X)  # no training
    model.train()
    expected = []
    for batches in ((X, X + 1), (2 * X,)):
        losses = []
        for x in batches:
            expected.append(torch.cat(taylor_by_hand(model, x, Y, nn.ReLU)))
            losses.append(cross_entropy(model(x), Y))
        sum(losses).backward()  # type: ignore[union-attr]
    found = watcher.take("feature_taylor")
    assert found is not None
    assert found.tolist() == pytest.approx(torch.stack(expected).mean(0).tolist())
    assert watcher.take("feature_taylor") is None
    assert watcher.take("activation_density") is not None


def test_passes_aside_are_not_counted(model: nn.Module, watcher: Watcher) -> None:
    with unwatched(), untouched(model):
        cross_entropy(model(X), Y).backward()
    model.eval()
    cross_entropy(model(X), Y).backward()
    model.train()
    with torch.no_grad():
        model(X)
    cross_entropy(copy.deepcopy(model)(X), Y).backward()
    assert [watcher.take(probe.key) for probe in BOTH] == [None, None]


def test_a_failed_pass_leaves_no_trace(model: nn.Module, watcher: Watcher) -> None:
    def interrupt(*_: object) -> None:
        raise error

    hook = model[3].register_forward_pre_hook(interrupt)
    depth = torch._C._len_torch_function_stack()
    error: BaseException = ValueError("a bad batch")
    with pytest.raises(ValueError, match="a bad batch"):
        model(X)
    assert torch._C._len_torch_function_stack() == depth
    error = KeyboardInterrupt()  # torch calls no hook then
    with pytest.raises(KeyboardInterrupt):
        model(X)
    hook.remove()
    model(X)
    model.eval()
    one = watcher.take("activation_density")
    model(X)
    assert watcher.take("activation_density") is None
    assert one is not None
    while torch._C._len_torch_function_stack() > depth:
        torch.overrides._pop_mode()


def test_nothing_of_a_pass_is_kept(model: nn.Module, watcher: Watcher) -> None:
    def held() -> list[_Waiting]:
        found = (one for one in gc.get_objects() if type(one) is _Waiting)
        return [one for one in found if one._held is not None]

    gc.collect()
    gc.disable()
    try:
        loss = cross_entropy(model(X), Y)
        assert len(held()) == 3
        loss.backward()
        assert held() == []
        loss = cross_entropy(model(X), Y)
        assert len(held()) == 3
        del loss  # without a backward pass
        assert held() == []
    finally:
        gc.enable()


def test_close_takes_all_hooks_off(model: nn.Module, network: Network) -> None:
    def hooks() -> int:
        return len(model._forward_hooks) + len(model._forward_pre_hooks)

    watcher = Watcher(network, BOTH, Meter())
    assert hooks() == 2
    watcher.close()
    assert hooks() == 0
    assert not model._forward_hooks_always_called
    model(X)
    assert watcher.take("activation_density") is None


def test_time_is_charged_to_the_probe(model: nn.Module, network: Network) -> None:
    meter = Meter()
    watcher = Watcher(network, BOTH, meter)
    cross_entropy(model(X), Y).backward()
    watcher.close()
    assert {"probe:activation_density", "probe:feature_taylor"} == set(meter.take())


def test_half_precision(model: nn.Module, network: Network, watcher: Watcher) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        out = model(X)
    cross_entropy(out.float(), Y).backward()
    density, taylor = (watcher.take(probe.key) for probe in BOTH)
    assert density is not None
    assert taylor is not None
    assert density.dtype == taylor.dtype == torch.float32
    by_hand = torch.cat(taylor_by_hand(model, X, Y, nn.ReLU))
    assert torch.corrcoef(torch.stack([taylor, by_hand]))[0, 1] > 0.98


def trained(probes: list[Saliency], **changes: object) -> Training:
    training = Training(digits_task(epochs=3, **changes), 1, probes)
    training.begin()
    training.epoch()
    training.apply(Prune.of([0, 5, 9, 19]))
    training.epoch()
    training.epoch()
    return training


@pytest.mark.parametrize(
    "changes",
    [{}, {"model": {"name": "small_resnet", "options": {"widths": [8, 12]}}}],
    ids=["cnn with dropout", "resnet"],
)
def test_a_training_that_is_watched_has_the_bits_of_one_that_is_not(
    changes: dict[str, object],
) -> None:
    watched, plain = trained([*BOTH], **changes), trained([], **changes)
    assert_same_bits(state_of(watched), state_of(plain))
    again = trained([*BOTH], **changes)
    for one, other, same in zip(
        watched.pruner.records, plain.pruner.records, again.pruner.records, strict=True
    ):
        assert (one.metrics, one.test, one.costs) == (other.metrics, other.test, other.costs)
        assert set(one.probes) == {"activation_density", "feature_taylor"}
        for key, values in one.probes.items():
            assert np.array_equal(np.isfinite(values), one.alive)
            assert np.array_equal(values, same.probes[key], equal_nan=True)
        density = one.probes["activation_density"][one.alive]
        assert ((density >= 0) & (density <= 1)).all()


def test_gradients_and_random_states_are_as_without(model: nn.Module, watcher: Watcher) -> None:
    twin = copy.deepcopy(model)
    twin._forward_hooks.clear()
    twin._forward_pre_hooks.clear()
    torch.manual_seed(5)
    cross_entropy(model(X), Y).backward()
    state = torch.get_rng_state()
    torch.manual_seed(5)
    cross_entropy(twin(X), Y).backward()
    assert torch.equal(state, torch.get_rng_state())
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)


def test_the_untrained_networks_gradients_count(model: nn.Module) -> None:
    sample = Sample(lambda: [(X, Y)], lambda net, batch: cross_entropy(net(batch[0]), batch[1]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pruner = Pruner(model, optimizer, example_input=X[:2], probes=BOTH, sample=sample)
    for record, x in enumerate((X, X + 1)):
        by_hand = torch.cat(taylor_by_hand(model, x, Y, nn.ReLU))
        if record == 0:
            pruner.start()
        else:
            cross_entropy(model(x), Y).backward()
            pruner.after_backward()
            pruner.end_epoch()
        found = pruner.records[record].probes["feature_taylor"]
        assert found.tolist() == pytest.approx(by_hand.tolist())


class Aside(Saliency):
    """Trains the network a little, in the middle of everything."""

    name: ClassVar[str] = "aside"

    def score(self, network: Network, seed: int) -> Tensor:
        with untouched(network.model), torch.enable_grad():
            network.model.train()
            network.model(100 * X).sum().backward()
        return torch.zeros(len(network.alive_ids))


class AsideEachStep(Aside):
    """The same after every backward pass."""

    name: ClassVar[str] = "aside_each_step"
    per_step: ClassVar[bool] = True


def test_what_other_probes_run_does_not_count(model: nn.Module) -> None:
    """And in a loop that calls nothing but ``end_epoch`` the first epoch is the first."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    others = [Aside(), AsideEachStep()]
    pruner = Pruner(model, optimizer, example_input=X[:2], probes=[*others, *BOTH])
    for epoch in range(2):
        by_hand = torch.cat(taylor_by_hand(model, X + epoch, Y, nn.ReLU))
        cross_entropy(model(X + epoch), Y).backward()
        if epoch:
            pruner.after_backward()
        optimizer.step()
        pruner.end_epoch()
        found = pruner.records[-1].probes["feature_taylor"]
        assert found.tolist() == pytest.approx(by_hand.tolist())
    assert set(pruner.records[0].probes) == {"aside"}
