"""A command that a scheduler runs: it ends when asked to, and keeps nothing where it is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from cluster.scheduled import JOB_VARIABLE, check_lasting, stop_when_asked
from pruning.errors import InputError


@pytest.fixture
def handlers() -> Iterator[None]:
    """Those of a new process; what is installed meanwhile is taken away again."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_sigterm_does_what_ctrl_c_does_by_then() -> None:
    stop_when_asked()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))  # as Ray Tune does
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # as Ray does in its jobs
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGINT]
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@pytest.mark.parametrize(
    ("storage", "tracking", "study", "search", "field"),
    [
        ("earlyprune-runs", None, None, False, "--storage: 'earlyprune-runs' would be lost"),
        ("runs", "http://host:5000", None, False, "--storage: 'runs' would be lost"),
        ("s3://bucket/runs", None, None, False, "--tracking-uri: missing"),
        ("s3://bucket/runs", "http://host:5000", None, True, "--study: missing"),
    ],
)
def test_a_job_keeps_nothing_in_its_own_folder(
    storage: str,
    tracking: str | None,
    study: str | None,
    search: bool,
    field: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(JOB_VARIABLE, raising=False)
    check_lasting(storage, tracking, study, search)
    monkeypatch.setenv(JOB_VARIABLE, "{}")
    with pytest.raises(InputError) as error:
        check_lasting(storage, tracking, study, search)
    assert str(error.value).startswith(field)
    assert "\n" not in str(error.value)


def test_what_lasts_is_allowed_in_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(JOB_VARIABLE, "{}")
    check_lasting("/shared/runs", None, None, True)
    check_lasting("s3://bucket/runs", "http://host:5000", "postgresql://host/studies", True)
