"""A process that trains along with its leader: it does what it is told, and ends with it.

Started by ``pruning.parallel.team`` as ``python -m pruning.parallel.follower``.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any, NoReturn

import torch

from pruning.actions import from_json
from pruning.history import Record
from pruning.parallel.calls import Call
from pruning.parallel.group import Group, meeting_place
from pruning.saliency import Probe
from pruning.saliency.registry import probe
from pruning.training import snapshot
from pruning.training.alone import Alone
from pruning.training.batches import Share
from pruning.training.loop import Training
from pruning.training.task import Task


class Follower:
    """One training after the other, in step with the leader's."""

    training: Training

    def __init__(self, share: Share, device: str) -> None:
        self.share, self.device = share, device

    def join(self, file: str) -> None:
        """Join the leader's group."""
        store = meeting_place(file, self.share.count)
        self.group = Group(store, self.share, torch.device(self.device))

    def open(self, data: Sequence[bytes], folder: str, task: Any, seed: int, probes: Any) -> None:
        """data: nothing, or a snapshot and the records up to it."""
        self.__dict__.pop("training", None)  # two may be more than there is memory for
        os.chdir(folder)  # what a task names by a relative path is there
        records = [Record.from_bytes(record) for record in data[1:]]
        given = Task.parse(task), seed, [probe(one) for one in probes]
        start = data[0] if data else None
        self.training = begun_or_resumed(*given, start, records, self.device, self.group)

    def begin(self) -> None:
        self.training.begin()

    def epoch(self) -> None:
        self.training.epoch()

    def watch(self, probes: Any) -> None:
        self.training.watch([probe(one) for one in probes])

    def apply(self, action: Any, warnings: Sequence[str]) -> None:
        self.training.apply(from_json(action, warnings))


def begun_or_resumed(
    task: Task,
    seed: int,
    probes: Sequence[Probe],
    data: bytes | None,
    records: Sequence[Record],
    device: str,
    group: Alone,
) -> Training:
    """A training from its start, or from a snapshot and the records up to it."""
    if data is None:
        return Training(task, seed, probes, device, group)
    return snapshot.resume(data, task, seed, list(records), tuple(probes), device, group)


def one_line(error: BaseException) -> str:
    """Its kind and what it says."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def main(handle: int, rank: int, count: int, threads: int, device: str) -> None:
    """Answer the leader's calls, each with its name or with why it failed, until it has gone."""
    torch.set_num_threads(threads)
    connection = Connection(handle)
    calls: SimpleQueue[Call] = SimpleQueue()
    # a thread, as this one may wait in a collective for a leader that is no more
    Thread(target=_listen, args=(connection, calls), daemon=True).start()
    follower = Follower(Share(rank, count), device)
    Call("ready").send(connection)
    while True:
        call = calls.get()
        data = () if call.data is None else (call.data,)
        try:
            getattr(follower, call.name)(*data, **call.content)
        except (Exception, SystemExit) as error:
            told = {"reason": one_line(error), "trace": traceback.format_exc()}
            Call("failed", told).send(connection)
            _leave(1)
        Call(call.name).send(connection)


def _listen(connection: Connection, calls: SimpleQueue[Call]) -> None:
    """Pass calls on; at their end this process ends, whatever it waits for."""
    while True:
        try:
            calls.put(Call.receive(connection))
        except (EOFError, OSError):
            _leave(0)


def _leave(code: int) -> NoReturn:
    """At once: others may wait for this process, and this one for others."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    handle, rank, count, threads, device = sys.argv[1:]
    main(int(handle), int(rank), int(count), int(threads), device)
