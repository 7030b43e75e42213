"""The few lines that put a policy into a training loop: somebody else's, and our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pruning.actions import Action, Mask
from pruning.history import History, Record
from pruning.meter import Meter
from pruning.policies import Policy
from pruning.randomness import global_stream
from pruning.saliency import ActivationSaliency, Probe, Saliency
from pruning.saliency.watching import Pool, Watcher, own
from pruning.structure.aside import Sample, untouched
from pruning.structure.feature_maps import unwatched
from pruning.structure.network import Network
from pruning.structure.renew import renew


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
    for policies that ask for it. seed: of the training, for random policies. sample: a few batches
    and the loss of a model on one of them, for what is measured beside training: gradients of the
    untrained network, likelihoods. probes: to measure beside the policy's. protect: names of layers
    that are never pruned. reference: where the policy ended that a control is compared with.
    pool: of a float64 tensor, the mean over the processes that train the network together, weighted
    by the part of every batch that each of them sees. Gradients are taken to be of whole batches.
    initialise: what gives the layers of a network that begins anew their weights, after torch's own
    initialisation.
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
        sample: Sample | None = None,
        probes: Sequence[Probe] = (),
        protect: Sequence[str] = (),
        meter: Meter | None = None,
        reference: Record | None = None,
        pool: Pool = own,
        initialise: Callable[[nn.Module], object] | None = None,
    ) -> None:
        self.network = Network(model, example_input, optimizer, protect=protect)
        self.network.sample = sample
        self.policy, self.epochs, self.seed = policy, epochs, seed
        self.reference, self.initialise, self._pool = reference, initialise, pool
        self.records: list[Record] = []
        self.actions: list[tuple[int, Action]] = []
        self.meter = meter or Meter()
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._watcher: Watcher | None = None
        self._more = tuple(probes)
        self.probes: dict[str, Probe] = {}
        self.watch([*(policy.probes() if policy else ()), *probes])

    @property
    def history(self) -> History:
        """What the policy sees."""
        layout, epochs, seed = self.network.layout, self.epochs, self.seed
        return History.of(layout, self.records, epochs, seed, self.reference)

    def watch(self, probes: Iterable[Probe]) -> None:
        """Measure these from now on, and no others."""
        asked = {probe.key: probe for probe in probes}
        if self._watcher and asked.keys() == self.probes.keys():
            return
        if self._watcher:
            self._watcher.close()
        self.probes = asked
        maps = [p for p in self.probes.values() if isinstance(p, ActivationSaliency)]
        self._watcher = Watcher(self.network, maps, self.meter, self._pool) if maps else None
        if not self.records and any(probe.needs_start for probe in self.probes.values()):
            named = self.network.model.named_parameters()
            # clone: on a CPU .cpu() is the tensor itself, which training goes on to change
            self.network.start = {name: value.detach().cpu().clone() for name, value in named}

    def start(self) -> Action | None:
        """Record the untrained network, and let the policy prune before training.

        Optional: without it, or without a sample, the untrained network's gradients are no history.
        """
        if self.records:
            raise RuntimeError("start() comes before the first step, and once")
        sample = self.network.sample
        if sample and any(probe.per_step for probe in self.probes.values()):
            with self.meter.section("probe:untrained"):
                self._try_gradients(sample)
        self.measure()
        return self.prune()

    def after_backward(self) -> None:
        """Measure one step; to be called while its gradients are there."""
        if not self.records:
            self._begin()
        self._add_step()

    def end_epoch(self, metrics: Mapping[str, float] | None = None) -> Action | None:
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
        self.network.epoch = len(self.records)
        probes = {}
        for key, probe in self.probes.items():
            # unwatched: a probe may run the network; its feature maps once counted as training's
            with self.meter.section(f"probe:{key}"), torch.no_grad(), unwatched():
                score = self._score(key, probe)
                if score is not None:
                    probes[key] = self._filed(probe, score)
        self._sums, self._steps = {}, 0
        cost = self.network.cost()
        costs = {
            "params": cost.params,
            "macs": cost.macs,
            "units": cost.units,
            "masked": cost.masked,
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

    def prune(self) -> Action | None:
        """Ask the policy, and do what it says. Returns the action, if any."""
        action = self.policy.decide(self.history) if self.policy else None
        if action:
            self.apply(action)
        if self.policy and self.epochs:
            asking = self.policy.asks(len(self.records), self.epochs, bool(self.actions))
            self.watch([*(self.policy.probes() if asking else ()), *self._more])
        return action

    def apply(self, action: Action) -> None:
        """Do it to the model and the optimizer."""
        self.network.epoch = self.records[-1].epoch if self.records else 0
        if isinstance(action, Mask):
            self.network.mask(action, self.seed)
        else:
            self.network.remove(action.units)
            if action.reinit:
                self._renew()
        self.actions.append((self.network.epoch, action))

    def _renew(self) -> None:
        model = self.network.model
        device = next(model.parameters()).device
        with global_stream(device, self.seed, self.network.epoch, "renew"):
            renew(model, self.network.optimizer)
            if self.initialise:
                self.initialise(model)

    def _score(self, key: str, probe: Probe) -> Tensor | None:
        if not probe.per_step:
            return probe.score(self.network, self.seed)
        if self._watcher and isinstance(probe, ActivationSaliency):
            return self._watcher.take(key)
        return self._sums[key] / self._steps if key in self._sums else None

    def _filed(self, probe: Probe, score: Tensor) -> npt.NDArray[np.floating]:
        if isinstance(probe, Saliency):
            return self.network.scatter(_ordered(score))
        return score.detach().cpu().double().numpy()

    def _begin(self) -> None:
        """Record the untrained network where nobody called ``start``."""
        watcher, self._watcher = self._watcher, None  # what it has seen is of the first epoch
        self.measure()
        self._watcher = watcher
        if self.policy and self.policy.decide(self.history):
            raise RuntimeError(
                f"{self.policy.name} prunes before training: call start() before the first step"
            )

    def _add_step(self) -> None:
        self._steps += 1
        for key, probe in self.probes.items():
            if probe.per_step and not isinstance(probe, ActivationSaliency):
                with self.meter.section(f"probe:{key}"), torch.no_grad(), unwatched():
                    score = probe.score(self.network, self.seed)
                    self._sums[key] = self._sums[key] + score if key in self._sums else score

    def _try_gradients(self, sample: Sample) -> None:
        """Forward and backward without a step, and everything put back as it was."""
        model = self.network.model
        with untouched(model):
            for batch in sample.batches():
                model.zero_grad(set_to_none=True)
                sample.loss(model, batch).backward()  # type: ignore[no-untyped-call]
                self._add_step()


def _ordered(score: Tensor) -> Tensor:
    """Scores that can be ranked: what is not a number ranks last (NaN means gone in a record)."""
    return torch.nan_to_num(score.float(), nan=torch.finfo(torch.float32).min)
