"""Loops of other people: loss scales, overflows, gradients that are gone, and going on later."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pruning import EPI, AtEpoch, Mask, Policy, Prune, Pruner, Taylor
from pruning.history import History
from pruning.saliency.activation_density import ActivationDensity
from pruning.saliency.feature_taylor import FeatureTaylor

DRAW = torch.Generator().manual_seed(1)
X = torch.randn(64, 3, 8, 8, generator=DRAW)
Y = X.mean((2, 3)).argmax(1)
BOTH = [Taylor(), FeatureTaylor(), ActivationDensity()]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def scores(scales: list[float], unscaled_by_hand: bool, given: bool = True) -> dict[str, Any]:
    """What an epoch of steps whose loss is scaled by these says; weights stay as they are."""
    model = network()
    optimizer = sgd(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=scales[0])
    pruner = Pruner(
        model, optimizer, example_input=X, probes=BOTH, scaler=scaler if given else None
    )
    for step, scale in enumerate(scales):
        scaler.scale(torch.ones(()))
        scaler.update(scale)
        batch = slice(8 * step, 8 * step + 8)
        optimizer.zero_grad()
        scaler.scale(cross_entropy(model(X[batch]), Y[batch])).backward()
        if unscaled_by_hand:
            scaler.unscale_(optimizer)
        before = [p.grad for p in model.parameters()]
        pruner.after_backward()
        assert all(p.grad is g for p, g in zip(model.parameters(), before, strict=True))
    pruner.end_epoch()
    return dict(pruner.records[-1].probes)


@pytest.mark.parametrize("by_hand", [False, True])
def test_scores_do_not_depend_on_the_loss_scale(by_hand: bool) -> None:
    plain = scores([1.0] * 4, by_hand)
    scaled = scores([2.0**8, 2.0**10, 2.0**3, 2.0**5], by_hand)
    for key in plain:
        assert torch.allclose(torch.tensor(scaled[key]), torch.tensor(plain[key]), rtol=1e-4), key


def test_unscaled_by_hand_no_scaler_need_be_given() -> None:
    plain = scores([1.0] * 4, True)["taylor"]
    scaled = scores([2.0**8, 2.0**10, 2.0**3, 2.0**5], True, given=False)["taylor"]
    assert torch.allclose(torch.tensor(scaled), torch.tensor(plain), rtol=1e-4)


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_steps_that_are_not_finite_are_left_out_and_said_once(bad: float) -> None:
    def epochs(spoilt: tuple[int, ...], steps: int) -> Pruner:
        model = network()
        pruner = Pruner(model, sgd(model), example_input=X, probes=BOTH)
        for _ in range(2):
            for step in range(steps):
                model.zero_grad()
                batch = slice(8 * step, 8 * step + 8)
                loss = cross_entropy(model(X[batch]), Y[batch])
                (loss * bad if step in spoilt else loss).backward()
                pruner.after_backward()
            pruner.end_epoch()
        return pruner

    with pytest.warns(UserWarning, match="not finite") as said:
        spoilt = epochs((2, 3), 4)
    told = [str(one.message) for one in said]
    assert len(told) == 1
    assert told[0].startswith("the gradients of 2 of 4 steps of epoch 1 were not finite")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = epochs((), 2)
    for key, values in whole.records[-1].probes.items():
        assert torch.equal(torch.tensor(values), torch.tensor(spoilt.records[-1].probes[key])), key


def test_where_no_step_was_finite_nothing_is_cut() -> None:
    model = network()
    policy = AtEpoch(epoch=1, ratio=0.5, saliency="taylor")
    pruner = Pruner(model, sgd(model), policy, example_input=X, epochs=2)
    (cross_entropy(model(X), Y) * torch.inf).backward()
    pruner.after_backward()
    with (
        pytest.warns(UserWarning, match="1 of 1 steps"),
        pytest.raises(ValueError, match="taylor was not measured in epoch 1"),
    ):
        pruner.end_epoch()
    assert model[0].out_channels == 16


def test_no_gradient_at_all_is_an_error_where_one_is_needed() -> None:
    model = network()
    pruner = Pruner(model, sgd(model), example_input=X, probes=[Taylor()])
    cross_entropy(model(X), Y).backward()
    model.zero_grad()
    with pytest.raises(
        RuntimeError, match=r"call after_backward\(\) after loss.backward\(\) and b"
    ):
        pruner.after_backward()
    calm = Pruner(network(), None, example_input=X, probes=[ActivationDensity()])
    calm.after_backward()


def test_gradients_that_are_zero_tie_and_that_is_said() -> None:
    model = network()
    policy = AtEpoch(epoch=1, ratio=0.5, saliency="taylor")
    pruner = Pruner(model, sgd(model), policy, example_input=X, epochs=2)
    cross_entropy(model(X), Y).backward()
    model.zero_grad(set_to_none=False)
    pruner.after_backward()
    with pytest.warns(UserWarning, match="taylor was the same for all units: which went is chance"):
        pruner.end_epoch()


class Holding(Policy):
    """Masks half of the weights after its first epoch."""

    name = "holding"

    def decide(self, history: History) -> Mask | None:
        return Mask(0.5) if history.epoch == 1 else None


POLICIES = {
    "epi": EPI(ratio=0.5, saliency="taylor", window=1, threshold=0.5, earliest=2),
    "at 2": AtEpoch(epoch=2, ratio=0.5, saliency="feature_taylor"),
    "at 0": AtEpoch(epoch=0, ratio=0.5, saliency="magnitude"),
    "mask": Holding(),
}


class Loop:
    """A loop of its own, with AdamW, an average, and batches drawn from the number of the step."""

    def __init__(self, policy: Policy, saved: bytes | None = None) -> None:
        self.model = network()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01)
        average = get_ema_multi_avg_fn(0.9)
        self.average = AveragedModel(self.model, multi_avg_fn=average, use_buffers=True)
        self.pruner = Pruner(
            self.model, self.optimizer, policy, example_input=X, epochs=4, probes=[FeatureTaylor()]
        )
        self.pruner.follow(self.average)
        self.step = 0
        if saved is None:
            self.pruner.start()
            return
        kept = torch.load(io.BytesIO(saved), weights_only=True)
        self.step = kept["step"]
        self.pruner.load_state_dict(kept["pruner"])
        for part in ("model", "optimizer", "average"):
            getattr(self, part).load_state_dict(kept[part])

    def saved(self) -> bytes:
        parts = {p: getattr(self, p).state_dict() for p in "model optimizer average pruner".split()}
        file = io.BytesIO()
        torch.save(parts | {"step": self.step}, file)
        return file.getvalue()

    def run(self, until: int) -> Loop:
        while self.step < until:
            draw = torch.Generator().manual_seed(self.step)
            batch = torch.randint(len(X), (16,), generator=draw)
            self.optimizer.zero_grad()
            cross_entropy(self.model(X[batch]), Y[batch]).backward()
            self.pruner.after_backward()
            self.optimizer.step()
            self.average.update_parameters(self.model)
            self.step += 1
            if self.step % 5 == 0:
                self.pruner.end_epoch()
        return self


def bits(loop: Loop) -> dict[str, Tensor]:
    state = {f"model.{n}": t for n, t in loop.model.state_dict().items()}
    state |= {f"average.{n}": t for n, t in loop.average.state_dict().items()}
    for name, parameter in loop.model.named_parameters():
        for key, value in loop.optimizer.state[parameter].items():
            state[f"{key}.{name}"] = value
    for record in loop.pruner.records:
        state |= {f"{record.epoch}.{k}": torch.tensor(v) for k, v in record.probes.items()}
    return state


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("at", [0, 5, 8, 10, 13, 15])
def test_an_own_loop_goes_on_to_the_same_bits(name: str, at: int) -> None:
    whole = Loop(POLICIES[name]).run(20)
    again = Loop(POLICIES[name], Loop(POLICIES[name]).run(at).saved()).run(20)
    assert len(whole.pruner.actions) == 1
    assert again.pruner.actions == whole.pruner.actions
    one, other = bits(whole), bits(again)
    assert one.keys() == other.keys()
    for key in one:
        assert torch.equal(one[key].nan_to_num(-1), other[key].nan_to_num(-1)), key


def test_a_shrunken_network_is_shipped_without_its_optimizer() -> None:
    loop = Loop(POLICIES["at 2"]).run(20)
    kept = torch.load(io.BytesIO(loop.saved()), weights_only=True)
    model = network()
    Pruner(model, None, example_input=X).load_state_dict(kept["pruner"])
    model.load_state_dict(kept["model"])
    assert model[0].out_channels + model[3].out_channels == 16
    assert torch.equal(model.eval()(X), loop.model.eval()(X))


def test_what_is_no_state_of_it_is_refused() -> None:
    loop = Loop(POLICIES["at 2"])
    state = loop.pruner.state_dict()
    with pytest.raises(RuntimeError, match="comes before the first step"):
        loop.pruner.load_state_dict(state)
    other = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 3))
    with pytest.raises(ValueError, match="this state is of another network"):
        Pruner(other, None, example_input=X).load_state_dict(state)


def test_what_follows_begins_anew_and_is_masked_alike() -> None:
    model = network()
    average = AveragedModel(model)
    pruner = Pruner(model, sgd(model), example_input=X)
    pruner.follow(average)
    pruner.start()
    pruner.apply(Mask(0.5))
    assert torch.equal(average.module[0].weight == 0, model[0].weight == 0)
    model = network()
    average = AveragedModel(model)
    pruner = Pruner(model, sgd(model), AtEpoch(epoch=0), example_input=X)
    pruner.follow(average)
    pruner.apply(Prune.of([0, 1], reinit=True))
    for one, other in zip(model.parameters(), average.module.parameters(), strict=True):
        assert torch.equal(one, other)
