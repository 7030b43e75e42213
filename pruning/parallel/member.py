"""Another process of a team, as its leader sees it: started, told, heard, and seen to its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait

from pruning.parallel.calls import Call
from pruning.parallel.group import PATIENCE
from pruning.training.batches import Share

_A_WORD = 5.0
"""Seconds in which a process that has failed has said so, or is gone."""


class TeamError(RuntimeError):
    """A process of a team has failed or died. The message is one line."""


class Member:
    """One process. Started, it imports what this process would, and says that it is ready."""

    def __init__(self, share: Share, device: str, threads: int) -> None:
        self.share = share
        here, there = socket.socketpair()
        with there:
            arguments = (there.fileno(), share.rank, share.count, threads, device)
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pruning.parallel.follower", *map(str, arguments)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
                stdin=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
                start_new_session=True,  # Ctrl-C is for the leader
            )
        self.connection = Connection(here.detach())

    def tell(self, call: Call) -> None:
        """Raises OSError if it has gone."""
        call.send(self.connection)

    def hear(self) -> None:
        """Wait until it has done what it was told. Raises EOFError if it has gone, TeamError."""
        if not self.connection.poll(PATIENCE.total_seconds()):
            raise TeamError(f"{self} has not answered for {PATIENCE}")
        answer = Call.receive(self.connection)
        if answer.name == "failed":
            error = TeamError(f"{self} failed: {answer.content['reason']}")
            error.add_note(answer.content["trace"])
            raise error

    def failure(self, seconds: float) -> TeamError | None:
        """Why it failed, or how it ended, if it does within so many seconds."""
        until = time.monotonic() + seconds
        while self.connection.poll(max(0.0, until - time.monotonic())):
            try:
                self.hear()
            except TeamError as error:
                return error
            except (EOFError, OSError):
                code = self.process.wait()
                how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
                return TeamError(f"{self} was ended by {how}")
        return None

    def end(self) -> None:
        """Let it end, and see to it."""
        self.connection.close()
        try:
            self.process.wait(_A_WORD)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __str__(self) -> str:
        return f"rank {self.share.rank} of {self.share.count}"


def cause_among(members: Sequence[Member]) -> TeamError | None:
    """Why a process has failed or died; of those that were only cut off from one that did, last."""
    wait([member.connection for member in members], _A_WORD)
    told = [error for member in members if (error := member.failure(0.5))]
    return min(told, key=lambda error: " RuntimeError: " in str(error), default=None)
