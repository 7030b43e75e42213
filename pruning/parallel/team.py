"""Trainings that several processes of one machine run together, led by this one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from typing import Any

import torch

from pruning.actions import Action
from pruning.history import Record
from pruning.parallel.calls import Call
from pruning.parallel.follower import begun_or_resumed, one_line
from pruning.parallel.group import Group, meeting_place
from pruning.parallel.member import Member, TeamError, cause_among
from pruning.saliency import Probe
from pruning.saliency.registry import specify
from pruning.structure.layout import Layout
from pruning.training import snapshot
from pruning.training.alone import ALONE, Alone
from pruning.training.batches import Share
from pruning.training.loop import Training
from pruning.training.task import Task


class Team:
    """Opens trainings that ``count`` processes run together: data parallelism, SPMD.

    Every process holds the whole network and trains it on its share of each batch; gradients are
    added up (``pruning.parallel.group``). This process is rank 0 and the only one that others talk
    to; the rest are started with the first training, wait between trainings, and end with ``close``
    or with this process. A team of one is this process alone, and trains as if there were no teams.

    device: ``cpu``, or ``cuda`` for one GPU each. threads: of each process that is started.

    Whatever a call raises ends the processes, and the next ``open`` starts new ones. Raises
    TeamError within seconds if one of them fails or dies, after ``PATIENCE`` if one hangs.
    """

    def __init__(self, count: int = 1, device: str = "cpu", threads: int = 1) -> None:
        self.count, self.device, self.threads = count, device, threads
        self.group: Alone = ALONE
        self.members: list[Member] = []

    def open(
        self,
        task: Task,
        seed: int,
        probes: Sequence[Probe] = (),
        data: bytes | None = None,
        records: Sequence[Record] = (),
    ) -> TeamTraining:
        """A training from its start, or from a snapshot and the records up to it.

        The one before must not be used any more.
        """
        if self.count > 1 and not self.members:
            self._start()
        content = {
            "folder": os.getcwd(),
            "task": task.model_dump(mode="json"),
            "seed": seed,
            "probes": [specify(probe) for probe in probes],
        }
        given = [data, *(record.to_bytes() for record in records)] if data else []
        with self.together("open", given, **content):
            training = begun_or_resumed(
                task, seed, probes, data, records, self._device(0), self.group
            )
        return TeamTraining(self, training)

    def take(self, training: TeamTraining) -> bytes:
        """A snapshot; a team of any size can go on from it."""
        return snapshot.take(training.training)

    def close(self) -> None:
        """End all processes but this one."""
        members, self.members = self.members, []
        for member in members:
            member.end()
        if isinstance(self.group, Group):
            self.group.leave()
        self.group = ALONE

    @contextmanager
    def together(
        self, name: str, data: Sequence[bytes] | None = None, **content: Any
    ) -> Iterator[None]:
        """What this process does in here, all do: ``name`` is what a Follower calls it."""
        with self._guarded():
            for member in self.members:
                member.tell(Call(name, content, data))
            yield
            for member in self.members:
                member.hear()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Whatever is raised in here ends the team; a process that caused it is named."""
        try:
            yield
        except (RuntimeError, OSError, EOFError) as error:  # perhaps for want of another process
            # A process that dies breaks the others' collectives: what is raised here may be no more
            # than the echo. Where all fail alike it is the cause itself, and raised as it is.
            told = isinstance(error, TeamError) or not self.members
            cause = None if told else cause_among(self.members)
            self.close()
            if cause is None or str(cause).endswith(one_line(error)):
                raise
            raise cause from error
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        with self._guarded():
            # all first, then heard: each imports torch for seconds
            for rank in range(1, self.count):
                share = Share(rank, self.count)
                self.members.append(Member(share, self._device(rank), self.threads))
            for member in self.members:
                member.hear()  # it is there
        # a folder is ours alone; the port of a TCPStore, before, was every user's of the machine
        with tempfile.TemporaryDirectory(prefix="earlyprune-team-") as folder:
            file = os.path.join(folder, "meeting")
            with self.together("join", file=file):
                store = meeting_place(file, self.count)
                share, device = Share(0, self.count), torch.device(self._device(0))
                group = self.group = Group(store, share, device)
        if self.device == "cuda":
            for member in self.members:
                Thread(target=self._watch, args=(member, group), daemon=True).start()

    def _watch(self, member: Member, group: Group) -> None:
        """NCCL, unlike Gloo, does not notice that a process of the same machine has died."""
        member.process.wait()
        if member in self.members:
            group.abort()

    def _device(self, rank: int) -> str:
        return f"cuda:{rank}" if self.device == "cuda" and self.count > 1 else self.device


class TeamTraining:
    """A training of a team, to be used as a Training is; ``training`` is this process's part."""

    def __init__(self, team: Team, training: Training) -> None:
        self.team, self.training = team, training

    @property
    def layout(self) -> Layout:
        """The units of the dense network."""
        return self.training.layout

    @property
    def epoch_number(self) -> int:
        """How many epochs were trained so far; -1 before ``begin``."""
        return self.training.epoch_number

    def begin(self) -> Record:
        """Record the untrained network."""
        with self.team.together("begin"):
            return self.training.begin()

    def epoch(self) -> Record:
        """Train one epoch and record it."""
        with self.team.together("epoch"):
            return self.training.epoch()

    def watch(self, probes: Sequence[Probe]) -> None:
        """Measure these from the next epoch on, and no others."""
        with self.team.together("watch", probes=[specify(probe) for probe in probes]):
            self.training.watch(probes)

    def apply(self, action: Action) -> None:
        """Do what the action says, between two epochs."""
        with self.team.together("apply", action=action.to_json(), warnings=action.warnings):
            self.training.apply(action)
