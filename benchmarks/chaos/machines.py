"""Machines of our own on one computer: network namespaces on a bridge, each with an address.

What runs in one sees the others only through the network, which can be cut and mended. Needs Linux,
root and iproute2; nothing leaves this computer.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any


class Machines:
    """So many machines, named ``m1``, ``m2``, ...; made on entering, gone with all they run after.

    host: the address at which the machines see this computer itself. environment: of everything
    that is started, beside this process's own.
    """

    def __init__(self, count: int, environment: Mapping[str, str] | None = None) -> None:
        self._mark = f"ep{os.getpid() % 100_000}"  # names of interfaces have 15 characters at most
        self._net = f"10.{64 + os.getpid() // 250 % 64}.{os.getpid() % 250}"
        self.names = [f"m{number}" for number in range(1, count + 1)]
        self.environment = dict(environment or {})
        self.host = f"{self._net}.254"

    def address(self, name: str) -> str:
        """The IP address of a machine."""
        return f"{self._net}.{self.names.index(name) + 1}"

    def __enter__(self) -> Machines:
        try:
            _ip(f"link add {self._mark} type bridge")
            _ip(f"addr add {self.host}/24 dev {self._mark}")
            _ip(f"link set {self._mark} up")
            for name in self.names:
                space, cable = self._space(name), self._cable(name)
                _ip(f"netns add {space}")
                _ip(f"link add {cable} type veth peer name eth0 netns {space}")
                _ip(f"link set {cable} master {self._mark} up")
                _ip(f"-n {space} addr add {self.address(name)}/24 dev eth0")
                _ip(f"-n {space} link set eth0 up")
                _ip(f"-n {space} link set lo up")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def start(self, name: str, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a command on a machine; options are those of ``subprocess.Popen``."""
        environment = {**os.environ, **self.environment, **options.pop("env", {})}
        line = ["ip", "netns", "exec", self._space(name), *command]
        return subprocess.Popen(line, env=environment, **options)

    def run(self, name: str, command: Sequence[str], seconds: float = 120, **options: Any) -> str:
        """What a command prints there. Raises RuntimeError, with that, if it fails."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
        process = self.start(name, command, **options)
        said, _ = process.communicate(timeout=seconds)
        if process.returncode:
            raise RuntimeError(
                f"{' '.join(command)} on {name} ended with {process.returncode}: {said}"
            )
        return str(said)

    def processes(self, name: str) -> list[int]:
        """The numbers of all processes on a machine."""
        return [int(pid) for pid in _ip(f"netns pids {self._space(name)}").split()]

    def kill(self, name: str, seconds: float = 30) -> None:
        """Everything on a machine, at once, with no time to say anything."""
        end = time.monotonic() + seconds
        while (left := self.processes(name)) and time.monotonic() < end:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def cut(self, name: str) -> None:
        """Unplug a machine's cable: it and the others hear no more of each other."""
        _ip(f"link set {self._cable(name)} down")

    def mend(self, name: str) -> None:
        """Plug it in again."""
        _ip(f"link set {self._cable(name)} up")

    @contextlib.contextmanager
    def apart(self, name: str) -> Iterator[None]:
        """A machine without a network while inside."""
        self.cut(name)
        try:
            yield
        finally:
            self.mend(name)

    def _space(self, name: str) -> str:
        return f"{self._mark}-{name}"

    def _cable(self, name: str) -> str:
        return f"{self._mark}{name}"

    def _remove(self) -> None:
        for name in self.names:
            with contextlib.suppress(RuntimeError):
                self.kill(name)
                _ip(f"netns del {self._space(name)}")
        with contextlib.suppress(RuntimeError):
            _ip(f"link del {self._mark}")


def _ip(arguments: str) -> str:
    done = subprocess.run(
        ["ip", *arguments.split()], capture_output=True, text=True, check=False, timeout=30
    )
    if done.returncode:
        raise RuntimeError(f"ip {arguments}: {done.stderr.strip()} (this needs Linux and root)")
    return done.stdout
