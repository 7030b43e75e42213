"""Addresses of MLflow: which can be used, and how to speak to one quietly and within bounds."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

from pruning.errors import InputError
from sweeps.tracking.turns import TurnError, database_turn, folder_turn

_ALLOWED = "use sqlite:///PATH.db, http(s)://HOST:PORT of an MLflow server, or postgresql://..."
_DATABASES, _SERVERS = ("postgresql", "mysql", "mssql"), ("http", "https")
CHECK_SECONDS = 5


class TrackingError(InputError):
    """A tracking address that cannot be used: the address, what is wrong, and what would do."""

    def __init__(self, uri: str, problem: str) -> None:
        shown = re.sub(r"//(?!/).*@", "//***@", uri).split("?")[0]
        super().__init__(f"tracking address {shown!r}: {problem}; {_ALLOWED}")


class AwayError(TrackingError):
    """A tracking address that may be right, while nothing answers there now."""


def database_in(folder: Path) -> str:
    """The address of an SQLite database in a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


def check_tracking(uri: str) -> None:
    """Raise `TrackingError` if MLflow cannot be spoken to at this address, within about 10 s.

    `AwayError` if that may pass. A folder that is missing on the way to an SQLite file is made. No
    password is shown.
    """
    with suppress(TurnError), checked(uri):  # who makes MLflow's tables there, can use it
        pass


@contextmanager
def checked(uri: str) -> Iterator[None]:
    """As `check_tracking`, and nobody else opens the database inside; TurnError if someone does."""
    with ExitStack() as turn:
        _check(uri, turn)
        yield


def scheme_of(uri: str) -> str:
    """The kind of an address, without a database's driver. Raises `TrackingError`."""
    scheme = uri.partition("://")[0].partition("+")[0].lower() if "://" in uri else ""
    if scheme in ("sqlite", *_DATABASES, *_SERVERS):
        return scheme
    if scheme == "file" or uri.startswith("file:") or not re.match(r"[\w+.-]+:", uri):
        raise TrackingError(uri, "MLflow no longer keeps runs in a folder of files")
    raise TrackingError(uri, "this kind of address is not known")


def _check(uri: str, turn: ExitStack) -> None:
    scheme = scheme_of(uri)
    if scheme == "sqlite":
        exists = _check_sqlite(uri, turn)
    elif scheme in _DATABASES:
        exists = _check_database(uri, turn)
    else:
        exists = True
    # A client that is asked makes MLflow's tables, for seconds: that is left to the first session.
    if not exists:
        return
    bounds = {"MAX_RETRIES": "0", "TIMEOUT": str(CHECK_SECONDS)}
    with quiet_mlflow({f"MLFLOW_HTTP_REQUEST_{name}": value for name, value in bounds.items()}):
        from mlflow import MlflowClient

        try:
            MlflowClient(uri).search_experiments(max_results=1)
        except Exception as error:  # MLflow's own text may hold the address with its password
            if not scheme.startswith("http"):
                raise TrackingError(uri, one_line(error, uri)) from None
            raise _http(uri, error) from None


@contextmanager
def quiet_mlflow(settings: Mapping[str, str] | None = None) -> Iterator[None]:
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


def without_password(uri: str) -> str:
    """An address as it may be shown."""
    user = re.sub(r"^([\w+.-]+://[^:/@]*):.*@", r"\1:***@", uri)
    return re.sub(r"([?&]password=)[^&]*", r"\1***", user)


def sqlite_path(uri: str) -> Path:
    from sqlalchemy.engine import make_url

    return Path(make_url(uri).database or "").absolute()


def _check_sqlite(uri: str, turn: ExitStack) -> bool:
    """Whether MLflow's tables are there already; `TrackingError` if they cannot be."""
    from sqlalchemy.engine import make_url

    if make_url(uri).database in (None, "", ":memory:"):
        raise TrackingError(uri, "there is no file in it, so nothing would be kept")
    path = sqlite_path(uri)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        turn.enter_context(folder_turn(path.parent))
        with closing(sqlite3.connect(path, timeout=CHECK_SECONDS)) as database:
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


def _check_database(uri: str, turn: ExitStack) -> bool:
    import sqlalchemy

    limit = {"connect_timeout": CHECK_SECONDS} if not uri.startswith("mssql") else {}
    try:
        engine = sqlalchemy.create_engine(uri, connect_args=limit, poolclass=sqlalchemy.NullPool)
        if engine.dialect.name == "postgresql":
            turn.enter_context(database_turn(engine))
        with engine.connect() as connection:
            return sqlalchemy.inspect(connection).has_table("experiments")
    except ModuleNotFoundError as error:
        raise TrackingError(
            uri, f"its driver is not installed (pip install {error.name})"
        ) from None
    except TurnError:
        raise
    except sqlalchemy.exc.OperationalError as error:
        raise AwayError(uri, one_line(error, uri)) from None
    except Exception as error:
        raise TrackingError(uri, one_line(error, uri)) from None


def _http(uri: str, error: BaseException) -> TrackingError:
    """Why a server could not be used."""
    import requests

    causes: list[BaseException | None] = [error]
    while causes[-1] is not None:
        causes.append(causes[-1].__cause__ or causes[-1].__context__)
    if "timed out" in str(error) or any(isinstance(cause, requests.Timeout) for cause in causes):
        return AwayError(uri, f"no answer within {CHECK_SECONDS} s")
    if any(isinstance(cause, requests.exceptions.SSLError) for cause in causes):
        return TrackingError(uri, "its certificate is not trusted")
    if any(isinstance(cause, requests.exceptions.ConnectionError) for cause in causes):
        return AwayError(uri, "nothing answers there")
    if getattr(error, "error_code", None) in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        names = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        return TrackingError(uri, f"the server refuses the credentials (set {names})")
    if any(isinstance(cause, requests.exceptions.RetryError) for cause in causes):
        return AwayError(uri, "the server answers with an error of its own (429 or 5xx)")
    return TrackingError(uri, "what answers there is not an MLflow server")


def one_line(error: Exception, uri: str) -> str:
    """An error in one line, without the secrets of the address."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    for secret in re.findall(r"//[^:/]*:(.*)@|password=([^&]*)", uri):
        for part in filter(None, secret):
            text = text.replace(part, "***").replace(unquote(part), "***")
    return text if len(text) <= 300 else text[:297] + "..."
