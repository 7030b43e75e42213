"""What optimizers remember of parameters: which can lose units, and what stays of it."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer, SparseAdam

from pruning.structure.cut import Cut, aligned, leaves

Optimizers = Optimizer | Sequence[Optimizer] | None
"""One optimizer of a network, or several that share its parameters among them, or none."""

_UNFIT: dict[type[Optimizer], str] = {
    LBFGS: "keeps one flat history that cannot lose units",
    SparseAdam: "takes sparse gradients, which cannot lose units",
}
_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size)

Path = tuple[object, ...]


@dataclass(frozen=True)
class Target:
    """A tensor of a network that loses entries, and which of them stay."""

    name: str
    tensor: Tensor
    cut: Cut


def listed(optimizers: Optimizers) -> tuple[Optimizer, ...]:
    """As a tuple. Raises TypeError for what is no optimizer."""
    if optimizers is None:
        return ()
    given = tuple(optimizers) if isinstance(optimizers, Sequence) else (optimizers,)
    for one in given:
        if not (hasattr(one, "param_groups") and hasattr(one, "state")):
            raise TypeError(
                f"an optimizer, or a list of them, is wanted, not a {type(one).__name__}"
            )
    return given


def admit(model: nn.Module, optimizers: Sequence[Optimizer]) -> None:
    """Raise ValueError for one that can never go with this model, and warn of what none trains."""
    own = {id(parameter) for parameter in model.parameters()}
    _check_kinds(optimizers)
    for one in optimizers:
        if not any(id(p) in own for p in _parameters(one)):
            raise ValueError(
                f"optimizer {type(one).__name__} holds no parameter of this model; make it of "
                "the model that is given here, not of another or a copy"
            )
    if optimizers and (lost := list(_untrained(model, optimizers))):
        shown = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
        warnings.warn(
            f"{len(lost)} trainable parameters are in no optimizer that is given: {shown}",
            stacklevel=4,
        )


def strays(model: nn.Module, optimizers: Sequence[Optimizer]) -> list[Optimizer]:
    """Optimizers anywhere in memory that hold what none of these does, as was warned of.

    They must not keep the state of what is gone.
    """
    lost = _untrained(model, optimizers) if optimizers else {}
    wanted = {id(parameter) for parameter in lost.values()}
    alive = gc.get_objects() if wanted else []
    found = [one for one in alive if issubclass(type(one), Optimizer)]
    return [one for one in found if any(id(p) in wanted for p in _parameters(one))]


def check(optimizers: Sequence[Optimizer], targets: Iterable[Target]) -> None:
    """Raise ValueError if what an optimizer remembers of these cannot be sliced like them."""
    _check_kinds(optimizers)
    by_id = {id(target.tensor): target for target in targets}
    for optimizer in _all(optimizers):
        _Memory(optimizer).check(by_id)


def forget(optimizers: Sequence[Optimizer]) -> None:
    """As if no step had been made."""
    for optimizer in _all(optimizers):
        optimizer.state.clear()


def states_of(optimizers: Sequence[Optimizer], parameter: Tensor) -> list[object]:
    """What each of them remembers of a parameter."""
    return [one.state[parameter] for one in _all(optimizers) if parameter in one.state]


def _check_kinds(optimizers: Sequence[Optimizer]) -> None:
    for one in _all(optimizers):
        for kind, why in _UNFIT.items():
            if isinstance(one, kind):
                raise ValueError(f"optimizer {type(one).__name__} {why}")


def _untrained(model: nn.Module, optimizers: Sequence[Optimizer]) -> dict[str, nn.Parameter]:
    held = {id(parameter) for one in optimizers for parameter in _parameters(one)}
    return {n: p for n, p in model.named_parameters() if p.requires_grad and id(p) not in held}


def _parameters(optimizer: Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _all(optimizers: Sequence[Optimizer]) -> list[Optimizer]:
    return list({id(each): each for one in optimizers for each in with_inner(one)}.values())


def with_inner(optimizer: Optimizer) -> Iterator[Optimizer]:
    """An optimizer and those that it wraps, as Lookahead does."""
    yield optimizer
    for value in vars(optimizer).values():
        if isinstance(value, Optimizer) and value is not optimizer:
            yield from with_inner(value)


class _Memory:
    """What one optimizer remembers, and whether all of it lies like its parameters.

    An entry is known by the way to it in a parameter's state. Where a matrix is square, an entry
    that lies otherwise can look like it; then it must lie right for some parameter that is not.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.kind = type(optimizer).__name__
        self.optimizer = optimizer
        ours = type(optimizer).__module__.startswith("torch.optim")
        self.right: set[Path] = set()
        self.wrong: set[Path] = set()
        for parameter, path, value in self._tensors():
            if not aligned(value, parameter.shape):
                self.wrong.add(path)
            elif ours or (parameter.dim() > 1 and not _square(parameter)):
                self.right.add(path)

    def check(self, by_id: Mapping[int, Target]) -> None:
        for parameter, state in self.optimizer.state.items():
            if id(parameter) not in by_id:
                continue
            target = by_id[id(parameter)]
            for path, value in leaves(state):
                if isinstance(value, Tensor):
                    self._check_tensor(target, path, value)
                elif not isinstance(value, _PLAIN):
                    self._refuse(target, path, f"a {type(value).__name__}")
        for name, value in self._elsewhere():
            raise ValueError(
                f"optimizer {self.kind} keeps {name!r}, {tuple(value.shape)}, beside its state by "
                "parameter, and it cannot be known how to slice it"
            )

    def _check_tensor(self, target: Target, path: Path, value: Tensor) -> None:
        if value.numel() <= 1:
            return
        told_apart = path in self.right or target.tensor.dim() == 1 or not _square(target.tensor)
        if path in self.wrong or not told_apart:
            self._refuse(target, path, str(tuple(value.shape)))

    def _refuse(self, target: Target, path: Path, what: str) -> None:
        key = ".".join(map(str, path))
        raise ValueError(
            f"optimizer {self.kind}: state {key!r} of {target.name}, {what}, "
            f"cannot be sliced like the parameter, {tuple(target.tensor.shape)}"
        )

    def _tensors(self) -> Iterator[tuple[Tensor, Path, Tensor]]:
        for parameter, state in self.optimizer.state.items():
            if isinstance(parameter, Tensor):
                for path, value in leaves(state):
                    if isinstance(value, Tensor) and value.numel() > 1:
                        yield parameter, path, value

    def _elsewhere(self) -> Iterator[tuple[str, Tensor]]:
        """Tensors in attributes and groups that are neither parameters nor in a state."""
        known = {id(value) for _, _, value in self._tensors()}
        known |= {id(parameter) for parameter in _parameters(self.optimizer)}
        beside = {
            k: v for k, v in vars(self.optimizer).items() if k not in ("state", "param_groups")
        }
        loose = {k: v for k, v in self.optimizer.state.items() if not isinstance(k, Tensor)}
        for held in (beside, loose, *self.optimizer.param_groups):
            for path, value in leaves(held):
                if isinstance(value, Tensor) and value.numel() > 1 and id(value) not in known:
                    yield str(path[0]), value


def _square(tensor: Tensor) -> bool:
    return tensor.dim() == 2 and tensor.shape[0] == tensor.shape[1]
