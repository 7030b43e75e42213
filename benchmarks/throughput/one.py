"""Epochs of one case in this process; a line of JSON says how long each took.

python -m benchmarks.throughput.one --case "quick start" --way ours --epochs 4
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from benchmarks.throughput.cases import cases

WAYS = ("ours", "auto", "bf16", "by hand", "by hand, last", "by hand, bf16")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput.one")
    parser.add_argument("--case", required=True)
    parser.add_argument("--way", choices=WAYS, required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--pruning", help="the checkout that pruning is imported from")
    given = parser.parse_args(arguments)
    if given.pruning:
        sys.path.insert(0, given.pruning)  # benchmarks is imported already, and stays ours
    torch.set_num_threads(1)
    epoch = _epoch(cases()[given.case], given.way)
    epoch()  # what is done once
    print(json.dumps([epoch() for _ in range(given.epochs)]))
    return 0


def _epoch(task: dict[str, Any], way: str) -> Callable[[], float]:
    """Trains an epoch; returns the seconds of CPU of its training steps."""
    from pruning.training.loop import Training
    from pruning.training.task import Task

    last = True if way.startswith("by hand,") else "auto"
    formats: dict[str, Any] = {} if way in ("ours", "by hand") else {"channels_last": last}
    if way.endswith("bf16"):
        formats["precision"] = "bf16"
    training = Training(Task.parse({**task, "epochs": 50} | formats))
    training.begin()
    if way.startswith("by hand"):
        return lambda: _by_hand(training, bool(formats), way.endswith("bf16"))

    def ours() -> float:
        began = time.process_time()
        training.model.train()
        with training._numerics():
            training._train(1)
        return time.process_time() - began

    return ours


def _by_hand(training: Any, last: bool, bf16: bool) -> float:
    """The same steps, as tight as one writes them."""
    model, optimizers = training.model.train(), training.optimizers
    batches = list(training.data.train.shuffled(training.task.batch_size, 0, 1))
    smooth = training.task.label_smoothing
    began = time.process_time()
    for x, y in batches:
        given = x.contiguous(memory_format=torch.channels_last) if last else x
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            out = model(given)
        loss = nn.functional.cross_entropy(out.float(), y, label_smoothing=smooth)
        torch.autograd.backward([loss])
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
