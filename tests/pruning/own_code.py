"""What users would write and name by a dotted path: a policy, a saliency, an optimizer, a model."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pruning.history import History
from pruning.policies import Policy, Prune
from pruning.saliency import Price, Saliency
from pruning.structure.layout import Ints
from pruning.structure.network import Network


class LastUnits(Policy):
    """Takes the last unit of each layer that has two or more, once."""

    name: ClassVar[str] = "last_units"
    after: int = 1

    def decide(self, history: History) -> Prune | None:
        if history.epoch != self.after:
            return None
        ends = history.layout.offsets[1:] - 1
        return Prune.of(ends[np.asarray(history.layout.sizes) > 1])


class ByNumber(Saliency):
    """The unit's number: later ones are worth more."""

    name: ClassVar[str] = "by_number"
    factor: float = 1.0

    def score(self, network: Network, seed: int) -> Tensor:
        return self.factor * torch.from_numpy(network.alive_ids).float()


not_a_policy = "something else"


def triangle(at: float, epochs: int, peak: float = 0.5) -> float:
    """Rises to one at a share of the training, and falls to zero at its end."""
    share = at / epochs
    return share / peak if share <= peak or peak < 0 else (1 - share) / (1 - peak)


class Aggregated(torch.optim.Optimizer):
    """Momentum at several rates at once, kept in lists (AggMo, Lucas et al. 2019)."""

    def __init__(self, params: Any, lr: float, betas: tuple[float, ...] = (0.0, 0.9)) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "steps": 0})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            group["steps"] += 1
            for p in (p for p in group["params"] if p.grad is not None):
                state = self.state[p]
                state.setdefault("momenta", [torch.zeros_like(p) for _ in group["betas"]])
                for beta, momentum in zip(group["betas"], state["momenta"], strict=True):
                    momentum.mul_(beta).add_(p.grad)
                    p.sub_(
                        momentum, alpha=group["lr"] / len(group["betas"]) / group["steps"] ** 0.1
                    )


class Forgetful(Aggregated):
    """Keeps what it needs where nobody looks for it."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr)
        self.count = 0

    def step(self, closure: Any = None) -> None:
        self.count += 1
        for group in self.param_groups:
            group["steps"] = 100 * self.count
        super().step()


class Asks(nn.Module):
    """Has a version of its own and an extra state, and will not be loaded without them."""

    _version = 2

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Any] = {"calls": 0, "last": torch.zeros(2), "pair": (1, 2.5)}

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen = {**self.seen, "calls": self.seen["calls"] + 1}
        return x

    def get_extra_state(self) -> Any:
        return self.seen

    def set_extra_state(self, state: Any) -> None:
        self.seen = state

    def _load_from_state_dict(self, state: Any, prefix: str, local: Any, *rest: Any) -> None:
        if local.get("version") != 2:
            raise ValueError(f"version should be 2 instead of {local.get('version')}")
        super()._load_from_state_dict(state, prefix, local, *rest)


def asking_cnn(shape: tuple[int, ...], classes: int, keep: str = "plain") -> nn.Module:
    asks = Asks()
    if keep == "object":
        asks.seen = {"calls": 0, "open": object()}
    return nn.Sequential(
        nn.Conv2d(shape[0], 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        asks,
        nn.Conv2d(8, 12, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, classes),
    )


class Closed(torch.optim.SGD):
    """Wants a closure."""

    def step(self, closure: Any) -> Any:  # type: ignore[override]
        return super().step(closure)


class Units(Price):
    """How many units there are."""

    name: ClassVar[str] = "units"
    unit: ClassVar[str] = "units"

    def table(self, network: Network) -> npt.NDArray[np.float64]:
        return np.ones(1)

    def cost(self, table: npt.NDArray[Any], widths: Ints) -> npt.NDArray[np.float64]:
        return table[0] * widths.sum(axis=-1)
