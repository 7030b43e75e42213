"""Bayes-factor pruning: prune single weights when the data and the prior do not mind.

Mathew, Rowe: Pruning a neural network using Bayesian inference.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pruning.actions import By, Mask
from pruning.history import History, Record
from pruning.policies.base import Policy
from pruning.saliency import LogPosterior, Probe


class BayesFactor(Policy):
    """After each epoch, prune if the pruned network's posterior is the larger one.

    The Bayes factor BF_t is the posterior of the network after epoch t, pruned to ``sparsity``,
    over that of the network as it is [C]; the posterior is p(D | w) N(w; mu, sigma^2) [C].

    sparsity: share of every weight tensor that is zero afterwards [C]. by: ``random`` among the
    weights that are not zero, or ``magnitude``, the smallest first [C].
    gate: ``propose`` prunes if BF_t > beta, as the prose says; ``previous``, as the listing: the
    factor of the last round decides, and the first is infinite; with beta >= 1 it can lock shut
    until the end [G]; ``open`` always prunes: the paper's controls random and magnitude [C].
    beta: 1 [G]. With the mean likelihood and mu = 0 the gate is nearly always open, because the
    prior likes zeros.
    hold: weights once pruned stay zero [G]; else they may grow between epochs and are pruned anew.
    ends_pruned: the last epoch is trained with the mask held, whatever the gate and ``hold`` say
    [G]. With neither, what is judged at the end is a network that has grown again for an epoch.
    likelihood, mu, sigma, seed: of the log posterior, as ``LogPosterior`` has them [G].
    """

    name: ClassVar[str] = "bayes_factor"
    paper: ClassVar[str] = "Mathew, Rowe, Pruning a neural network using Bayesian inference, 2023"

    sparsity: Annotated[float, Field(gt=0, lt=1)] = 0.5
    by: By = "magnitude"
    gate: Literal["propose", "previous", "open"] = "propose"
    beta: Annotated[float, Field(gt=0)] = 1.0
    hold: bool = True
    ends_pruned: bool = True
    likelihood: Literal["mean", "sum"] = "mean"
    mu: float = 0.0
    sigma: Annotated[float, Field(gt=0)] = 1.0
    seed: int = 0

    @property
    def log_posterior(self) -> LogPosterior:
        """What is measured after every epoch."""
        return LogPosterior(
            sparsity=self.sparsity,
            by=self.by,
            seed=self.seed,
            likelihood=self.likelihood,
            mu=self.mu,
            sigma=self.sigma,
        )

    def probes(self) -> Sequence[Probe]:
        """The log posteriors, unless the gate is always open."""
        return () if self.gate == "open" else (self.log_posterior,)

    def asks(self, epoch: int, epochs: int, acted: bool) -> bool:
        """Until the mask is held."""
        return 0 < epoch < epochs and not (acted and self.hold)

    def decide(self, history: History) -> Mask | None:
        """The mask, if the gate is open; at the last time of asking in any case."""
        if history.epochs is None:
            raise ValueError("bayes_factor needs to know how many epochs there are")
        if history.epoch == 0 or (self.hold and history.last.costs.get("masked", 0)):
            return None
        last = self.ends_pruned and history.epoch == history.epochs - 1
        if self._open(history):
            return self._mask(self.hold or last)
        if not last:
            return None
        shut = f"the gate was shut to the end: pruned after epoch {history.epoch} all the same"
        return self._mask(True, (shut,) if self.hold else ())

    def _mask(self, hold: bool, warnings: Sequence[str] = ()) -> Mask:
        return Mask(self.sparsity, self.by, hold, self.seed, tuple(warnings))

    def _open(self, history: History) -> bool:
        if self.gate == "open":
            return True
        rounds = history.records[1:]  # rounds come after epochs: the untrained network is none
        asked = rounds[-1:] if self.gate == "propose" else rounds[-2:-1]
        return not asked or self._log_factor(asked[0]) > math.log(self.beta)

    def _log_factor(self, record: Record) -> float:
        before, after = record.probes[self.log_posterior.key]
        return float(after - before)

    def indicator(self, history: History) -> float | None:
        """The logarithm of the Bayes factor after the newest epoch, in nats."""
        measured = self.log_posterior.key in history.last.probes
        return self._log_factor(history.last) if measured else None

    def first_action(self, epochs: int) -> tuple[int, int]:
        """After the first epoch where nothing gates it, else up to the last time of asking."""
        if self.gate in ("open", "previous"):
            return 1, 1
        return 1, max(1, epochs - 1) if self.ends_pruned else epochs

    def action_key(self) -> Hashable:
        """What the mask is made of; a gate decides when."""
        settings = self.sparsity, self.by, self.hold, self.ends_pruned, self.seed
        return type(self), settings

    def check(self, epochs: int) -> None:
        """Refuse a training too short to be pruned after an epoch."""
        if epochs < 2:
            raise ValueError(
                f"policy: bayes_factor prunes after an epoch and trains on: {epochs} epoch is not "
                f"enough (allowed: from 2)"
            )
