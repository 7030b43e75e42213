"""A web server of this machine that runs while inside."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

SECONDS = 120
"""How long a server may take to answer, on a machine with much else to do."""


@contextmanager
def serving(command: Sequence[str], page: str = "/", **environment: str) -> Iterator[str]:
    """Its address, once ``page`` answers; the command is given --host and --port, a free one."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said.txt"
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, **environment},
            stdout=said.open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        address, end = f"http://127.0.0.1:{port}", time.monotonic() + SECONDS
        try:
            while not _answers(address + page):
                if server.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{command[0]} does not answer: {said.read_text()[-2000:]}")
                time.sleep(0.2)
            yield address
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=60)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False
