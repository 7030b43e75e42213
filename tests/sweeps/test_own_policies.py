"""Policies of a user's own, in one file outside the repository: tried, refused, swept."""

from __future__ import annotations

import importlib
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import here
import pytest
import yaml
from rich.console import Console
from sweep_files import changed

from pruning import InputError, testing
from pruning.policies.registry import policy as parse
from sweeps.file.sweep import Sweep
from sweeps.running import preflight
from sweeps.running.run import run
from sweeps.storage.store import Store

PAGE = Path(__file__).parents[2] / "docs" / "own-policy.md"

MINE = '''
from typing import ClassVar

from pydantic import PrivateAttr

from pruning import History, Policy, Prune


class Steady(Policy):
    """Keeps the contract."""

    name: ClassVar[str] = "steady"
    after: int = 1
    tried: ClassVar[list[int]] = []

    def decide(self, history: History) -> Prune | None:
        self.tried.append(self.after)
        return Prune.of([0]) if history.epoch == self.after else None


class Counts(Policy):
    """Cuts when it is asked for the third time."""

    name: ClassVar[str] = "counts"
    _asked: int = PrivateAttr(0)

    def decide(self, history: History) -> Prune | None:
        self._asked += 1
        return Prune.of([0]) if self._asked == 3 else None


class Fails(Policy):
    """Knows other networks than the tiny one."""

    name: ClassVar[str] = "fails"

    def decide(self, history: History) -> Prune | None:
        raise KeyError("layer4")
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that Python imports from, with what the page and this test call their own."""
    (tmp_path / "mine.py").write_text(MINE)
    for text, name in re.findall(r"```python\n(# (\S+)\n.*?)```", PAGE.read_text(), re.DOTALL):
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sweeps.running.run._train", here.train)
    yield tmp_path
    for name in ("mine", "plateau", "test_plateau"):
        sys.modules.pop(name, None)


def entries() -> list[Any]:
    """The policies on the page."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    found: list[Any] = yaml.safe_load(text)
    return found


def refusal(policies: list[Any]) -> str:
    with pytest.raises(InputError) as error:
        preflight.check(Sweep.parse(changed(policies=policies)))
    line = str(error.value)
    assert "\n" not in line
    return line


def test_the_page_is_short() -> None:
    lines = PAGE.read_text().splitlines()
    assert len(lines) < 60
    assert max(map(len, lines)) <= 130


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("check", testing.CHECKS)
def test_the_policy_on_the_page_keeps_the_contract_with_its_saliency(check: str) -> None:
    testing.CHECKS[check](parse({"policy": "plateau:Plateau", "saliency": "plateau:Peaks"}))


def test_the_policies_on_the_page_run(folder: Path) -> None:
    sweep = Sweep.parse(changed(policies=["dense", *entries()], seeds=[0], task__epochs=6))
    trials = preflight.check(sweep)
    assert [spec.setting["policy"] for spec in trials] == ["dense", *["plateau:Plateau"] * 2]
    uri = f"sqlite:///{folder}/mlflow.db"
    rows = run(sweep, trials, Store(folder / "runs"), uri, Console(quiet=True)).rows
    assert {row["status"] for row in rows} == {"finished"}
    assert all(row["prune_epochs"] for row in rows[1:])
    assert all(row["unit_sparsity"] == 0.5 for row in rows[1:])


@pytest.mark.usefixtures("folder")
def test_who_breaks_the_contract_is_refused_before_anything_starts() -> None:
    broken = {"policy": "mine:Counts"}
    line = refusal(["dense", {"policy": "mine:Steady"}, broken])
    assert line.startswith("policies.2: pure: mine:Counts() after epoch ")
    control = {"policy": "uniform", "of": broken}
    assert refusal(["dense", control]).startswith("policies.1: pure: mine:Counts() ")


@pytest.mark.usefixtures("folder")
def test_one_that_raises_is_left_to_fail_at_work() -> None:
    sweep = Sweep.parse(changed(policies=["dense", {"policy": "mine:Fails"}]))
    assert len(preflight.check(sweep)) == 4


@pytest.mark.usefixtures("folder")
def test_each_class_is_tried_once_and_quickly() -> None:
    own = {"policy": "mine:Steady", "after": {"grid": [2, 1, 0]}}
    sweep = Sweep.parse(changed(policies=["dense", own, {**own, "after": 3}]))
    preflight.check(sweep)
    tried = importlib.import_module("mine").Steady.tried
    assert set(tried) == {2}
    began = time.process_time()
    testing.quick(parse({"policy": "mine:Steady", "after": 5}))
    assert time.process_time() - began < 3
