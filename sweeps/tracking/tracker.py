"""What earlyprune tells MLflow: from the driver only, in batches, and never in a trial's way.

A sweep is one experiment, a parent run and one nested run a trial. Every call of a `Tracker` is put
on a queue and sent at once if MLflow answers; while it does not, the queue waits and the sweep goes
on.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sweeps.tracking.address import (
    AwayError,
    TrackingError,
    check_tracking,
    checked,
    one_line,
    quiet_mlflow,
    without_password,
)
from sweeps.tracking.session import Session, Status, TrialRun, figures_of, is_final, now

__all__ = ["AwayError", "Tracker", "TrackingError", "check_tracking", "without_password"]

_FLUSH_SECONDS, _CLOSE_SECONDS = 10.0, 60.0
_log = logging.getLogger(__name__)


class Tracker:
    """The one voice of a sweep. No call raises because of MLflow or takes more than about 20 s.

    Args:
        uri: an address that `check_tracking` let pass.
        experiment: the MLflow experiment, made if need be. Beside an SQLite database its artifacts
            go to `mlartifacts` in the same folder.
        artifacts: the folder for them beside another database; a server has its own.
        parent_name: the name of the sweep's run in it; by that name it is found again.
        tags: the sweep's tags.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        parent_name: str,
        tags: Mapping[str, str],
        artifacts: Path | None = None,
    ) -> None:
        self._artifacts = artifacts
        self._uri, self._experiment_name, self._parent_name = uri, experiment, parent_name
        self._tags = dict(tags)
        self._trials: dict[str, TrialRun] = {}
        self._queue: deque[tuple[str, Callable[[Session], None]]] = deque()
        self._session: Session | None = None
        self._refused = 0
        self._wait, self._retry_at = 0.0, 0.0  # seconds; monotonic seconds
        self._put("the sweep", lambda session: None)

    @property
    def pending(self) -> int:
        """How many calls MLflow has not taken: those waiting, and those it refused for good."""
        return len(self._queue) + self._refused

    def trial(
        self,
        trial_id: str,
        name: str,
        params: Mapping[str, str | int | float],
        tags: Mapping[str, str],
    ) -> None:
        """Find the run of this trial again, or make it."""
        self._trials[trial_id] = trial = TrialRun(trial_id, name, dict(params), dict(tags))
        self._put(f"trial {trial_id}", lambda session: session.resume(trial))

    def curve(self, trial_id: str, points: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Add metrics by epoch, in one request; epochs up to the last one logged are left out."""
        trial = self._trials[trial_id]
        finite = [(epoch, figures_of(values)) for epoch, values in points]
        trial.curve.update(*(values for _, values in finite))
        self._put(f"curve of {trial_id}", lambda session: session.curve(trial, finite))

    def finish(
        self,
        trial_id: str,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        status: Status,
    ) -> None:
        """Set a trial's final figures and how it ended.

        A figure with a curve gets its last epoch as step; another gets 0, which MLflow's UI draws
        as a bar.
        """
        trial, ended = self._trials[trial_id], now()
        figures, marks = figures_of(metrics), dict(tags)
        self._put(
            f"end of {trial_id}",
            lambda session: session.finish(trial, figures, marks, status, ended),
        )

    def figures(self, metrics: Mapping[str, float]) -> None:
        """Set figures of the whole sweep."""
        numbers, at = figures_of(metrics), now()
        self._put("figures of the sweep", lambda session: session.figures(numbers, at))

    def artifact(self, path: Path) -> None:
        """Copy a file, or a folder with all in it, to the sweep's run."""
        self._put(f"file {path}", lambda session: session.artifact(path))

    def close(self, status: Status) -> None:
        """Say how the sweep ended and send what waits, for a minute at most; see `pending`."""
        self._queue.append(("end of the sweep", lambda session: session.close(status)))
        end = time.monotonic() + _CLOSE_SECONDS
        self._flush(_CLOSE_SECONDS, patient=False)
        while self._queue and time.monotonic() < end:
            time.sleep(1.0)
            self._flush(_CLOSE_SECONDS, patient=False)
        if self.pending:
            _log.warning("MLflow lacks %d updates; run the sweep again to log them", self.pending)

    def _put(self, what: str, send: Callable[[Session], None]) -> None:
        self._queue.append((what, send))
        self._flush(_FLUSH_SECONDS)

    def _flush(self, seconds: float, patient: bool = True) -> None:
        started, again = time.monotonic(), False
        if patient and started < self._retry_at:
            return
        with quiet_mlflow():
            while self._queue and time.monotonic() < started + seconds:
                what, send = self._queue[0]
                try:
                    self._session = self._session or self._open()
                    send(self._session)
                except Exception as error:
                    if not is_final(error):
                        return self._away(error)
                    if not again:  # a run may have been deleted meanwhile: look anew
                        again, self._session = True, None
                        continue
                    self._refused += 1
                    _log.warning("MLflow refuses the %s: %s", what, one_line(error, self._uri))
                self._queue.popleft()
                self._wait, again = 0.0, False

    def _open(self) -> Session:
        with checked(self._uri):  # MLflow itself would try for minutes
            names = self._experiment_name, self._parent_name
            return Session(self._uri, *names, self._tags, self._artifacts)

    def _away(self, error: Exception) -> None:
        """Keep the queue for later, and forget what the database held: it may not hold it now."""
        if not self._wait:
            _log.warning("MLflow is away, the sweep goes on: %s", one_line(error, self._uri))
        # The call that failed may have been done: a new session reads what there is first.
        self._session = None
        self._wait = min(60.0, 2 * self._wait or 1.0)
        self._retry_at = time.monotonic() + self._wait
