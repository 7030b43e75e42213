"""The few lines that put a policy into a training loop: somebody else's, and our own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from pruning.actions import Action, Mask, from_json
from pruning.foreign import noted
from pruning.history import NO_NUMBER, History, Record
from pruning.meter import Meter
from pruning.policies import Policy
from pruning.randomness import global_stream
from pruning.saliency import ActivationSaliency, Probe, Saliency
from pruning.saliency.fitting import fitting
from pruning.saliency.loss_scale import LossScale
from pruning.saliency.steps import Steps, all_finite
from pruning.saliency.watching import Pool, Watcher, own
from pruning.structure.aside import Sample, untouched
from pruning.structure.copies import Example
from pruning.structure.feature_maps import unwatched
from pruning.structure.inspection import summary
from pruning.structure.layout import Layout
from pruning.structure.network import Network
from pruning.structure.optimizers import Optimizers
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

    A cut keeps every parameter and buffer the object it was, with fewer entries: optimizers,
    schedulers and lists made before hold it still, and its hooks, marks and subclass stay. What an
    optimizer remembers is sliced alike, or the cut is refused with a ValueError before anything
    changes. A graph from before cannot be run backward again.

    optimizer: one, or a list of those that share the model, or None to train nothing.
    example_input: one batch, a tensor or a mapping, or a tuple of forward's arguments, to trace the
    network with. epochs: length of the training, for policies that ask for it. seed: of the
    training, for random policies. sample: a few batches and the loss of a model on one of them, for
    what is measured beside training: gradients of the untrained network, likelihoods. probes: to
    measure beside the policy's. protect: names of layers that are never pruned. reference: where
    the policy ended that a control is compared with. pool: of a float64 tensor, the mean over the
    processes that train the network together, weighted
    by the part of every batch that each of them sees. Gradients are taken to be of whole batches.
    initialise: what gives the layers of a network that begins anew their weights, after torch's own
    initialisation. scaler: the loop's GradScaler, so that gradients are measured without its scale;
    it is needed unless its ``unscale_`` comes before ``after_backward``.
    Raises UntraceableError if nothing in the network can be pruned safely, ValueError if an
    optimizer is of another model or cannot lose units.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizers,
        policy: Policy | None = None,
        *,
        example_input: Example,
        epochs: int | None = None,
        seed: int = 0,
        sample: Sample | None = None,
        probes: Sequence[Probe] = (),
        protect: Sequence[str] = (),
        meter: Meter | None = None,
        reference: Record | None = None,
        pool: Pool = own,
        initialise: Callable[[nn.Module], object] | None = None,
        scaler: GradScaler | None = None,
    ) -> None:
        self.network = Network(model, example_input, optimizer, protect=protect)
        self.network.sample = sample
        self.policy, self.epochs, self.seed = policy, epochs, seed
        self.reference, self.initialise, self._pool = reference, initialise, pool
        self.records: list[Record] = []
        self.actions: list[tuple[int, Action]] = []
        self.meter = meter or Meter()
        self.steps = Steps()
        self._scale = LossScale(scaler, self.network.optimizers)
        self._told: set[str] = set()
        self.watcher: Watcher | None = None
        self._more = tuple(probes)
        self.probes: dict[str, Probe] = {}
        self.watch([*(policy.probes() if policy else ()), *probes])

    def __repr__(self) -> str:
        return f"Pruner({self.policy!r}) of {summary(self.network)}"

    @property
    def history(self) -> History:
        """What the policy sees."""
        layout, epochs, seed = self.network.layout, self.epochs, self.seed
        return History.of(layout, self.records, epochs, seed, self.reference)

    def watch(self, probes: Iterable[Probe]) -> None:
        """Measure these from now on, and no others."""
        asked = {probe.key: probe for probe in probes}
        if self.watcher and asked.keys() == self.probes.keys():
            return
        if self.watcher:
            self.watcher.close()
        self.probes = asked
        maps = [p for p in self.probes.values() if isinstance(p, ActivationSaliency)]
        given = (self.network, maps, self.meter, self._pool, self._scale.out_of)
        self.watcher = Watcher(*given) if maps else None
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

    def try_out(self, probe: Probe) -> Tensor | None:
        """What a probe measures now, on the sample if it looks at steps; nothing is recorded."""
        self.watch([probe])
        if probe.per_step and self.network.sample:
            self._try_gradients(self.network.sample)
        with torch.no_grad(), unwatched():
            found = self._score(probe.key, probe)
        self.steps.clear()
        return found

    def after_backward(self) -> None:
        """Measure one step; to be called while its gradients are there.

        A step whose gradients are not finite is left out of the scores. Raises RuntimeError if
        gradients are to be measured and there are none.
        """
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
        self._tell_of_steps()
        self.steps.clear()
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
            for warning in action.warnings:
                self._tell(warning)
        self._watch_next()
        return action

    def _watch_next(self) -> None:
        """Measure what the policy asks for in the next epoch."""
        if self.policy and self.epochs:
            asking = self.policy.asks(len(self.records), self.epochs, bool(self.actions))
            self.watch([*(self.policy.probes() if asking else ()), *self._more])

    def follow(self, copy: nn.Module) -> None:
        """Cut a second network alike from now on, such as torch's AveragedModel, or a teacher.

        Raises ValueError, naming the first difference, if it has not the model's structure.
        """
        self.network.follow(copy)

    def state_dict(self) -> dict[str, Any]:
        """What was measured and done so far: tensors and plain containers, for ``torch.save``.

        The model's and the optimizer's own ``state_dict`` go beside it.
        """
        network, reference = self.network, self.reference
        return {
            "layout": network.layout.to_json(),
            "seed": self.seed,
            "epoch": network.epoch,
            "actions": [[e, a.to_json(), list(a.warnings)] for e, a in self.actions],
            "records": [_packed(record) for record in self.records],
            "reference": None if reference is None else _packed(reference),
            "masks": dict(network.masks),
            "start": network.start,
            "steps": self.steps.state_dict(),
            "maps": self.watcher.state_dict() if self.watcher else {},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Cut the dense model as it was cut, and go on from there.

        To be called first, on a new Pruner of the dense model with new optimizers; after it the
        model and the optimizers load theirs. Raises RuntimeError if this one has begun, ValueError
        if the state is of another network.
        """
        if self.records or self.actions:
            raise RuntimeError("load_state_dict() comes before the first step, on the dense model")
        if Layout.from_json(state["layout"]) != self.network.layout:
            raise ValueError("this state is of another network: the units of this one are others")
        self.seed, self.records = state["seed"], [_unpacked(one) for one in state["records"]]
        self.reference = None if state["reference"] is None else _unpacked(state["reference"])
        for epoch, content, warned in state["actions"]:
            self.actions.append((epoch, from_json(content, warned)))
        self._restore(state)

    def _restore(self, state: Mapping[str, Any]) -> None:
        network = self.network
        device = next(network.model.parameters()).device
        for _, action in self.actions:
            if not isinstance(action, Mask):
                network.remove(action.units)
        if state["masks"]:
            network.hold({name: mask.to(device) for name, mask in state["masks"].items()})
        network.epoch, network.start = state["epoch"], state["start"]
        self._watch_next()
        self.steps.load_state_dict(state["steps"], device)
        if self.watcher:
            self.watcher.load_state_dict(state["maps"], device)

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
            renew(model, self.network.optimizers)
            if self.initialise:
                self.initialise(model)
        self.network.copy_to_copies()

    def _score(self, key: str, probe: Probe) -> Tensor | None:
        if not probe.per_step:
            return self._fresh(probe)
        if self.watcher and isinstance(probe, ActivationSaliency):
            return self.watcher.take(key)
        return self.steps.mean(key)

    def _fresh(self, probe: Probe) -> Tensor:
        with noted(f"in saliency {probe.key}"):
            units = int(self.network.alive.sum())
            return fitting(probe, probe.score(self.network, self.seed), units)

    def _filed(self, probe: Probe, score: Tensor) -> npt.NDArray[np.floating]:
        if isinstance(probe, Saliency):
            return self.network.scatter(_ordered(score))
        return score.detach().cpu().double().numpy()

    def _begin(self) -> None:
        """Record the untrained network where nobody called ``start``."""
        watcher, self.watcher = self.watcher, None  # what it has seen is of the first epoch
        self.measure()
        self.watcher = watcher
        if self.policy and self.policy.decide(self.history):
            raise RuntimeError(
                f"{self.policy.name} prunes before training: call start() before the first step"
            )

    def _add_step(self) -> None:
        model, asked = self.network.model, [p for p in self.probes.values() if p.per_step]
        if not asked:
            return
        with torch.no_grad(), unwatched(), self._scale.taken_out(model):
            with self.meter.section(f"probe:{asked[0].key}"):
                finite = all_finite(p.grad for p in model.parameters() if p.grad is not None)
                if self.watcher:
                    self.watcher.settle(finite)
            for probe in asked:
                if not isinstance(probe, ActivationSaliency):
                    with self.meter.section(f"probe:{probe.key}"):
                        self.steps.add(probe.key, self._fresh(probe), _there(probe, finite))
            if finite is not None:
                self.steps.begin(finite)

    def _tell_of_steps(self) -> None:
        lost = self.steps.number - self.steps.counted
        if lost and not any("not finite" in told for told in self._told):
            self._tell(
                f"the gradients of {lost} of {self.steps.number} steps of epoch "
                f"{len(self.records)} were not finite; such steps are left out of the scores"
            )

    def _tell(self, warning: str) -> None:
        """Each once, wherever warnings go."""
        if warning not in self._told:
            self._told.add(warning)
            warnings.warn(warning, stacklevel=4)

    def _try_gradients(self, sample: Sample) -> None:
        """Forward and backward without a step, and everything put back as it was."""
        model = self.network.model
        with untouched(model):
            for batch in sample.batches():
                model.zero_grad(set_to_none=True)
                sample.loss(model, batch).backward()  # type: ignore[no-untyped-call]
                self._add_step()


def _there(probe: Probe, finite: Tensor | None) -> Tensor:
    if finite is None:
        raise RuntimeError(
            f"{probe.key} needs gradients, and no parameter has one: call after_backward() after "
            "loss.backward() and before zero_grad()"
        )
    return finite


def _packed(record: Record) -> Tensor:
    """As bytes that ``torch.load(weights_only=True)`` takes."""
    return torch.frombuffer(bytearray(record.to_bytes()), dtype=torch.uint8)


def _unpacked(data: Tensor) -> Record:
    return Record.from_bytes(data.numpy().tobytes())


def _ordered(score: Tensor) -> Tensor:
    """Scores that can be ranked: what is not a number ranks last (NaN means gone in a record)."""
    return torch.nan_to_num(score.float(), nan=NO_NUMBER)
