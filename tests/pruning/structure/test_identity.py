"""What holds a parameter before a cut holds it after: the same object, with fewer entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from networks import Tied
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from pruning.structure.network import Network

X = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
GONE = [0, 1, 8, 9]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.Flatten(),
        nn.Linear(128, 4),
    )


def step(model: nn.Module, *optimizers: torch.optim.Optimizer) -> Tensor:
    model.zero_grad()
    loss = model(X).square().mean()
    loss.backward()
    for one in optimizers:
        one.step()
    return loss


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def test_lists_made_before_hold_the_network() -> None:
    model = network()
    optimizer = sgd(model)
    parameters, buffers = list(model.parameters()), list(model.buffers())
    cut = Network(model, X, optimizer)
    step(model, optimizer)
    cut.remove(GONE)
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    assert all(a is b for a, b in zip(buffers, model.buffers(), strict=True))
    step(model, optimizer)
    whole = nn.utils.get_total_norm([p.grad for p in model.parameters()])  # type: ignore[misc]
    assert nn.utils.clip_grad_norm_(parameters, 1e-3) == whole
    clipped = nn.utils.get_total_norm([p.grad for p in model.parameters()])  # type: ignore[misc]
    assert clipped == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("kept", ["nothing", "the loss", "the graph"])
@pytest.mark.parametrize("kind", ["register_hook", "register_post_accumulate_grad_hook"])
def test_hooks_fire_whatever_is_alive_from_before(kept: str, kind: str) -> None:
    model = network()
    optimizer = sgd(model)
    cut = Network(model, X, optimizer)
    fired: list[Tensor] = []
    for parameter in model.parameters():
        getattr(parameter, kind)(lambda value: fired.append(value) or None)
    loss = model(X).square().mean()
    loss.backward(retain_graph=kept == "the graph")
    alive = loss if kept != "nothing" else None
    del loss
    cut.remove(GONE)
    if alive is not None and kept == "the graph":
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            alive.backward()
    fired.clear()
    step(model, optimizer)
    assert len(fired) == len(list(model.parameters()))
    assert {tuple(t.shape) for t in fired} == {tuple(p.shape) for p in model.parameters()}


def test_marks_and_subclasses_stay() -> None:
    class Tuned(nn.Parameter):
        pass

    model = network()
    model[3].bias = Tuned(model[3].bias.data)
    spared = model[0].weight[2:].detach().clone()
    for parameter in model.parameters():
        parameter.no_decay = parameter.ndim == 1
    model[0].weight.began = model[0].weight.detach().clone()
    model[0].weight.codes, model[0].weight.partner = torch.arange(5), model[3].weight
    Network(model, X, sgd(model)).remove(GONE)
    assert [p.no_decay for p in model.parameters()] == [p.ndim == 1 for p in model.parameters()]
    assert type(model[3].bias) is Tuned
    assert torch.equal(model[0].weight.began, spared)
    assert torch.equal(model[0].weight.codes, torch.arange(5))
    assert model[0].weight.partner is model[3].weight
    assert model[3].weight.shape == (6, 6, 3, 3)


def test_a_scheduler_and_groups_added_later_go_on() -> None:
    model = network()
    optimizer = torch.optim.AdamW([{"params": [model[0].weight, model[0].bias], "lr": 0.1}])
    with pytest.warns(UserWarning, match="6 trainable parameters are in no optimizer"):
        cut = Network(model, X, optimizer)
    optimizer.add_param_group({"params": [*model[1:].parameters()], "lr": 0.01})
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=[0.1, 0.01], total_steps=9)
    for at in range(8):
        if at == 4:
            cut.remove(GONE)
        before = [parameter.detach().clone() for parameter in model.parameters()]
        step(model, optimizer)
        schedule.step()
        pairs = zip(before, model.parameters(), strict=True)
        assert all(not torch.equal(a, b) for a, b in pairs)


def test_several_optimizers_share_a_network() -> None:
    model = network()
    matrices = [p for p in model.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if p.ndim != 2]
    optimizers = [torch.optim.Muon(matrices, lr=0.02), torch.optim.AdamW(rest, lr=0.01)]
    cut = Network(model, X, optimizers)
    step(model, *optimizers)
    cut.remove(GONE)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    step(model, *optimizers)
    pairs = zip(before, model.parameters(), strict=True)
    assert all(not torch.equal(a, b) for a, b in pairs)
    assert optimizers[0].state[model[5].weight]["momentum_buffer"].shape == (4, 96)


@pytest.mark.parametrize("kind", [AveragedModel, "plain", "compiled"])
def test_a_copy_is_cut_alike(kind: Any) -> None:
    model = network()
    average: Any = AveragedModel(model) if kind is AveragedModel else network()
    followed = torch.compile(average, backend="eager") if kind == "compiled" else average
    cut = Network(model, X, sgd(model))
    cut.follow(followed)
    cut.remove(GONE)
    cut.remove([2])
    inner = average.module if kind is AveragedModel else average
    for one, other in zip(model.state_dict().values(), inner.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert inner[0].out_channels == 5
    if kind is AveragedModel:
        average.update_parameters(model)
    assert average(X).shape == (4, 4)


def test_what_is_no_copy_is_refused() -> None:
    model = network()
    cut = Network(model, X, sgd(model))
    with pytest.raises(ValueError, match=r"5\.weight is \(5, 128\) in it and \(4, 128\) in the"):
        cut.follow(nn.Sequential(*network()[:5], nn.Linear(128, 5)))
    with pytest.raises(ValueError, match=r"Linear is no copy: 0\.weight is missing in it"):
        cut.follow(nn.Linear(3, 4))
    with pytest.raises(ValueError, match=r"0\.weight is the model's own"):
        cut.follow(model)
    followed = network()
    cut.follow(followed)
    followed[3] = nn.Conv2d(8, 9, 3)
    before = [parameter.shape for parameter in model.parameters()]
    with pytest.raises(ValueError, match=r"3\.weight is \(9, 8, 3, 3\) in it and \(8, 8, 3, 3\)"):
        cut.remove(GONE)
    assert before == [parameter.shape for parameter in model.parameters()]


def test_optimizers_that_cannot_go_with_the_model() -> None:
    model, other = network(), network()
    with pytest.raises(ValueError, match="SGD holds no parameter of this model"):
        Network(model, X, [sgd(model), sgd(other)])
    with pytest.raises(ValueError, match="LBFGS keeps one flat history"):
        Network(model, X, torch.optim.LBFGS(model.parameters()))
    with pytest.raises(ValueError, match="SparseAdam takes sparse gradients"):
        Network(model, X, torch.optim.SparseAdam(model.parameters()))
    with pytest.raises(TypeError, match="an optimizer, or a list of them, is wanted, not a float"):
        Network(model, X, 0.1)  # type: ignore[arg-type]


class Keeps(torch.optim.Optimizer):
    """Keeps what it is told to of every parameter."""

    def __init__(self, model: nn.Module, kept: Callable[[Tensor], Any]) -> None:
        super().__init__(model.parameters(), {"lr": 0.01})
        for parameter in model.parameters():
            self.state[parameter] = kept(parameter)

    def step(self, closure: Any = None) -> None: ...


SLICED: dict[str, Callable[[Tensor], Any]] = {
    "nested": lambda p: {"a": {"b": [torch.ones_like(p), (torch.zeros_like(p), 3)]}, "c": None},
    "factors": lambda p: {
        "m": [
            p.new_ones([n if d == i else 1 for i, n in enumerate(p.shape)]) for d in range(p.ndim)
        ]
    },
    "twice": lambda p: (lambda t: {"a": t, "b": [t]})(torch.ones_like(p)),
    "one number": lambda p: {"step": torch.zeros(1), "norm": torch.ones([1] * p.ndim)},
}
REFUSED: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "rows": (lambda p: {"row": p.new_ones(p.shape[:-1])}, r"'row' of 0\.weight, \(8, 3, 3\)"),
    "flat": (
        lambda p: {"a": [torch.ones_like(p), p.new_ones(p.numel() + 1)]},
        r"'a.1' of 0\.weight",
    ),
    "object": (lambda p: {"o": object()}, r"'o' of 0\.weight, a object"),
    "square": (
        lambda p: {"q": torch.ones(len(p), len(p))} if p.ndim == 2 else {},
        r"'q' of 5\.weight",
    ),
}


@pytest.mark.parametrize("kind", SLICED)
def test_state_in_containers_is_sliced(kind: str) -> None:
    model = network()
    optimizer = Keeps(model, SLICED[kind])
    Network(model, X, optimizer).remove(GONE)
    fresh = Keeps(model, SLICED[kind])
    for parameter in model.parameters():
        assert_alike(optimizer.state[parameter], fresh.state[parameter])


@pytest.mark.parametrize("kind", REFUSED)
def test_state_that_cannot_be_sliced_is_refused_and_nothing_changed(kind: str) -> None:
    kept, message = REFUSED[kind]
    model = network()
    optimizer = Keeps(model, kept)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=f"optimizer Keeps: state {message}"):
        Network(model, X, optimizer).remove(GONE)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_state_of_a_square_matrix_is_told_from_what_only_looks_like_it() -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    x = torch.randn(2, 3)
    moments = Keeps(model, lambda p: {"m": torch.ones_like(p)})
    Network(model, x, moments).remove([0, 8])
    assert moments.state[model[2].weight]["m"].shape == (7, 7)
    grams = Keeps(model, lambda p: {"m": torch.ones(len(p), len(p))} if p.ndim == 2 else {})
    with pytest.raises(ValueError, match=r"'m' of 0\.weight"):
        Network(model, x, grams).remove([0, 8])


def test_nothing_tells_where_all_matrices_are_square() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    x = torch.randn(2, 8)
    with pytest.raises(ValueError, match=r"'m' of 0\.weight, \(8, 8\)"):
        Network(model, x, Keeps(model, lambda p: {"m": torch.ones_like(p)})).remove([0])
    optimizer = sgd(model)
    model(x).sum().backward()
    optimizer.step()
    Network(model, x, optimizer).remove([0])  # torch's own are known
    assert optimizer.state[model[0].weight]["momentum_buffer"].shape == (7, 8)


@pytest.mark.parametrize("where", ["attribute", "group"])
def test_tensors_beside_the_state_are_refused(where: str) -> None:
    model = network()
    optimizer = Keeps(model, lambda p: {})
    held = {p: torch.ones_like(p) for p in model.parameters()}
    if where == "attribute":
        optimizer.buffers = held
    else:
        optimizer.param_groups[0]["buffers"] = list(held.values())
    with pytest.raises(ValueError, match=r"Keeps keeps 'buffers', .* beside its state"):
        Network(model, X, optimizer).remove(GONE)
    assert model[0].out_channels == 8


def test_a_sparse_gradient_is_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4))
    model[0].weight.grad = torch.ones(8, 3).to_sparse()
    with pytest.raises(ValueError, match=r"the gradient of 0\.weight is a sparse tensor"):
        Network(model, torch.randn(2, 3)).remove([0])


def test_a_cut_in_inference_mode_leaves_a_network_that_trains() -> None:
    model = network()
    optimizer = sgd(model)
    step(model, optimizer)
    cut = Network(model, X, optimizer)
    with torch.inference_mode():
        cut.remove(GONE)
    step(model, optimizer)


def test_tied_parameters_are_cut_once() -> None:
    model = Tied()
    shared = model.one.weight
    network = Network(model, torch.randn(8, 1, 8, 8), sgd(model))
    network.remove([0, 3, 17])
    assert model.two.weight is model.one.weight is shared


def test_a_compiled_network_goes_on() -> None:
    model = network()
    fast: Any = torch.compile(model, backend="aot_eager")
    optimizer = sgd(model)
    cut = Network(model, X, optimizer)
    loss = fast(X).square().mean()
    loss.backward()
    cut.remove(GONE)
    model.zero_grad()
    again = fast(X).square().mean()
    again.backward()
    assert torch.allclose(again, model(X).square().mean())
    assert model[0].weight.grad.shape == (6, 3, 3, 3)


def assert_alike(one: Any, other: Any) -> None:
    """The same containers with tensors of the same values."""
    if isinstance(one, Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_alike(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert type(one) is type(other)
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_alike(a, b)
    else:
        assert one == other
