"""The benchmark of starting up, with the commands that take no Ray."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.startup import __main__ as startup
from benchmarks.startup import measured


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    light = {name: measured.COMMANDS[name] for name in ("plan", "refused", "help")}
    monkeypatch.setattr(measured, "COMMANDS", light)
    monkeypatch.setattr(startup, "COMMANDS", light)


def test_two_builds_take_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "startup.json"
    base = ["--base", str(startup.ROOT)]

    assert startup.main([*base, "--rounds", "2", "--json", str(file)]) == 0

    found = json.loads(file.read_text(encoding="utf-8"))
    assert 0.02 < found["help_cpu_seconds"] < found["plan_cpu_seconds"]
    assert 5 < found["help_peak_mib"] < found["plan_peak_mib"]
    ratio = found["refused_cpu_to_base"]
    assert ratio["min"] <= ratio["median"] <= ratio["max"]
    assert {(row["command"], row["build"]) for row in found["rows"]} == {
        (command, build) for command in ("plan", "refused", "help") for build in ("ours", "base")
    }
    assert all(len(row["cpu_seconds"]) == 2 for row in found["rows"])
    assert str(tmp_path) not in file.read_text(encoding="utf-8")
    assert "of base" in capsys.readouterr().out


def test_a_command_that_ends_otherwise_is_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        measured, "COMMANDS", {"refused": measured.Command("run wrong.yaml", code=0)}
    )
    with pytest.raises(RuntimeError, match=r"run wrong.yaml ended with 2: error: task: unknown"):
        measured.measured(startup.ROOT, tmp_path)


def test_a_base_that_is_no_checkout_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        startup.main(["--base", str(tmp_path)])
    assert "is no checkout of earlyprune" in capsys.readouterr().err
