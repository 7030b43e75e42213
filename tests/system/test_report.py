"""Reports of whole sweeps, opened in a browser without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from browser import browser_page

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "sweeps" / "configs"
NAME = "<script>alert(1)</script>"
FAILS = '''
from typing import ClassVar

from pruning import History, Policy, Prune


class Fails(Policy):
    """Knows other networks than this one."""

    name: ClassVar[str] = "fails"

    def decide(self, history: History) -> Prune | None:
        raise KeyError("<img src=x onerror=alert(2)>")
'''


def earlyprune(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), str(folder)])
    return subprocess.run(
        [sys.executable, "-m", "earlyprune", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def report(folder: Path, config: Path, name: str, *changes: str, code: int = 0) -> Path:
    """Run a small variant of a sweep, then write its report."""
    (folder / "mine.py").write_text(FAILS)
    changes = (f"name={name}", "task.data.train_limit=256", *changes)
    ran = earlyprune(folder, "run", str(config), *(p for c in changes for p in ("--set", c)))
    assert ran.returncode == code, ran.stderr + ran.stdout
    page = folder / "report.html"
    wrote = earlyprune(folder, "report", name, "--output", str(page))
    assert wrote.returncode == 0, wrote.stderr
    return page


def check(page: Path, plots: int, name: str, width: int = 1280) -> str:
    """Open it: nothing is asked of the network, nothing complained of; returns what it says."""
    with browser_page(width=width) as sight:
        sight.open(page)
        assert sight.page.locator(".js-plotly-plot").count() >= plots
        assert sight.page.locator("h1").inner_text() == name
        assert sight.page.title() == f"{name} · earlyprune"
        across = "() => document.documentElement.scrollWidth"
        assert sight.page.evaluate(across) <= width
        for select in sight.page.locator("select[data-plot]").all():
            for option in select.locator("option").all():
                select.select_option(option.get_attribute("value"))
        for plot in sight.page.locator(".js-plotly-plot").all():
            plot.hover()
        text = sight.page.locator("body").inner_text()
        assert not sight.page.locator("img[src='x']").count()
        assert (sight.errors, sight.blocked, sight.dialogs) == ([], [], [])
    return text


@pytest.mark.parametrize("width", [1280, 375])
def test_the_quick_start(quick_start: Path, width: int) -> None:
    text = check(quick_start, 9, "quickstart", width)
    assert "At dense's validation accuracy" in text or "No setting reaches dense's" in text
    assert "Indicators against the oracle" in text


@pytest.fixture(scope="module")
def quick_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quickstart")
    changes = "task.epochs=12", "seeds=[0, 1]", "task.data.train_limit=512"
    return report(folder, CONFIGS / "quickstart.yaml", "quickstart", *changes)


def test_many_policies(tmp_path: Path) -> None:
    page = report(tmp_path, CONFIGS / "every-policy.yaml", "every", "seeds=[0]")
    text = check(page, 12, "every")
    assert "One seed: there are no intervals" in text
    assert "small_from_scratch" in text


def test_a_sweep_in_which_all_failed(tmp_path: Path) -> None:
    changes = "policies=[mine:Fails]", "task.epochs=2"
    page = report(tmp_path, CONFIGS / "quickstart.yaml", "failed", *changes, code=1)
    text = check(page, 0, "failed")
    assert "No trial has finished" in text
    assert "<img src=x onerror=alert(2)>" in text


def test_a_name_that_would_be_a_script(tmp_path: Path) -> None:
    changes = "policies=[dense, {policy: at_epoch, epoch: 1, ratio: 0.5}]", "task.epochs=3"
    page = report(tmp_path, CONFIGS / "quickstart.yaml", NAME, *changes)
    assert NAME in check(page, 3, NAME)
