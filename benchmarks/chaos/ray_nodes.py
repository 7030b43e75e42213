"""A Ray cluster on machines of our own, as somebody would start it by hand: with a token."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import Any

from benchmarks.chaos.machines import Machines

ROOT = Path(__file__).parents[2]
SECONDS = 180
"""How long Ray may take to come up on a machine with much else to do."""
PORT, SERVER = 6379, "http://127.0.0.1:8265"
_ASK = """
import os, sys
from urllib.request import Request, urlopen
headers = {"Authorization": "Bearer " + os.environ["RAY_AUTH_TOKEN"]}
print(urlopen(Request(sys.argv[1], headers=headers), timeout=10).read().decode())
"""


class RayNodes:
    """The first machine is the head, the others join it; each has ``cpus``, the head ``head_cpus``.

    head_memory: bytes that the head counts itself with; by default what there is.
    said: what the nodes print goes to files in this folder. The job server listens on the head's
    own loopback address only, so commands that speak with it run on the head.
    """

    def __init__(
        self,
        machines: Machines,
        said: Path,
        cpus: int = 1,
        head_cpus: int = 1,
        head_memory: int | None = None,
    ) -> None:
        self.machines, self.said, self.cpus, self.head_cpus = machines, said, cpus, head_cpus
        self.head_memory = head_memory
        self.head = machines.names[0]
        self.token = secrets.token_hex(32)
        paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        machines.environment |= {
            "PATH": programs,
            "PYTHONPATH": paths,
            "OMP_NUM_THREADS": "1",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
            "RAY_raylet_start_wait_time_s": str(SECONDS),
            "RAY_worker_niceness": "0",  # nobody but us is here
        }
        self._folders: dict[str, str] = {}
        self._processes: dict[str, subprocess.Popen[Any]] = {}

    def start(self, *names: str) -> None:
        """Start Ray on these machines, the head first, and wait until all have joined."""
        wanted = names or tuple(self.machines.names)
        for name in sorted(wanted, key=lambda name: name != self.head):
            self.launch(name)
            if name == self.head:
                self._wait(lambda: self.ask("/api/version"), "the head's job server")
        running = {name for name, process in self._processes.items() if process.poll() is None}
        self._wait(lambda: len(self.alive()) >= len(running), "its nodes")

    def kill(self, name: str) -> None:
        """Ray and all it has started on a machine, at once."""
        self.machines.kill(name)
        if process := self._processes.pop(name, None):
            process.wait()
        shutil.rmtree(self._folders.pop(name, ""), ignore_errors=True)

    def stop(self) -> None:
        """All of it."""
        for name in self.machines.names:
            self.kill(name)

    def alive(self) -> list[str]:
        """The machines that the head counts as nodes now."""
        nodes = json.loads(self.ask("/nodes?view=summary"))["data"]["summary"]
        here = {self.machines.address(name): name for name in self.machines.names}
        there = [node.get("ip") for node in nodes if node["raylet"].get("state") == "ALIVE"]
        return [here[address] for address in there if address in here]  # new ones have none yet

    def ask(self, page: str) -> str:
        """A page of the head's job server. Raises RuntimeError."""
        address = urllib.parse.urljoin(SERVER, page)
        return self.machines.run(self.head, [sys.executable, "-c", _ASK, address], 30)

    def command(self, *arguments: str, **options: Any) -> subprocess.Popen[Any]:
        """``earlyprune`` on the head."""
        line = [sys.executable, "-m", "earlyprune", *arguments]
        return self.machines.start(self.head, line, **options)

    def launch(self, name: str) -> None:
        """Start Ray on a machine, and wait for nothing."""
        self._folders[name] = folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # paths of
        place = self.machines.address(name)  # sockets have a hundred characters at most
        line = ["ray", "start", "--block", "--disable-usage-stats", "--temp-dir", folder]
        line += ["--node-ip-address", place, "--object-store-memory", "100000000"]
        line += ["--num-cpus", str(self.head_cpus if name == self.head else self.cpus)]
        if name == self.head:
            line += ["--head", "--port", str(PORT), "--dashboard-host", "127.0.0.1"]
            line += ["--memory", str(self.head_memory)] if self.head_memory else []
        else:
            line += ["--address", f"{self.machines.address(self.head)}:{PORT}"]
        with (self.said / f"{name}.txt").open("ab") as file:
            self._processes[name] = self.machines.start(
                name, line, stdout=file, stderr=subprocess.STDOUT
            )

    def _wait(self, there: Any, what: str) -> None:
        end, last = time.monotonic() + SECONDS, ""
        while time.monotonic() < end:
            try:
                if there():
                    return
            except RuntimeError as error:
                last = str(error)[-300:]
            for name, process in self._processes.items():
                if process.poll() is not None:
                    text = (self.said / f"{name}.txt").read_text()[-2000:]
                    raise RuntimeError(f"Ray has ended on {name}: {text}")
            time.sleep(0.5)
        raise RuntimeError(f"{what} did not come up within {SECONDS} s: {last}")
