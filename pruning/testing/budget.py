"""How much is removed: no more than the settings say."""

from __future__ import annotations

import math

import numpy as np
import torch

from pruning.actions import Prune
from pruning.policies.aim import NEAR, Aim
from pruning.policies.base import Policy
from pruning.policies.one_shot import MISSED
from pruning.structure.layout import Layout
from pruning.testing.findings import BreachError
from pruning.testing.life import Life, lived
from pruning.training.task import Task


def budget(policy: Policy, task: Task | None = None) -> None:
    """With a ``ratio`` no more than that share of all units goes, in all its cuts together.

    Those that round up or stand on floors keep more. With an ``aim`` the last cut meets it, or says
    that it does not. With a ``sparsity`` that is held, exactly that
    share of every weight tensor is zero at the end.
    """
    life = lived(policy, task)
    ratio, sparsity = (getattr(policy, name, None) for name in ("ratio", "sparsity"))
    aim = getattr(policy, "aim", None)
    if isinstance(aim, Aim):
        _met(aim, life)
    elif isinstance(ratio, float):
        gone = {unit for _, act in life.actions if isinstance(act, Prune) for unit in act.units}
        allowed = _allowed(ratio, life.history.layout, getattr(policy, "scope", "global"))
        if len(gone) > allowed:
            found = f"{len(gone)} of {life.history.layout.total} units are gone"
            raise BreachError(found, f"up to {allowed}", life.end)
    if isinstance(sparsity, float) and life.masks:
        _exactly(sparsity, life)


def _met(aim: Aim, life: Life) -> None:
    alive = np.ones(life.history.layout.total, dtype=np.bool_)
    for _, action in life.actions:
        alive[list(getattr(action, "units", ()))] = False
    budget = aim.budget(life.records()[0], life.history.layout)
    widths = life.history.layout.counts(alive)
    said = life.actions and any(text.startswith(MISSED) for text in life.actions[-1][1].warnings)
    if life.actions and not said and abs(budget.miss(widths)) > NEAR:
        found = f"{float(budget.cost(widths)) / budget.whole:.3g} of {aim.price.unit} is left"
        raise BreachError(found, f"{aim.share:g}, as the aim says, or a warning", life.end)


def _allowed(ratio: float, layout: Layout, scope: object) -> int:
    """Units that may go: of all together, or of each layer, which rounds for itself."""
    if scope == "layer":
        return sum(math.ceil(ratio * size) for size in layout.sizes)
    return round(ratio * layout.total)


def _exactly(sparsity: float, life: Life) -> None:
    for name in life.masks:
        weight = life.weights[name]
        zero, wanted = int(torch.sum(weight == 0)), round(sparsity * weight.numel())
        if zero != wanted:
            found = f"{zero} of {weight.numel()} weights of {name} are zero"
            raise BreachError(found, f"{wanted}, as sparsity says", life.end)
