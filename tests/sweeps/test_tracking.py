"""Tracking, against the real MLflow: on SQLite, and a server that dies and comes back."""

from __future__ import annotations

import http.server
import logging
import math
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from sweeps.tracking.tracker import (
    AwayError,
    Tracker,
    TrackingError,
    check_tracking,
    without_password,
)

FINAL = {
    "val_accuracy": 0.9,
    "test_accuracy": 0.89,
    "sparsity": 0.5,
    "gpu_hours": 0.02,
    "train_seconds": 60.0,
}
CURVE = [(epoch, {"val_accuracy": epoch / 10, "gpu_hours": epoch / 500}) for epoch in range(10)]


@pytest.fixture(autouse=True)
def _not_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of a sweep MLflow is waited for; here it comes back at once, or never."""
    monkeypatch.setattr("sweeps.tracking.tracker._CLOSE_SECONDS", 3.0)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    Tracker(f"sqlite:///{path}", "other", "other", {}).close("FINISHED")
    return path


@pytest.fixture
def db(empty: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty, tmp_path / "mlflow.db"))


def free_port() -> int:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def start_server(db: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{db}"]
    command += ["--artifacts-destination", str(db.parent / "artifacts")]
    settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = subprocess.Popen(
        command,
        cwd=db.parent,
        env=os.environ | settings,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert server.poll() is None
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
            return server
        except OSError:
            time.sleep(0.2)
    stop_server(server)
    raise TimeoutError("mlflow server did not start")


def stop_server(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def sweep(tracker: Tracker, trials: int = 2, upto: int = 10) -> None:
    for number in range(trials):
        name = f"t{number}"
        tracker.trial(name, f"epi {number}", {"threshold": 0.9 + number / 100}, {"policy": "epi"})
        tracker.curve(name, CURVE[:upto])
        tracker.finish(name, FINAL, {"pareto": "yes"}, "FINISHED")
    tracker.close("FINISHED")


def open_tracker(db: Path) -> Tracker:
    return Tracker(f"sqlite:///{db}", "digits", "digits-1", {"code": "abc"})


def rows(db: Path) -> dict[str, int]:
    with closing(sqlite3.connect(db)) as database:
        tables = ("runs", "metrics", "latest_metrics", "params", "tags", "experiments")
        return {t: database.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}


def runs(uri: str | Path, experiment: str = "digits") -> tuple[MlflowClient, Run, dict[str, Run]]:
    """The client, the parent run and the trials' runs."""
    client = MlflowClient(f"sqlite:///{uri}" if isinstance(uri, Path) else uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    every = list(client.search_runs([found.experiment_id]))
    trials = {
        r.data.tags["earlyprune.trial"]: r for r in every if "earlyprune.trial" in r.data.tags
    }
    (parent,) = [run for run in every if "earlyprune.trial" not in run.data.tags]
    assert len(trials) == len(every) - 1
    return client, parent, trials


def test_a_fresh_sweep_is_one_experiment_a_parent_and_a_run_a_trial(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    db, note = tmp_path / "new" / "runs" / "mlflow.db", tmp_path / "sweep.yaml"
    note.write_text("name: digits")
    check_tracking(f"sqlite:///{db}")
    environment = {name: text for name, text in os.environ.items() if name.startswith("MLFLOW")}
    tracker = open_tracker(db)
    tracker.artifact(note)
    sweep(tracker)
    assert tracker.pending == 0
    assert capfd.readouterr() == ("", "")
    assert environment.items() <= os.environ.items()
    assert not any(name.startswith("MLFLOW") for name in os.environ.keys() - environment)
    assert logging.getLogger("mlflow").level != logging.CRITICAL
    assert {p.name for p in tmp_path.iterdir()} == {"new", "sweep.yaml"}

    client, parent, trials = runs(db)
    assert (parent.info.run_name, parent.info.status) == ("digits-1", "FINISHED")
    assert parent.data.tags["code"] == "abc"
    stored = db.parent / "mlartifacts" / parent.info.run_id / "artifacts" / "sweep.yaml"
    assert stored.read_text() == "name: digits"
    assert set(trials) == {"t0", "t1"}
    for trial in trials.values():
        assert trial.info.status == "FINISHED"
        assert trial.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert trial.data.metrics == FINAL
        history = client.get_metric_history(trial.info.run_id, "val_accuracy")
        assert [(point.step, point.value) for point in history] == [
            (epoch, values["val_accuracy"]) for epoch, values in CURVE
        ]
        (figure,) = client.get_metric_history(trial.info.run_id, "test_accuracy")
        assert figure.step == 0  # which the UI draws as a bar
    assert trials["t1"].data.params == {"threshold": "0.91"}
    assert trials["t1"].data.tags["policy"] == "epi"


def test_the_same_sweep_again_changes_nothing(db: Path) -> None:
    sweep(open_tracker(db))
    before = rows(db)
    _, _, first = runs(db)
    sweep(open_tracker(db))
    tracker = open_tracker(db)
    for _ in range(2):
        sweep(tracker)
    assert rows(db) == before
    assert {k: r.info.end_time for k, r in runs(db)[2].items()} == {
        k: r.info.end_time for k, r in first.items()
    }


def test_a_curve_is_continued(db: Path) -> None:
    tracker = open_tracker(db)
    tracker.trial("t0", "a", {}, {})
    tracker.curve("t0", CURVE[:4])
    tracker.finish("t0", {"val_accuracy": 0.3}, {}, "KILLED")
    tracker.close("KILLED")
    assert runs(db)[2]["t0"].info.status == "KILLED"

    again = open_tracker(db)
    again.trial("t0", "a", {}, {})
    assert runs(db)[2]["t0"].info.status == "RUNNING"
    assert runs(db)[1].info.status == "RUNNING"
    for epoch in range(2, 10):
        again.curve("t0", CURVE[: epoch + 1])
    again.finish("t0", FINAL, {}, "FINISHED")
    client, _, trials = runs(db)
    history = client.get_metric_history(trials["t0"].info.run_id, "val_accuracy")
    assert [p.step for p in history] == list(range(10))
    assert trials["t0"].data.metrics == FINAL


def test_a_final_figure_is_the_one_that_counts_and_may_change(db: Path) -> None:
    for pareto in (1.0, 0.0):
        tracker = open_tracker(db)
        tracker.trial("t0", "a", {}, {})
        tracker.curve("t0", [(0, {"gpu_hours": 2.0}), (1, {"gpu_hours": 4.0})])
        tracker.finish("t0", {"gpu_hours": 3.0, "pareto": pareto}, {}, "FINISHED")
        assert runs(db)[2]["t0"].data.metrics == {"gpu_hours": 3.0, "pareto": pareto}
        time.sleep(0.01)


def test_a_curve_is_one_request_and_a_long_one_a_few(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    log_batch = MlflowClient.log_batch

    def counted(self: MlflowClient, run: str, metrics=(), *rest, **named):  # type: ignore[no-untyped-def]
        sizes.append(len(metrics))
        return log_batch(self, run, metrics, *rest, **named)

    tracker = open_tracker(db)
    tracker.trial("t0", "a", {}, {})
    tracker.trial("t1", "b", {}, {})
    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    tracker.curve("t0", [(e, {f"m{i}": e * i for i in range(12)}) for e in range(18)])
    assert [size for size in sizes if size] == [216]
    tracker.curve("t1", [(e, {f"m{i}": e * i for i in range(100)}) for e in range(25)])
    assert [size for size in sizes if size] == [216, 999, 999, 502]
    monkeypatch.undo()
    assert rows(db)["metrics"] == 216 + 2500


def test_an_answer_that_was_lost_doubles_nothing(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call does its work and then fails, once."""
    failed: list[str] = []

    def lose_first(name: str) -> None:
        method = getattr(MlflowClient, name)

        def wrapped(self, *args, **named):  # type: ignore[no-untyped-def]
            result = method(self, *args, **named)
            if failed.count(name) < 2:
                failed.append(name)
                raise ConnectionError("answer lost")
            return result

        monkeypatch.setattr(MlflowClient, name, wrapped)

    for name in ("create_run", "log_batch", "set_terminated", "create_experiment"):
        lose_first(name)
    tracker = open_tracker(db)
    tracker.trial("t0", "a", {"x": 1}, {})
    tracker.curve("t0", CURVE)
    tracker.finish("t0", FINAL, {}, "FINISHED")
    for _ in range(10):
        tracker.close("FINISHED")
    assert tracker.pending == 0
    assert set(failed) == {"create_run", "log_batch", "set_terminated", "create_experiment"}
    client, _, trials = runs(db)
    assert list(trials) == ["t0"]
    history = client.get_metric_history(trials["t0"].info.run_id, "val_accuracy")
    assert [p.step for p in history] == list(range(10))


def test_two_that_find_the_database_empty_make_its_tables_once(tmp_path: Path) -> None:
    db = tmp_path / "mlflow.db"
    code = f"from sweeps.tracking.tracker import Tracker; Tracker('sqlite:///{db}', 'a', 'a', {{}})"
    paths = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", code], env=os.environ | paths) as first:
        while not (db.exists() and db.stat().st_size):
            assert first.poll() is None
            time.sleep(0.01)
        check_tracking(f"sqlite:///{db}")
        tracker = open_tracker(db)
        while tracker.pending:
            tracker.close("FINISHED")
    assert first.returncode == 0
    assert rows(db)["experiments"] == 3  # and MLflow's own


def test_figures_that_are_not_finite_and_odd_names_crash_nothing(db: Path) -> None:
    odd: dict[str, str | int | float] = {
        "a(b)[c]": 1,
        "../up": "x",
        "": "y",
        "long": "z" * 10_000,
        "k" * 400: 1.5,
        "ok.name/x": 2,
    }
    for _ in range(2):
        tracker = open_tracker(db)
        tracker.trial("t0", "n" * 1000, odd, {"note": "w" * 20_000, "odd(tag)": "1"})
        tracker.curve("t0", [(0, {"loss": math.nan, "acc": 0.1}), (1, {"loss": math.inf})])
        tracker.curve("t0", [(2, {"loss": -math.inf, "acc": 0.2, "p(x)": 1})])
        tracker.finish("t0", {"loss": math.nan, "speed": math.inf, "acc": 0.2}, {}, "FAILED")
        tracker.close("FAILED")
        assert tracker.pending == 0
        counted = rows(db)["metrics"]
    client, _, trials = runs(db)
    run = trials["t0"]
    assert run.info.status == "FAILED"
    assert math.isnan(run.data.metrics["loss"])
    assert math.isnan(run.data.metrics["speed"])
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [p.step for p in history] == [0, 1, 2]
    assert counted == 3 + 2 + 1 + 1
    assert {"a_b__c_", "ok.name/x"} <= set(run.data.params)
    assert len(run.data.params["long"]) == 6000


def test_a_run_deleted_by_hand_is_made_again(db: Path) -> None:
    tracker = open_tracker(db)
    tracker.trial("t0", "a", {"x": 1}, {})
    client, _, trials = runs(db)
    client.delete_run(trials["t0"].info.run_id)
    tracker.curve("t0", CURVE)
    tracker.finish("t0", FINAL, {}, "FINISHED")
    assert tracker.pending == 0
    assert runs(db)[2]["t0"].data.metrics == FINAL


def test_what_mlflow_refuses_is_counted_and_holds_nothing_up(
    db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = open_tracker(db)
    tracker.artifact(db.parent / "absent.txt")
    sweep(tracker)
    assert tracker.pending == 1
    assert len(runs(db)[2]) == 2
    assert "absent.txt" in caplog.text


def test_a_busy_database_is_refused_and_later_waited_for(
    db: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.tracking.address.CHECK_SECONDS", 0.2)
    with closing(sqlite3.connect(db)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match="busy") as caught:
            check_tracking(f"sqlite:///{db}")
        assert "\n" not in str(caught.value)
        tracker = open_tracker(db)
        sweep(tracker)
        assert tracker.pending == 8
        assert caplog.text.count("MLflow is away") == 1
        other.rollback()
    tracker.close("FINISHED")
    assert tracker.pending == 0
    assert len(runs(db)[2]) == 2


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("./mlruns", "sqlite:///"),
        ("mlruns", "sqlite:///"),
        ("", "sqlite:///"),
        ("file:./mlruns", "sqlite:///"),
        ("file:///tmp/mlruns", "sqlite:///"),
        ("ftp://host/x", "not known"),
        ("sqlite://", "no file"),
        ("sqlite:///:memory:", "no file"),
        ("http://127.0.0.1:1", "nothing answers"),
        ("http://user:s3cret@127.0.0.1:1", "nothing answers"),
        ("postgresql://user:s3cret@127.0.0.1:1/db", "postgresql"),
        ("postgresql+psycopg2://user:s3c/ret@127.0.0.1:1/db?password=s3cret", "postgresql"),
    ],
)
def test_addresses_that_cannot_be_used(uri: str, says: str) -> None:
    started = time.monotonic()
    with pytest.raises(TrackingError, match=says) as caught:
        check_tracking(uri)
    assert "\n" not in str(caught.value)
    assert "s3c" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://user:s3c%2Fret@host:1/db", "postgresql://user:***@host:1/db"),
        ("postgresql+psycopg2://user:s3c/r@t@host/db", "postgresql+psycopg2://user:***@host/db"),
        ("postgresql://h/db?password=s3c&user=me", "postgresql://h/db?password=***&user=me"),
        ("https://user:s3cret@host:1", "https://user:***@host:1"),
        ("https://host:1", "https://host:1"),
        ("sqlite:////tmp/a:b@c.db", "sqlite:////tmp/a:b@c.db"),
    ],
)
def test_an_address_is_shown_without_its_password(uri: str, shown: str) -> None:
    assert without_password(uri) == shown


def test_files_that_are_not_mlflows(tmp_path: Path) -> None:
    (garbage := tmp_path / "garbage.db").write_bytes(b"not a database\n" * 500)
    (short := tmp_path / "short.db").write_text("hello")
    with closing(sqlite3.connect(other := tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
    for path, says in {
        garbage: "not a database",
        short: "not a database",
        other: "something else",
        garbage / "under" / "mlflow.db": "folder",
        tmp_path: "unable to open",
    }.items():
        with pytest.raises(TrackingError, match=says) as caught:
            check_tracking(f"sqlite:///{path}")
        assert "\n" not in str(caught.value)
    assert short.read_text() == "hello"


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://user:s3cret@127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, b"<html>welcome</html>", "not an MLflow server"),
        (404, b"<html>no such page</html>", "not an MLflow server"),
        (501, b"unsupported", "not an MLflow server"),
        (401, b"who are you?", "credentials"),
        (403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}', "credentials"),
        (503, b"later", "error of its own"),
    ],
)
def test_servers_that_cannot_be_used(status: int, body: bytes, says: str) -> None:
    started = time.monotonic()
    with answering(status, body) as uri, pytest.raises(TrackingError, match=says) as caught:
        check_tracking(uri)
    assert "s3cret" not in str(caught.value)
    assert time.monotonic() - started < 5


def test_what_may_pass_is_told_from_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.tracking.address.CHECK_SECONDS", 1)
    with answering(503, b"later") as busy, pytest.raises(AwayError, match="error of its own"):
        check_tracking(busy)
    with pytest.raises(AwayError, match="nothing answers there"):
        check_tracking("http://127.0.0.1:9")
    with pytest.raises(AwayError, match="refused"):
        check_tracking("postgresql+psycopg2://me:s3cret@127.0.0.1:9/runs")
    for wrong in ("ftp://127.0.0.1:9", "mlruns"):
        with pytest.raises(TrackingError) as caught:
            check_tracking(wrong)
        assert not isinstance(caught.value, AwayError)


def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.tracking.address.CHECK_SECONDS", 1)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")
    silent = socket.create_server(("127.0.0.1", 0))
    with closing(silent), pytest.raises(TrackingError, match="no answer within 1 s"):
        check_tracking(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "120"


def test_a_server_that_dies_and_comes_back_has_everything_once(
    db: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    server = start_server(db, port)
    try:
        check_tracking(uri)
        tracker = Tracker(uri, "digits", "digits-1", {})
        tracker.trial("t0", "a", {"x": 1}, {})
        tracker.curve("t0", CURVE[:3])
        assert tracker.pending == 0
        stop_server(server)

        started = time.monotonic()
        for epoch in range(3, 10):
            tracker.curve("t0", [CURVE[epoch]])
        tracker.finish("t0", FINAL, {}, "FINISHED")
        tracker.trial("t1", "b", {"x": 2}, {})
        tracker.curve("t1", [*CURVE, (10, {"loss": math.nan})])
        assert tracker.pending == 10
        assert time.monotonic() - started < 5
        assert caplog.text.count("MLflow is away") == 1

        server = start_server(db, port)
        (note := db.parent / "note.txt").write_text("hello")
        tracker.artifact(note)
        tracker.close("FINISHED")
        assert tracker.pending == 0
        client, parent, trials = runs(uri)
        assert parent.info.status == "FINISHED"
        assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["note.txt"]
        for name in ("t0", "t1"):
            history = client.get_metric_history(trials[name].info.run_id, "val_accuracy")
            assert [point.step for point in history] == list(range(10))
        assert trials["t0"].data.metrics == FINAL
        assert math.isnan(trials["t1"].data.metrics["loss"])
        assert capfd.readouterr() == ("", "")

        before = rows(db)
        again = Tracker(uri, "digits", "digits-1", {})
        again.trial("t0", "a", {"x": 1}, {})
        again.curve("t0", CURVE)
        again.finish("t0", FINAL, {}, "FINISHED")
        again.close("FINISHED")
        assert rows(db) == before
    finally:
        stop_server(server)
