"""What becomes of every optimizer of torch and of pytorch_optimizer when units go, as a table.

``python tests/pruning/structure/every_optimizer.py`` prints it.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pruning.structure.cut import aligned, leaves
from pruning.structure.network import Network
from pruning.structure.optimizers import states_of

X = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 4
GONE = [0, 3, 8, 12, 20, 21]
STEPS = 3


def network() -> nn.Sequential:
    """Convolutions with a batch norm, a square matrix, and matrices that are not."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 12),
        nn.Tanh(),
        nn.Linear(12, 12),
        nn.Tanh(),
        nn.Linear(12, 4),
    )


def loss_of(model: nn.Module) -> Tensor:
    return nn.functional.cross_entropy(model(X), Y)


Make = Callable[[type[Any], nn.Module], Sequence[Any]]
Step = Callable[[nn.Module, Sequence[Any]], None]


@dataclass(frozen=True)
class Kind:
    """An optimizer, how it is made of a model, and how a step of it is done."""

    name: str
    kind: type[Any]

    @property
    def _own(self) -> str:
        return self.name.rpartition(".")[2]

    def make(self, model: nn.Module) -> Sequence[Any]:
        torch.manual_seed(1)
        return _MADE.get(self._own if self.name != "torch.optim.Muon" else self.name, _plain)(
            self.kind, model
        )

    def step(self, model: nn.Module, optimizers: Sequence[Any]) -> None:
        for parameter in model.parameters():
            parameter.grad = None
        _STEPS.get(self._own, _after_backward)(model, optimizers)


def every_kind() -> Iterator[Kind]:
    """Of torch.optim, and of pytorch_optimizer what it brings itself."""
    try:
        import pytorch_optimizer
    except ImportError:
        pytorch_optimizer = None  # a development dependency

    for module in filter(None, (torch.optim, pytorch_optimizer)):
        for name, kind in sorted(inspect.getmembers(module, inspect.isclass)):
            own = kind.__module__.startswith(module.__name__)
            if issubclass(kind, Optimizer) and kind is not Optimizer and own:
                yield Kind(f"{module.__name__}.{name}", kind)


def _plain(kind: type[Any], model: nn.Module) -> Sequence[Any]:
    return [kind(model.parameters())]


def _with(**options: Any) -> Make:
    return lambda kind, model: [kind(model.parameters(), **options)]


def _of_the_model(kind: type[Any], model: nn.Module) -> Sequence[Any]:
    return [kind(model)]


def _around_sgd(kind: type[Any], model: nn.Module) -> Sequence[Any]:
    return [kind(torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9))]


def _matrices_and_rest(kind: type[Any], model: nn.Module) -> Sequence[Any]:
    matrices = [p for p in model.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if p.ndim != 2]
    return [kind(matrices), torch.optim.AdamW(rest, lr=0.01)]


def _marked_groups(kind: type[Any], model: nn.Module) -> Sequence[Any]:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "use_muon": True}, {"params": rest, "use_muon": False}]
    return [kind(groups)]


def _gsam(kind: type[Any], model: nn.Module) -> Sequence[Any]:
    from pytorch_optimizer import LinearScheduler  # type: ignore[attr-defined]

    base = torch.optim.SGD(model.parameters(), lr=0.01)
    rho = LinearScheduler(base, t_max=10, max_lr=0.05, init_lr=0.05)
    return [kind(model.parameters(), base_optimizer=base, model=model, rho_scheduler=rho)]


def _wsam(kind: type[Any], model: nn.Module) -> Sequence[Any]:
    return [kind(model, model.parameters(), base_optimizer=torch.optim.SGD, lr=0.01)]


def _in_train_mode(kind: type[Any], model: nn.Module) -> Sequence[Any]:
    made = _around_sgd(kind, model)
    made[0].train()
    return made


_SAM = _with(base_optimizer=torch.optim.SGD, lr=0.01)
_MADE: dict[str, Make] = {
    "torch.optim.Muon": _matrices_and_rest,
    "SpectralSphere": _matrices_and_rest,
    **dict.fromkeys(["Muon", "AdaGO", "AdaMuon", "MuonClip", "NorMuon"], _marked_groups),
    **dict.fromkeys(["LOMO", "AdaLOMO", "AdamMini"], _of_the_model),
    **dict.fromkeys(["Lookahead", "OrthoGrad", "PCGrad", "SafeFP16Optimizer"], _around_sgd),
    "TRAC": _around_sgd,
    "ScheduleFreeWrapper": _in_train_mode,
    **dict.fromkeys(["SAM", "FriendlySAM", "LookSAM"], _SAM),
    "WSAM": _wsam,
    "AdaShift": _with(keep_num=2),
    "GSAM": _gsam,
    "BSAM": _with(num_data=8),
    "Ranger21": _with(num_iterations=100),
}


def _after_backward(model: nn.Module, optimizers: Sequence[Any], graph: bool = False) -> None:
    loss_of(model).backward(create_graph=graph)  # type: ignore[no-untyped-call]
    for one in optimizers:
        one.step()


def _with_closure(model: nn.Module, optimizers: Sequence[Any]) -> None:
    def again() -> Tensor:
        model.zero_grad()
        loss = loss_of(model)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    again()
    for one in optimizers:
        one.step(again)


def _told_the_loss(model: nn.Module, optimizers: Sequence[Any]) -> None:
    loss = loss_of(model)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizers[0].step(lambda: float(loss))


def _told_the_batch(model: nn.Module, optimizers: Sequence[Any]) -> None:
    optimizers[0].set_closure(nn.functional.cross_entropy, X, Y)
    optimizers[0].step()


def _fused(model: nn.Module, optimizers: Sequence[Any]) -> None:
    optimizers[0].fused_backward(loss_of(model), lr=0.01)


def _two_losses(model: nn.Module, optimizers: Sequence[Any]) -> None:
    optimizers[0].pc_backward([loss_of(model), model(X).square().mean()])
    optimizers[0].step()


def _own_backward(model: nn.Module, optimizers: Sequence[Any]) -> None:
    optimizers[0].backward(loss_of(model))
    optimizers[0].step()


_STEPS: dict[str, Step] = {
    **dict.fromkeys(["AdaHessian", "SophiaH"], partial(_after_backward, graph=True)),
    **dict.fromkeys(["LBFGS", "BSAM", "SAM", "FriendlySAM"], _with_closure),
    **dict.fromkeys(["LookSAM", "WSAM"], _with_closure),
    "AliG": _told_the_loss,
    "GSAM": _told_the_batch,
    **dict.fromkeys(["LOMO", "AdaLOMO"], _fused),
    "PCGrad": _two_losses,
    "SafeFP16Optimizer": _own_backward,
}


@dataclass(frozen=True)
class Outcome:
    """What became of an optimizer: it works, is refused, or does not run here at all, and why."""

    name: str
    what: str
    why: str = ""


def outcome(one: Kind) -> Outcome:
    """Three steps, a cut, three steps. Raises AssertionError if that goes wrong."""
    model = network()
    try:
        optimizers = one.make(model)
    except Exception as error:
        return Outcome(one.name, "does not run here", f"{type(error).__name__}: {error}")
    try:
        cut = Network(model, X, optimizers)
    except (TypeError, ValueError) as error:
        return Outcome(one.name, "refused", str(error))
    try:
        for _ in range(STEPS):
            one.step(model, optimizers)
    except Exception as error:
        return Outcome(one.name, "does not run here", f"{type(error).__name__}: {error}")
    before = _seen(model, optimizers)
    try:
        cut.remove(GONE)
    except ValueError as error:
        assert _same(before, _seen(model, optimizers)), f"{one.name}: changed, and refused"
        return Outcome(one.name, "refused", str(error))
    moved = _moved(one, model, optimizers)
    stuck = [name for name, whole in _moved_whole(one).items() if whole and not moved[name]]
    assert not stuck, f"{one.name}: {stuck} do not move any more"
    for name, parameter in model.named_parameters():
        for path, state in _states(optimizers, parameter):
            assert aligned(state, parameter.shape), f"{one.name}: {path} of {name}"
    assert model[0].weight.shape[0] < 8
    return Outcome(one.name, "works")


def _moved(one: Kind, model: nn.Module, optimizers: Sequence[Any]) -> dict[str, bool]:
    """Which parameters three more steps move."""
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for _ in range(STEPS):
        one.step(model, optimizers)
    return {n: not torch.equal(p, before[n]) for n, p in model.named_parameters()}


def _moved_whole(one: Kind) -> dict[str, bool]:
    """Which parameters these steps move where nothing was cut."""
    model = network()
    optimizers = one.make(model)
    for _ in range(STEPS):
        one.step(model, optimizers)
    return _moved(one, model, optimizers)


def _states(optimizers: Sequence[Any], parameter: Tensor) -> Iterator[tuple[object, Tensor]]:
    for state in states_of(optimizers, parameter):
        for path, value in leaves(state):
            if isinstance(value, Tensor) and value.numel() > 1:
                yield path, value


def _seen(model: nn.Module, optimizers: Sequence[Any]) -> list[tuple[int, Tensor]]:
    """Everything that a cut could change: which objects, and their values."""
    listed = [one for one in optimizers if hasattr(one, "param_groups")]
    states = [v for p in model.parameters() for _, v in _states(listed, p)]
    return [(id(t), t.detach().clone()) for t in (*model.parameters(), *model.buffers(), *states)]


def _same(one: list[tuple[int, Tensor]], other: list[tuple[int, Tensor]]) -> bool:
    return len(one) == len(other) and all(
        i == j and torch.equal(a, b) for (i, a), (j, b) in zip(one, other, strict=True)
    )


def table() -> Iterator[str]:
    """Markdown."""
    yield "| optimizer | a cut | why |"
    yield "|---|---|---|"
    for one in every_kind():
        found = outcome(one)
        why = " ".join(found.why.split())
        yield f"| {found.name} | {found.what} | {why} |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("\n".join(table()))
