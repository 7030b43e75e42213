"""A short training to find out how long an epoch takes: some steps, scaled to all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from pruning.errors import InputError
from pruning.structure.units import UntraceableError
from pruning.training.batches import WHOLE, Batch, Batches, Share
from pruning.training.loop import Training
from sweeps.file.sweep import Sweep
from sweeps.file.trials import TrialSpec
from sweeps.planning.timings import ALWAYS, Timings

TRAIN_SECONDS = 5.0
EVALUATE_SECONDS = 1.0


def calibrate(sweep: Sweep, trials: Sequence[TrialSpec]) -> Timings:
    """The timings of dense training, in this process, with the probes that the trials ask for.

    On a GPU if the sweep asks for one and there is one. One worker is timed; several are taken to
    be as many times as fast in what they share, training and evaluating. Raises InputError if the
    task's data or model cannot be had.
    """
    needs = sweep.resources
    device = "cuda" if needs.gpus and torch.cuda.is_available() else "cpu"
    probes = {probe.key: probe for trial in trials for probe in trial.policy.probes()}
    task = sweep.task.model_copy(update={"sample_batches": 1})
    threads = torch.get_num_threads()
    torch.set_num_threads(needs.threads)
    try:
        training = Training(task, sweep.seeds[0], tuple(probes.values()), device)
        splits = training.data
        training.begin()
        for limit in (0.0, 1.0):  # the first step of all is slow
            some = [
                _Some(split, limit * seconds)
                for split, seconds in (
                    (splits.train, TRAIN_SECONDS),
                    (splits.validation, EVALUATE_SECONDS),
                    (splits.test, EVALUATE_SECONDS),
                )
            ]
            train, validation, test = some
            training.data = replace(splits, train=train, validation=validation, test=test)
            seconds = dict(training.epoch().seconds)
            if seconds["train"] > TRAIN_SECONDS:
                break
    except UntraceableError as error:
        raise InputError(f"task.model: {error}") from None
    finally:
        torch.set_num_threads(threads)
    steps = train.steps(task.batch_size) / train.batches
    evaluated = (len(validation) + len(test)) / max(1, validation.samples + test.samples)
    by_step = {"train", *(f"probe:{key}" for key, probe in probes.items() if probe.per_step)}
    factors = {**dict.fromkeys(by_step, steps), "evaluate": evaluated}
    shared = dict.fromkeys(ALWAYS, 1 / needs.workers)
    scaled = {
        name: spent * factors.get(name, 1.0) * shared.get(name, 1.0) * needs.devices
        for name, spent in seconds.items()
    }
    return Timings("calibrated", scaled)


class _Some(Batches):
    """A split that ends after some seconds, with one batch at least."""

    def __init__(self, whole: Batches, seconds: float) -> None:
        self.whole, self.seconds = whole, seconds
        self.batches = self.samples = 0

    def __len__(self) -> int:
        return len(self.whole)

    def shuffled(self, size: int, seed: int, epoch: int, share: Share = WHOLE) -> Iterator[Batch]:
        return self._limited(self.whole.shuffled(size, seed, epoch, share))

    def in_order(self, size: int, share: Share = WHOLE) -> Iterator[Batch]:
        return self._limited(self.whole.in_order(size, share))

    def _limited(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        began = time.perf_counter()
        for batch in batches:
            self.batches += 1
            self.samples += len(batch[1])
            yield batch
            if time.perf_counter() - began > self.seconds:
                return
