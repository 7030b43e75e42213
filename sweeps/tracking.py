"""What earlyprune tells MLflow: from the driver only, in batches, and never in a trial's way.

A sweep is one experiment, a parent run and one nested run a trial. Every call of a `Tracker` is put
on a queue and sent at once if MLflow answers; while it does not, the queue waits and the sweep goes
on. Whatever is sent again, after a lost answer or by the same sweep run again, changes nothing: a
run is found by its tag, an epoch has one fixed time stamp, and a figure is sent only if it differs.
"""

from __future__ import annotations

import logging
import math
import os
import posixpath
import re
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from pruning.errors import InputError

if TYPE_CHECKING:  # MLflow takes seconds to import, so that is left until something is to be said
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

Status = Literal["FINISHED", "FAILED", "KILLED"]

SWEEP_TAG, TRIAL_TAG, EPOCH_TAG = "earlyprune.sweep", "earlyprune.trial", "earlyprune.last_epoch"
PARENT_TAG, SOURCE_TAG = "mlflow.parentRunId", "mlflow.source.name"

_ALLOWED = "use sqlite:///PATH.db, http(s)://HOST:PORT of an MLflow server, or postgresql://..."
_CHECK_SECONDS, _FLUSH_SECONDS, _CLOSE_SECONDS = 5, 10.0, 60.0
_BATCH = 999  # MLflow takes 1000 entities a request: these, and one tag
_log = logging.getLogger(__name__)


class TrackingError(InputError):
    """A tracking address that cannot be used: the address, what is wrong, and what would do."""

    def __init__(self, uri: str, problem: str) -> None:
        shown = re.sub(r"//(?!/).*@", "//***@", uri).split("?")[0]
        super().__init__(f"tracking address {shown!r}: {problem}; {_ALLOWED}")


def check_tracking(uri: str) -> None:
    """Raise `TrackingError` if MLflow cannot be spoken to at this address, within about 10 s.

    A folder that is missing on the way to an SQLite file is made. No password is shown.
    """
    scheme = uri.partition("://")[0].partition("+")[0].lower() if "://" in uri else ""
    if scheme == "sqlite":
        exists = _check_sqlite(uri)
    elif scheme in ("postgresql", "mysql", "mssql"):
        exists = _check_database(uri)
    elif scheme in ("http", "https"):
        exists = True
    elif scheme == "file" or uri.startswith("file:") or not re.match(r"[\w+.-]+:", uri):
        raise TrackingError(uri, "MLflow no longer keeps runs in a folder of files")
    else:
        raise TrackingError(uri, "this kind of address is not known")
    if not exists:
        return
    bounds = {"MAX_RETRIES": "0", "TIMEOUT": str(_CHECK_SECONDS)}
    with _mlflow({f"MLFLOW_HTTP_REQUEST_{name}": value for name, value in bounds.items()}):
        from mlflow import MlflowClient

        try:
            MlflowClient(uri).search_experiments(max_results=1)
        except Exception as error:  # MLflow's own text may hold the address with its password
            http = scheme.startswith("http")
            raise TrackingError(uri, _http(error) if http else _line(error, uri)) from None


class Tracker:
    """The one voice of a sweep. No call raises because of MLflow or takes more than about 20 s.

    Args:
        uri: an address that `check_tracking` let pass.
        experiment: the MLflow experiment, made if need be. Beside an SQLite database its artifacts
            go to `mlartifacts` in the same folder.
        parent_name: the name of the sweep's run in it; by that name it is found again.
        tags: the sweep's tags.
    """

    def __init__(
        self, uri: str, experiment: str, parent_name: str, tags: Mapping[str, str]
    ) -> None:
        self._uri, self._experiment_name, self._parent_name = uri, experiment, parent_name
        self._tags = dict(tags)
        self._trials: dict[str, _Trial] = {}
        self._queue: deque[tuple[str, Callable[[_Session], None]]] = deque()
        self._session: _Session | None = None
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
        self._trials[trial_id] = trial = _Trial(trial_id, name, dict(params), dict(tags))
        self._put(f"trial {trial_id}", lambda session: session.resume(trial))

    def curve(self, trial_id: str, points: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Add metrics by epoch, in one request; epochs up to the last one logged are left out."""
        trial = self._trials[trial_id]
        finite = [(epoch, _figures(values)) for epoch, values in points]
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
        trial, now = self._trials[trial_id], _now()
        figures, marks = _figures(metrics), dict(tags)
        self._put(
            f"end of {trial_id}", lambda session: session.finish(trial, figures, marks, status, now)
        )

    def artifact(self, path: Path) -> None:
        """Copy a file, or a folder with all in it, to the sweep's run."""
        self._put(f"file {path}", lambda session: session.artifact(path))

    def close(self, status: Status) -> None:
        """Say how the sweep ended and send what waits, for a minute at most; see `pending`."""
        self._queue.append(("end of the sweep", lambda session: session.close(status)))
        self._flush(_CLOSE_SECONDS, patient=False)
        if self.pending:
            _log.warning("MLflow lacks %d updates; run the sweep again to log them", self.pending)

    def _put(self, what: str, send: Callable[[_Session], None]) -> None:
        self._queue.append((what, send))
        self._flush(_FLUSH_SECONDS)

    def _flush(self, seconds: float, patient: bool = True) -> None:
        started, again = time.monotonic(), False
        if patient and started < self._retry_at:
            return
        with _mlflow():
            while self._queue and time.monotonic() < started + seconds:
                what, send = self._queue[0]
                try:
                    self._session = self._session or self._open()
                    send(self._session)
                except Exception as error:
                    if not _final(error):
                        return self._away(error)
                    if not again:  # a run may have been deleted meanwhile: look anew
                        again, self._session = True, None
                        continue
                    self._refused += 1
                    _log.warning("MLflow refuses the %s: %s", what, _line(error, self._uri))
                self._queue.popleft()
                self._wait, again = 0.0, False

    def _open(self) -> _Session:
        check_tracking(self._uri)  # MLflow itself would try for minutes
        return _Session(self._uri, self._experiment_name, self._parent_name, self._tags)

    def _away(self, error: Exception) -> None:
        """Keep the queue for later, and forget what the database held: it may not hold it now."""
        if not self._wait:
            _log.warning("MLflow is away, the sweep goes on: %s", _line(error, self._uri))
        self._session = None
        self._wait = min(60.0, 2 * self._wait or 1.0)
        self._retry_at = time.monotonic() + self._wait


@dataclass(frozen=True)
class _Trial:
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


class _Session:
    """A conversation with MLflow that began with reading what it holds of this sweep."""

    def __init__(self, uri: str, experiment: str, parent: str, tags: Mapping[str, str]) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(uri)
        self.experiment = _experiment(self.client, uri, experiment)
        mark = re.sub(r"['\"\\]", "_", parent)  # as the search's language has no escapes
        self.parent = next(self._search(SWEEP_TAG, mark), None) or self._create(
            parent, {SWEEP_TAG: mark}
        )
        self._log(self.parent, tags=tags)
        self._reopen(self.parent, "RUNNING")
        self.rows: dict[str, _Row] = {}
        for row in self._search(PARENT_TAG, self.parent.id):
            self.rows.setdefault(row.tags.get(TRIAL_TAG, ""), row)

    def resume(self, trial: _Trial) -> None:
        row = self._row(trial)
        if row.status != "FINISHED":
            self._reopen(row, "RUNNING")

    def curve(self, trial: _Trial, points: Sequence[tuple[int, Mapping[str, float]]]) -> None:
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
        trial: _Trial,
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

    def artifact(self, path: Path) -> None:
        self.client.log_artifact(self.parent.id, str(path))

    def close(self, status: Status) -> None:
        self._end(self.parent, status)

    def _row(self, trial: _Trial) -> _Row:
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


def _experiment(client: MlflowClient, uri: str, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        folder = _sqlite_path(uri).parent / "mlartifacts" if uri.startswith("sqlite") else None
        kind = {"mlflow.experimentKind": "custom_model_development"}  # the UI opens on the runs
        return str(client.create_experiment(name, folder and folder.as_uri(), kind))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _figures(values: Mapping[str, float]) -> dict[str, float]:
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


def _now() -> int:
    return time.time_ns() // 1_000_000  # ms


def _final(error: Exception) -> bool:
    """Whether sending the same again can never work."""
    code = getattr(error, "error_code", None)
    return code == "INVALID_PARAMETER_VALUE" or isinstance(error, FileNotFoundError)


@contextmanager
def _mlflow(settings: Mapping[str, str] | None = None) -> Iterator[None]:
    """MLflow as it is needed here, quiet and soon back; afterwards all is as before.

    Unless the user's environment says otherwise, requests end after 10 s. They are not repeated by
    MLflow, which would make a run twice when only the answer was lost; a `Tracker` looks first.
    """
    import mlflow  # noqa: F401  sets up its logging when imported, so first

    defaults = {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    before = {name: os.environ.get(name) for name in defaults}
    loggers = {name: logging.getLogger(name) for name in ("mlflow", "mlflow.store", "alembic")}
    levels = {name: logger.level for name, logger in loggers.items()}
    given = {name: value for name, value in before.items() if value is not None}
    os.environ.update({**defaults, **given, **(settings or {})})
    for logger in loggers.values():
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, logger in loggers.items():
            logger.setLevel(levels[name])
        for name in defaults:
            os.environ.pop(name, None)
        os.environ.update(given)


def _sqlite_path(uri: str) -> Path:
    from sqlalchemy.engine import make_url

    return Path(make_url(uri).database or "").absolute()


def _check_sqlite(uri: str) -> bool:
    """Whether MLflow's tables are there already; `TrackingError` if they cannot be."""
    from sqlalchemy.engine import make_url

    if make_url(uri).database in (None, "", ":memory:"):
        raise TrackingError(uri, "there is no file in it, so nothing would be kept")
    path = _sqlite_path(uri)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=_CHECK_SECONDS)) as database:
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
            database.execute("BEGIN IMMEDIATE")
            database.rollback()
    except OSError as error:
        raise TrackingError(uri, f"the folder cannot be made ({error.strerror})") from None
    except sqlite3.Error as error:
        busy = "locked" in str(error)
        raise TrackingError(
            uri, f"busy, another program holds it ({error})" if busy else f"{error}"
        ) from None
    if tables and "experiments" not in tables:
        raise TrackingError(uri, "this database holds something else than MLflow's tables")
    return bool(tables)


def _check_database(uri: str) -> bool:
    import sqlalchemy

    limit = {"connect_timeout": _CHECK_SECONDS} if not uri.startswith("mssql") else {}
    try:
        engine = sqlalchemy.create_engine(uri, connect_args=limit)
        with engine.connect() as connection:
            return sqlalchemy.inspect(connection).has_table("experiments")
    except ModuleNotFoundError as error:
        raise TrackingError(
            uri, f"its driver is not installed (pip install {error.name})"
        ) from None
    except Exception as error:
        raise TrackingError(uri, _line(error, uri)) from None


def _http(error: BaseException) -> str:
    """Why a server could not be used."""
    import requests

    causes: list[BaseException | None] = [error]
    while causes[-1] is not None:
        causes.append(causes[-1].__cause__ or causes[-1].__context__)
    if "timed out" in str(error) or any(isinstance(cause, requests.Timeout) for cause in causes):
        return f"no answer within {_CHECK_SECONDS} s"
    if any(isinstance(cause, requests.exceptions.SSLError) for cause in causes):
        return "its certificate is not trusted"
    if any(isinstance(cause, requests.exceptions.ConnectionError) for cause in causes):
        return "nothing answers there"
    if getattr(error, "error_code", None) in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        names = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        return f"the server refuses the credentials (set {names})"
    if any(isinstance(cause, requests.exceptions.RetryError) for cause in causes):
        return "the server answers with an error of its own (429 or 5xx)"
    return "what answers there is not an MLflow server"


def _line(error: Exception, uri: str) -> str:
    """An error in one line, without the secrets of the address."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    for secret in re.findall(r"//[^:/]*:(.*)@|password=([^&]*)", uri):
        for part in filter(None, secret):
            text = text.replace(part, "***").replace(unquote(part), "***")
    return text if len(text) <= 300 else text[:297] + "..."
