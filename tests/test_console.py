"""Commands to copy: they can be called from where they are printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from earlyprune.commands.console import console, suggest


def shown(called: Path | str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "argv", [str(called)])
    with console.capture() as captured:
        suggest("trials", "--version")
    return captured.get().removeprefix("trials: ").strip()


@pytest.mark.parametrize("stands", [".", "bin", "elsewhere/deep"])
@pytest.mark.parametrize("on_path", [False, True])
def test_a_suggested_command_is_found(
    stands: str, on_path: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "earlyprune"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho called\n")
    program.chmod(0o755)
    (tmp_path / stands).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / stands)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin" if on_path else "/usr/bin:/bin")
    command = shown(program, monkeypatch)
    assert subprocess.check_output(command, shell=True, text=True) == "called\n"
    assert command.startswith("earlyprune ") == on_path
    assert ".." not in command


def test_a_module_is_called_with_the_python_that_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    program, *rest = shown("earlyprune/__main__.py", monkeypatch).split()
    assert rest[:2] == ["-m", "earlyprune"]
    asked = [program, "-c", "import sys; print(sys.prefix)"]
    assert os.path.samefile(subprocess.check_output(asked, text=True).strip(), sys.prefix)
