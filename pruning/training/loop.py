"""The training loop: epochs of one path. It asks no policy and knows none."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from pruning.actions import Action
from pruning.errors import InputError
from pruning.foreign import foreign
from pruning.history import Record, not_finite
from pruning.meter import Meter
from pruning.pruner import Pruner
from pruning.randomness import global_stream
from pruning.saliency import Probe
from pruning.structure.aside import Sample
from pruning.structure.layout import Layout
from pruning.structure.optimizers import admit
from pruning.training import models
from pruning.training.alone import ALONE, Alone
from pruning.training.average import Average
from pruning.training.batches import WHOLE, Batch, Batches, Share
from pruning.training.chance import chance
from pruning.training.data import Data, load
from pruning.training.memory_format import channels_last
from pruning.training.objective import Objective, scalar
from pruning.training.outputs import main_output
from pruning.training.task import Task

_EVALUATION_BATCH = 1024


class Training:
    """One network on its way through its epochs.

    Everything random is drawn from the seed and the epoch's number, so that a training is the same
    wherever and in however many pieces it runs (given a deterministic device and one number of
    threads). ``begin`` records the untrained network, ``epoch`` trains one epoch, ``apply``
    prunes between two epochs.

    group: of the processes that train this network together. All call the same in the same order;
    each works on its share of every batch, and the training is that of one process but for the
    order in which floating-point numbers are added, and for what dropout draws.

    Raises InputError if the task's data, model or optimizer cannot be had, or its batches are too
    small for the group, UntraceableError if nothing in the model can be pruned safely.
    """

    def __init__(
        self,
        task: Task,
        seed: int = 0,
        probes: Sequence[Probe] = (),
        device: torch.device | str = "cpu",
        group: Alone = ALONE,
    ) -> None:
        self.task, self.seed, self.group = task, seed, group
        self.device = torch.device(device)
        if task.deterministic and self.device.type == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at its first use
        self.meter = Meter(self.device)
        self.data = open_data(task, self.device)
        self.objective = Objective.of(task, self.data, self.device)
        weight = _weight(group.share, min(task.batch_size, len(self.data.train)))
        self._weight = torch.tensor(weight, dtype=torch.float32, device=self.device)
        _warm_up()  # before the clock runs: the process's cost, not this trial's
        with self.meter.section("startup"):
            model = open_model(task, self.data, seed).to(self.device)
            auto = task.channels_last == "auto"
            self._last = channels_last(model, self.data.shape) if auto else task.channels_last
            if self._last:
                model = model.to(memory_format=torch.channels_last)
            self.optimizers = _optimizers(task, model)
            self.pruner = Pruner(
                model,
                self.optimizers,
                example_input=torch.zeros(2, *self.data.shape, device=self.device),
                epochs=task.epochs,
                seed=seed,
                probes=probes,
                protect=task.protect,
                sample=Sample(
                    partial(self._sample, self.data.train), lambda _, batch: self._loss(batch)[0]
                ),
                meter=self.meter,
                pool=lambda values: group.sum(values * weight),
                initialise=models.initialisation(task.model.name),
            )
            self.average = Average(model, task.ema) if task.ema else None
            if self.average:
                self.pruner.follow(self.average.copy)

    @property
    def model(self) -> nn.Module:
        """The network as it is now."""
        return self.pruner.network.model

    @property
    def layout(self) -> Layout:
        """The units of the dense network."""
        return self.pruner.network.layout

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """What the outputs stand for, where the data say it."""
        return self.data.class_names

    @property
    def epoch_number(self) -> int:
        """How many epochs were trained so far; -1 before ``begin``."""
        return len(self.pruner.records) - 1

    def begin(self) -> Record:
        """Record the untrained network: its saliencies, and what is chance."""
        self.model.train()
        with self._numerics(), global_stream(self.device, self.seed, 0, "untrained"):
            self.pruner.start()
        untrained, known = (
            self.pruner.records[-1],
            chance(self.data.validation, self.task.judged_by),
        )
        self.pruner.records[-1] = replace(untrained, metrics=known)
        return self.pruner.records[-1]

    def _sample(self, train: Batches) -> Iterator[Batch]:
        batches = train.shuffled(self.task.batch_size, self.seed, 0)
        return itertools.islice(batches, self.task.sample_batches)

    def epoch(self) -> Record:
        """Train one epoch and record it; without probes if it has diverged, as the record says."""
        number = self.epoch_number
        dropout = (number, "dropout", *self.group.stream)
        with self._numerics(), global_stream(self.device, self.seed, *dropout):
            with self.meter.section("train"):
                metrics = self._train(number)
            with self.meter.section("evaluate"), self.averaged():
                metrics |= self._evaluate(self.data.validation, "val")
                test = self._evaluate(self.data.test, "test")
        if not_finite(metrics):
            self.watch(())  # probes of such a network may fail, which would hide what has happened
        samples = self.data.train.steps(self.task.batch_size) * self.task.batch_size
        with self._numerics(), global_stream(self.device, self.seed, number, "probes"):
            return self.pruner.measure(metrics, test, min(samples, len(self.data.train)))

    def averaged(self) -> AbstractContextManager[None]:
        """The network is what is evaluated and used in here: its average, if the task has one."""
        return self.average.in_place() if self.average else nullcontext()

    def watch(self, probes: Sequence[Probe]) -> None:
        """Measure these from the next epoch on, and no others."""
        self.pruner.watch(probes)

    def apply(self, action: Action) -> None:
        """Do what the action says, between two epochs."""
        with self.meter.section("prune"):
            self.pruner.apply(action)

    def _train(self, number: int) -> dict[str, float]:
        self.model.train()
        steps = self.data.train.steps(self.task.batch_size)
        total = torch.zeros(self.objective.width, dtype=torch.float64, device=self.device)
        share = self.group.share
        batches = self.data.train.shuffled(self.task.batch_size, self.seed, number, share)
        with self.group.wrapped(self.model, self._loss) as loss_of:
            for step, batch in enumerate(batches):
                # at the middle of the step: at its end a cosine's last step would have rate 0
                factor = self.task.schedule.factor(number + (step + 0.5) / steps, self.task.epochs)
                self._set_learning_rates(factor)
                loss, sums = loss_of(batch)
                # several processes add up their gradients: each mean counts by its share
                loss.backward(self._weight)  # type: ignore[no-untyped-call]
                self.pruner.after_backward()
                self.step_optimizers()
                if self.average:
                    self.average.update(number * steps + step + 1)
                total += sums  # on the device: a number read here would make every step wait for it
        return self.objective.figures("train", self.group.sum(total).tolist())

    def _set_learning_rates(self, factor: float) -> None:
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                if "initial_lr" in group:
                    group["lr"] = group["initial_lr"] * factor

    def step_optimizers(self) -> None:
        """One step with the gradients that are there, clipped if the task says so; they go."""
        if self.task.clip_gradient:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.task.clip_gradient)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def _evaluate(self, split: Batches, name: str) -> dict[str, float]:
        self.model.eval()
        streams = self.objective.streams()
        share = WHOLE if streams else self.group.share  # they are no sums: each process sees all
        total = torch.zeros(self.objective.width, dtype=torch.float64, device=self.device)
        with torch.no_grad():
            for batch in split.in_order(_EVALUATION_BATCH, share):
                output, target = self._output(batch)
                total += self.objective.step(output, target)[1]
                with self._counting():
                    for stream in streams.values():
                        stream.update(main_output(output), target)
            found = {f"{name}_{key}": scalar(key, s.compute()) for key, s in streams.items()}
        sums = total if streams else self.group.sum(total)
        return self.objective.figures(name, sums.tolist()) | found

    def _output(self, batch: Batch) -> tuple[Any, Tensor]:
        """What the model returns for a batch, and its targets."""
        x, y = (part.to(self.device, non_blocking=True) for part in batch)
        if self._last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        with self._autocast():
            return self.model(x), y

    def _loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean loss of a batch, and what is added up of it."""
        return self.objective.step(*self._output(batch), self.task.label_smoothing)

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.task.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """For metrics on a CPU, where counting is exact as it is: torchmetrics would count in a
        matrix of labels by classes squared, which takes gigabytes of a label a pixel."""
        before = torch.are_deterministic_algorithms_enabled()
        warned_only = torch.is_deterministic_algorithms_warn_only_enabled()
        if self.device.type == "cpu":
            torch.use_deterministic_algorithms(False)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=warned_only)

    @contextmanager
    def _numerics(self) -> Iterator[None]:
        """Deterministic algorithms while this training runs, if the task wants them."""
        before = torch.are_deterministic_algorithms_enabled()
        warned_only = torch.is_deterministic_algorithms_warn_only_enabled()
        # a warning only: of some functions CUDA has no deterministic form, and they should train
        torch.use_deterministic_algorithms(self.task.deterministic, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=warned_only)


def _weight(share: Share, whole: int) -> float:
    """What a share of a batch weighs in its loss. Raises InputError if it has no sample."""
    if whole < share.count:
        raise InputError(
            f"task.batch_size: {whole} is not allowed: {share.count} processes train each batch "
            f"together (allowed: {share.count} or more)"
        )
    return share.weight(whole)


@cache
def _warm_up() -> None:
    """Make a first optimizer: torch then imports its compiler, which takes seconds a process."""
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)


def _optimizers(task: Task, model: nn.Module) -> list[torch.optim.Optimizer]:
    """The task's optimizers. Raises InputError."""
    try:
        with foreign(f"{task.optimizer.name!r} cannot be made"):
            made = task.optimizer.optimizers(model)
        admit(model, made)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"task.optimizer: {error}") from None
    return made


def open_data(task: Task, device: torch.device) -> Data:
    """The task's data on a device. Raises InputError."""
    spec, wanted = task.data, task.loss.kind.targets
    if spec.targets == "auto" and wanted != "classes":  # that numbers are classes, the user may say
        spec = spec.model_copy(update={"targets": wanted})
    return load(spec.model_dump_json(), task.augment.model_dump_json(), str(device))


def open_model(task: Task, data: Data, seed: int) -> nn.Module:
    """The task's network with the weights that belong to the seed. Raises InputError."""
    model = task.model
    output = None if task.loss.own else data.target.output(data.outputs)
    return models.build(model.name, model.options, data.shape, data.outputs, seed, output)
