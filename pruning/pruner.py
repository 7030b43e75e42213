"""The few lines that put a policy into a training loop: somebody else's, and our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pruning.history import History, Record
from pruning.policies import Policy, Prune
from pruning.saliency import Saliency
from pruning.structure.network import Network
from pruning.training.meter import Meter

Loss = Callable[[nn.Module, Any], Tensor]
"""From a model and a batch to the loss whose gradients a saliency needs."""


class Pruner:
    """Measures a network while it trains, and shrinks it when its policy says so.

    ::

        pruner = Pruner(model, optimizer, EPI(ratio=0.5, saliency="taylor"), example_input=x)
        for epoch in range(epochs):
            for x, y in loader:
                loss = criterion(model(x), y)
                loss.backward()
                pruner.after_backward()
                optimizer.step()
                optimizer.zero_grad()
            pruner.end_epoch()  # may shrink model and optimizer in place

    Parameters that are cut are replaced in the model and in the optimizer; hold no others.

    example_input: one batch (a tensor), to trace the network with. epochs: length of the training,
    for policies that ask for it. seed: of the training, for random policies. probes: saliencies to
    measure beside the policy's. protect: names of layers that are never pruned.
    Raises UntraceableError if nothing in the network can be pruned safely.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        policy: Policy | None = None,
        *,
        example_input: Tensor,
        epochs: int | None = None,
        seed: int = 0,
        probes: Sequence[Saliency] = (),
        protect: Sequence[str] = (),
        meter: Meter | None = None,
    ) -> None:
        self.network = Network(model, example_input, optimizer, protect=protect)
        self.policy, self.epochs, self.seed = policy, epochs, seed
        asked = [*(policy.probes() if policy else ()), *probes]
        self.probes = {probe.key: probe for probe in asked}
        self.records: list[Record] = []
        self.actions: list[tuple[int, Prune]] = []
        self.meter = meter or Meter()
        self._sums: dict[str, Tensor] = {}
        self._steps = 0

    @property
    def history(self) -> History:
        """What the policy sees."""
        return History.of(self.network.layout, self.records, self.epochs, self.seed)

    def start(
        self,
        batches: Iterable[Any] = (),
        loss: Loss | None = None,
    ) -> Prune | None:
        """Record the untrained network, and let the policy prune before training.

        Optional: without it the untrained network's gradients are no history. Gradient saliencies
        are measured on ``batches`` by ``loss(model, batch)``; weights, buffers, gradients and
        random states are left as they were.
        """
        if self.records:
            raise RuntimeError("start() comes before the first step, and once")
        if loss is not None and any(probe.per_step for probe in self.probes.values()):
            with self.meter.section("probe:untrained"):
                self._try_gradients(batches, loss)
        self.measure()
        return self.prune()

    def after_backward(self) -> None:
        """Measure one step; to be called while its gradients are there."""
        if not self.records:
            self._begin()
        self._add_step()

    def end_epoch(self, metrics: Mapping[str, float] | None = None) -> Prune | None:
        """Record the epoch, ask the policy, and do what it says. Returns the action, if any."""
        if not self.records:
            self._begin()
        self.measure(metrics or {})
        return self.prune()

    def measure(
        self,
        metrics: Mapping[str, float] | None = None,
        test: Mapping[str, float] | None = None,
        samples: int = 0,
    ) -> Record:
        """Add the record of the epoch that has ended (the first: of the untrained network)."""
        probes = {}
        for key, probe in self.probes.items():
            with self.meter.section(f"probe:{key}"), torch.no_grad():
                score = self._score(key, probe)
                if score is not None:
                    probes[key] = self.network.scatter(_ordered(score))
        self._sums, self._steps = {}, 0
        cost = self.network.cost()
        costs = {
            "params": cost.params,
            "macs": cost.macs,
            "units": cost.units,
            "samples": samples,
        }
        record = Record(
            epoch=len(self.records),
            alive=self.network.alive.copy(),
            probes=probes,
            metrics=dict(metrics or {}),
            test=dict(test or {}),
            costs=costs,
            seconds=self.meter.take(),
        )
        self.records.append(record)
        return record

    def prune(self) -> Prune | None:
        """Ask the policy, and do what it says. Returns the action, if any."""
        action = self.policy.decide(self.history) if self.policy else None
        if action:
            self.apply(action)
        return action

    def apply(self, action: Prune) -> None:
        """Remove the action's units from the model and the optimizer."""
        self.network.remove(action.units)
        self.actions.append((self.records[-1].epoch if self.records else 0, action))

    def _score(self, key: str, probe: Saliency) -> Tensor | None:
        if not probe.per_step:
            return probe.score(self.network, self.seed)
        return self._sums[key] / self._steps if key in self._sums else None

    def _begin(self) -> None:
        """Record the untrained network where nobody called ``start``."""
        self.measure()
        if self.policy and self.policy.decide(self.history):
            raise RuntimeError(
                f"{self.policy.name} prunes before training: call start() before the first step"
            )

    def _add_step(self) -> None:
        self._steps += 1
        for key, probe in self.probes.items():
            if probe.per_step:
                with self.meter.section(f"probe:{key}"), torch.no_grad():
                    score = probe.score(self.network, self.seed)
                    self._sums[key] = self._sums[key] + score if key in self._sums else score

    def _try_gradients(self, batches: Iterable[Any], loss: Loss) -> None:
        """Forward and backward without a step, and everything put back as it was."""
        model = self.network.model
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        gradients = [parameter.grad for parameter in model.parameters()]
        devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
        with torch.random.fork_rng(devices=devices):
            for batch in batches:
                model.zero_grad(set_to_none=True)
                loss(model, batch).backward()  # type: ignore[no-untyped-call]
                self._add_step()
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter.grad = gradient
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])


def _ordered(score: Tensor) -> Tensor:
    """Scores that can be ranked: what is not a number ranks last (NaN means gone in a record)."""
    return torch.nan_to_num(score.float(), nan=torch.finfo(torch.float32).min)
