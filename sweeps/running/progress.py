"""What is seen while a sweep runs: epochs done and left, the newest trials, the time left."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeftColumn

_PLAIN_SECONDS = 15.0


class Display:
    """A live bar on a terminal; a plain line now and then where output goes to a file."""

    def __init__(self, console: Console, trials: int, epochs: int) -> None:
        self.console, self.trials, self.epochs = console, trials, epochs
        self.finished = self.failed = 0
        self._done: dict[str, int] = {}
        self._began = self._said = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} epochs"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeLeftColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Display:
        self._bar.start()
        self._task = self._bar.add_task("starting Ray", total=self.trials * self.epochs)
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def epochs_of(self, done: Mapping[str, int]) -> None:
        """These trials have come so many epochs far."""
        self._done.update(done)
        self._show()

    def end(self, trial: str, result: Mapping[str, Any]) -> None:
        """A trial has ended."""
        self._done[trial] = self.epochs
        if result["status"] == "finished":
            self.finished += 1
        elif result["status"] == "failed":
            self.failed += 1
            self._bar.console.print(f"[red]{trial} failed:[/] {escape(result['reason'])}")
        self._show()

    def _show(self) -> None:
        done = sum(self._done.values())
        failed = f", {self.failed} failed" if self.failed else ""
        what = f"{self.finished}/{self.trials} trials{failed}"
        if self._task is not None:
            total = self.trials * self.epochs
            self._bar.update(self._task, completed=done, total=total, description=what)
        if not self.console.is_terminal and time.monotonic() - self._said > _PLAIN_SECONDS:
            self._said = time.monotonic()
            total = self.trials * self.epochs
            left = (self._said - self._began) * (total - done) / max(done, 1)
            self.console.print(f"{what}, {done}/{total} epochs, about {left:.0f} s left")
