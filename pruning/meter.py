"""Seconds by what they were spent on."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


def clock_of(device: torch.device) -> Callable[[], float]:
    """Seconds that a device has worked for this process.

    Of a GPU all that pass; of CPUs those that the process had, by so many threads, as who else uses
    them costs it nothing.
    """
    if device.type != "cpu":
        return time.perf_counter
    return lambda: time.process_time() / torch.get_num_threads()


class Meter:
    """Charges every second of a device to the innermost section that is open.

    On a GPU the outermost section waits for the device, inner ones are timed by events on the
    device, so that measuring a probe at every step does not stop the queue.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._clock = clock_of(self.device)
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._open: list[tuple[str, float]] = []
        self._events: list[tuple[str, str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Charge the time inside to ``name``, and not to the section around it."""
        if self.device.type == "cuda" and self._open:
            begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            begin.record()
            yield
            end.record()
            self._events.append((self._open[-1][0], name, begin, end))
            return
        self._wait()
        now = self._clock()
        if self._open:
            outer, since = self._open[-1]
            self.seconds[outer] += now - since
        self._open.append((name, now))
        try:
            yield
        finally:
            self._wait()
            now = self._clock()
            _, since = self._open.pop()
            self.seconds[name] += now - since
            if self._open:
                self._open[-1] = (self._open[-1][0], now)
            self._settle()

    def take(self) -> dict[str, float]:
        """The seconds since the last call, by section; the clock starts again at zero."""
        taken = dict(self.seconds)
        self.seconds.clear()
        return taken

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _settle(self) -> None:
        for outer, name, begin, end in self._events:
            spent = begin.elapsed_time(end) / 1000
            self.seconds[name] += spent
            self.seconds[outer] -= spent
        self._events.clear()
