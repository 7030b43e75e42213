"""Optimizers and learning-rate schedules, as a task names them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pruning.errors import InputError, unknown
from pruning.names import import_dotted, is_dotted
from pruning.settings import Settings

if TYPE_CHECKING:  # a task is read, and refused, without torch
    from torch import nn
    from torch.optim import Optimizer

LARGEST = 1e30
"""No learning rate, decay or factor is larger: float32 could not hold its steps."""

Positive = Annotated[float, Field(gt=0, le=LARGEST)]
NonNegative = Annotated[float, Field(ge=0, le=LARGEST)]
Beta = Annotated[float, Field(ge=0, lt=1)]

_KINDS = {"matrices": "two", "filters": "more than two", "vectors": "at most one"}


def _named(given: Any) -> Any:
    return {"name": given} if isinstance(given, str) else given


class OptimizerSpec(Settings):
    """The optimizer of a task.

    name: ``sgd``, ``adam``, ``adamw``, ``muon`` (torch's, for matrices only) or
    ``package.module:callable``, which is called with parameter groups, ``lr=`` and ``options`` and
    returns a torch optimizer. lr: the peak learning rate. momentum, nesterov: for sgd and muon.
    betas, eps: for adam and adamw. weight_decay: for parameters of two and more dimensions;
    decay_vectors: also for biases and normalisation parameters. matrices, filters, vectors: an
    optimizer of their own for parameters of two dimensions, of more, and of one; this one has the
    rest. options: of your own callable.
    """

    name: str = "sgd"
    lr: Positive = 0.1
    momentum: Beta = 0.9
    nesterov: bool = True
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    decay_vectors: bool = False
    matrices: Annotated[OptimizerSpec | None, BeforeValidator(_named)] = None
    filters: Annotated[OptimizerSpec | None, BeforeValidator(_named)] = None
    vectors: Annotated[OptimizerSpec | None, BeforeValidator(_named)] = None
    options: dict[str, Any] = {}

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return _checked("optimizer", name, ("sgd", "adam", "adamw", "muon"))

    @model_validator(mode="after")
    def _fits_together(self) -> OptimizerSpec:
        _check_options(self.name, self.options)
        for kind, spec in self._kinds().items():
            if spec._kinds():
                raise ValueError(f"{kind}: has its own optimizer, and that no further kinds")
            if spec.name == "muon" and kind != "matrices":
                raise ValueError(f"{kind}: {_MUON}")
        return self

    @property
    def own_code(self) -> bool:
        """Whether some of it is no optimizer that we know."""
        return any(is_dotted(spec.name) for spec in (self, *self._kinds().values()))

    def optimizers(self, model: nn.Module) -> list[Optimizer]:
        """Over all trainable parameters: the kinds' own, and this one's for the rest, last.

        Raises InputError if there are no such parameters, or an optimizer cannot be made.
        """
        rest = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not rest:
            raise InputError("task.model: none of its parameters is trainable (requires_grad)")
        made = []
        for kind, spec in self._kinds().items():
            own = [p for p in rest if _kind(p) == kind]
            rest = [p for p in rest if _kind(p) != kind]
            if not own:
                raise InputError(
                    f"task.optimizer.{kind}: the model has no trainable parameter of "
                    f"{_KINDS[kind]} dimensions"
                )
            made.append(spec.over(own, f"task.optimizer.{kind}"))
        return [*made, self.over(rest, "task.optimizer")] if rest else made

    def build(self, model: nn.Module) -> Optimizer:
        """The only one, over all trainable parameters, in two groups: matrices and vectors."""
        [made] = self.optimizers(model)
        return made

    def over(self, parameters: Sequence[nn.Parameter], field: str) -> Optimizer:
        """This one's over these, as ``field`` of a task. Raises InputError."""
        vectors_decay = self.weight_decay if self.decay_vectors else 0.0
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": vectors_decay},
        ]
        made = self._made([group for group in groups if group["params"]], field)
        for group in made.param_groups:
            if isinstance(group.get("lr"), float):
                group["initial_lr"] = group["lr"]
        return made

    def _made(self, groups: list[dict[str, Any]], field: str) -> Optimizer:
        if is_dotted(self.name):
            return self._own(groups, field)
        import torch

        nesterov = self.nesterov and self.momentum > 0
        if self.name == "sgd":
            return torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=nesterov)
        if self.name == "muon":
            if any(p.ndim != 2 for group in groups for p in group["params"]):
                raise InputError(f"{field}: {_MUON}")
            return torch.optim.Muon(groups, lr=self.lr, momentum=self.momentum, nesterov=nesterov)
        kind = torch.optim.Adam if self.name == "adam" else torch.optim.AdamW
        return kind(groups, lr=self.lr, betas=self.betas, eps=self.eps)

    def _own(self, groups: list[dict[str, Any]], field: str) -> Optimizer:
        try:
            made = import_dotted(self.name)(groups, lr=self.lr, **self.options)
        except Exception as error:  # code of the user's may fail in any way
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"{field}: {self.name!r} cannot be made ({reason})") from None
        from torch.optim import Optimizer

        if not isinstance(made, Optimizer):
            kind = type(made).__name__
            raise InputError(f"{field}: {self.name!r} gives a {kind}, not a torch optimizer")
        return made

    def _kinds(self) -> dict[str, OptimizerSpec]:
        return {kind: spec for kind in _KINDS if (spec := getattr(self, kind)) is not None}


_MUON = (
    "muon is for matrices alone: write {name: adamw, lr: 0.001, matrices: {name: muon, lr: 0.02}}"
)


def _kind(parameter: nn.Parameter) -> str:
    return ("vectors", "vectors", "matrices", "filters")[min(parameter.ndim, 3)]


def _checked(kind: str, name: str, known: Sequence[str]) -> str:
    if not is_dotted(name) and name not in known:
        raise ValueError(f"{unknown(kind, name, known)}; your own is package.module:callable")
    return name


def _check_options(name: str, options: Mapping[str, Any]) -> None:
    if options and not is_dotted(name):
        raise ValueError(f"options: {name!r} takes none; they are for your own callable")


class ScheduleSpec(Settings):
    """The learning rate over the training, as a factor of its peak.

    warmup_epochs: the first epochs, in which it rises linearly. name: ``cosine`` falls to zero,
    ``step`` is multiplied by ``gamma`` every ``step_epochs``, ``constant`` stays;
    ``package.module:callable`` is called with the epochs so far (fractions count steps), the epochs
    of the whole training, and ``options``.
    """

    name: str = "cosine"
    warmup_epochs: NonNegative = 0.0
    step_epochs: Annotated[int, Field(ge=1)] = 30
    gamma: Positive = 0.1
    options: dict[str, Any] = {}

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return _checked("schedule", name, ("cosine", "step", "constant"))

    @model_validator(mode="after")
    def _fits_together(self) -> ScheduleSpec:
        _check_options(self.name, self.options)
        return self

    def check(self, epochs: int, lr: float) -> None:
        """Raise ValueError if in some epoch the learning rate is no number, or out of bounds."""
        for epoch in range(epochs):
            try:
                factor = float(self.factor(epoch + 0.5, epochs))
            except Exception as error:  # code of the user's may fail in any way
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                raise ValueError(f"{self.name!r} fails in epoch {epoch + 1} ({reason})") from None
            if not 0 <= factor * lr <= LARGEST:
                raise ValueError(
                    f"{self.name!r} makes the learning rate {factor * lr:.3g} in epoch "
                    f"{epoch + 1} (allowed: 0 to {LARGEST:.0e})"
                )

    def factor(self, at: float, epochs: int) -> float:
        """The factor after ``at`` epochs (fractions count steps) of a training of ``epochs``."""
        if at < self.warmup_epochs:
            return at / self.warmup_epochs
        if self.name == "cosine":
            share = (at - self.warmup_epochs) / max(epochs - self.warmup_epochs, 1e-9)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
        if self.name == "step":
            return self.gamma ** int(at // self.step_epochs)
        if is_dotted(self.name):
            return float(import_dotted(self.name)(at, epochs, **self.options))
        return 1.0
