"""A conversation with MLflow about one sweep: its experiment, its run, and a run a trial.

Whatever is sent again changes nothing: a run is found by its tag, an epoch has one fixed time
stamp, and a figure is sent only if it differs.
"""

from __future__ import annotations

import math
import posixpath
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sweeps.tracking.address import sqlite_path

if TYPE_CHECKING:  # MLflow takes seconds to import, so that is left until something is to be said
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

Status = Literal["FINISHED", "FAILED", "KILLED"]

SWEEP_TAG, TRIAL_TAG, EPOCH_TAG = "earlyprune.sweep", "earlyprune.trial", "earlyprune.last_epoch"
PARENT_TAG, SOURCE_TAG = "mlflow.parentRunId", "mlflow.source.name"
_BATCH = 999  # MLflow takes 1000 entities a request: these, and one tag


@dataclass(frozen=True)
class TrialRun:
    id: str
    name: str
    params: dict[str, str | int | float]
    tags: dict[str, str]
    curve: set[str] = field(default_factory=set)  # the metrics known to have one


@dataclass
class _Row:
    """A run as the database holds it."""

    id: str
    start: int  # ms since 1970
    status: str
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)  # the last value of each

    @classmethod
    def of(cls, run: Run) -> _Row:
        info, data = run.info, run.data
        return cls(info.run_id, info.start_time, info.status, data.params, data.tags, data.metrics)


class Session:
    """A conversation with MLflow that began with reading what it holds of this sweep."""

    def __init__(
        self,
        uri: str,
        experiment: str,
        parent: str,
        tags: Mapping[str, str],
        artifacts: Path | None = None,
    ) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(uri)
        self.experiment = _experiment(self.client, uri, experiment, artifacts)
        mark = re.sub(r"['\"\\]", "_", parent)  # as the search's language has no escapes
        self.parent = next(self._search(SWEEP_TAG, mark), None) or self._create(
            parent, {SWEEP_TAG: mark}
        )
        self._log(self.parent, tags=tags)
        self._reopen(self.parent, "RUNNING")
        self.rows: dict[str, _Row] = {}
        for row in self._search(PARENT_TAG, self.parent.id):
            self.rows.setdefault(row.tags.get(TRIAL_TAG, ""), row)

    def resume(self, trial: TrialRun) -> None:
        row = self._row(trial)
        # Replayed, a trial that has ended would show another time of its end.
        if row.status != "FINISHED":
            self._reopen(row, "RUNNING")

    def curve(self, trial: TrialRun, points: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        from mlflow.entities import Metric

        row = self._row(trial)
        last = int(row.tags.get(EPOCH_TAG, -1))
        new = sorted((point for point in points if point[0] > last), key=lambda point: point[0])
        # An epoch may be replayed, so it has no time of day. A fixed one makes it the same row of
        # the database however often it is sent; the tag that says so goes with the last request.
        metrics = [
            Metric(name, value, row.start + epoch, epoch)
            for epoch, values in new
            for name, value in values.items()
        ]
        while len(metrics) > _BATCH:
            self._log(row, metrics[:_BATCH])
            metrics = metrics[_BATCH:]
        if new:
            self._log(row, metrics, tags={EPOCH_TAG: str(new[-1][0])})

    def finish(
        self,
        trial: TrialRun,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        status: Status,
        now: int,
    ) -> None:
        from mlflow.entities import Metric

        row = self._row(trial)
        last = int(row.tags.get(EPOCH_TAG, 0))
        stamp = max(now, row.start + last + 1)  # later than the curve, as the latest figure counts
        changed = [
            Metric(name, value, stamp, last if name in (trial.curve or row.metrics) else 0)
            for name, value in metrics.items()
            if not _same(row.metrics.get(name), value)
        ]
        self._log(row, changed, tags=tags)
        self._end(row, status)

    def figures(self, metrics: Mapping[str, float], now: int) -> None:
        """Figures of the whole sweep, on its own run."""
        from mlflow.entities import Metric

        known = self.parent.metrics
        changed = [Metric(k, v, now, 0) for k, v in metrics.items() if not _same(known.get(k), v)]
        self._log(self.parent, changed)

    def artifact(self, path: Path) -> None:
        self.client.log_artifact(self.parent.id, str(path))

    def close(self, status: Status) -> None:
        self._end(self.parent, status)

    def _row(self, trial: TrialRun) -> _Row:
        if trial.id not in self.rows:
            tags = {TRIAL_TAG: trial.id, PARENT_TAG: self.parent.id}
            self.rows[trial.id] = self._create(trial.name, tags)
        row = self.rows[trial.id]
        self._log(row, params=trial.params, tags=trial.tags)
        return row

    def _create(self, name: str, tags: Mapping[str, str]) -> _Row:
        tags = {SOURCE_TAG: "earlyprune", **tags}
        return _Row.of(self.client.create_run(self.experiment, run_name=name[:250], tags=tags))

    def _search(self, tag: str, value: str) -> Iterator[_Row]:
        """The runs with this tag, the oldest first."""
        token: str | None = None
        while token != "":
            page = self.client.search_runs(
                [self.experiment],
                f"tags.`{tag}` = '{value}'",
                max_results=500,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            yield from map(_Row.of, page)
            token = page.token or ""

    def _log(
        self,
        row: _Row,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str | int | float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Send what the row lacks, in one request if it fits; nothing lacking, send nothing."""
        from mlflow.entities import Param, RunTag

        texts = {_name(key): str(value)[:6000] for key, value in (params or {}).items()}
        texts = {key: value for key, value in texts.items() if key not in row.params}
        marks = {_name(key): str(value)[:5000] for key, value in (tags or {}).items()}
        marks = {key: value for key, value in marks.items() if row.tags.get(key) != value}
        # MLFLOW_ENABLE_ASYNC_LOGGING would have it done later, and its failure told to nobody.
        self.client.log_batch(
            row.id,
            metrics,
            [Param(key, value) for key, value in texts.items()],
            [RunTag(key, value) for key, value in marks.items()],
            synchronous=True,
        )
        row.params.update(texts)
        row.tags.update(marks)
        row.metrics.update((metric.key, metric.value) for metric in metrics)

    def _reopen(self, row: _Row, status: str) -> None:
        if row.status != status:
            self.client.update_run(row.id, status)
            row.status = status

    def _end(self, row: _Row, status: Status) -> None:
        if row.status != status:
            self.client.set_terminated(row.id, status)
            row.status = status


def _experiment(client: MlflowClient, uri: str, name: str, artifacts: Path | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        server = uri.startswith("http")  # it has a place of its own
        beside = sqlite_path(uri).parent / "mlartifacts" if uri.startswith("sqlite") else artifacts
        folder = None if server or beside is None else beside.absolute()
        kind = {"mlflow.experimentKind": "custom_model_development"}  # the UI opens on the runs
        return str(client.create_experiment(name, folder and folder.as_uri(), kind))
    # Its name stays taken, and nothing can be logged to it.
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def figures_of(values: Mapping[str, float]) -> dict[str, float]:
    """As MLflow can keep them: it would turn an infinity into 1.8e308, which ruins every chart."""
    numbers = {_name(key): float(value) for key, value in values.items()}
    return {key: value if math.isfinite(value) else math.nan for key, value in numbers.items()}


def _same(known: float | None, value: float) -> bool:
    return known is not None and (known == value or (math.isnan(known) and math.isnan(value)))


def _name(key: str) -> str:
    """The nearest name that MLflow takes: some characters only, and no odd path."""
    name = re.sub(r"[^\w.\- /]", "_", key)[:250] or "_"
    odd = posixpath.normpath(name) != name or name.startswith((".", "/"))
    return re.sub(r"[./]", "_", name) if odd else name


def now() -> int:
    return time.time_ns() // 1_000_000  # ms


def is_final(error: Exception) -> bool:
    """Whether sending the same again can never work."""
    code = getattr(error, "error_code", None)
    return code == "INVALID_PARAMETER_VALUE" or isinstance(error, FileNotFoundError)
