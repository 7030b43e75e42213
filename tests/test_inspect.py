"""The command ``inspect``: a table, JSON, and its refusals; and its page is true."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner, Result

from dashboards.inspection import described
from earlyprune.commands import app
from pruning import InputError
from sweeps.planning.inspecting import cuts, of_name

ROOT = Path(__file__).parents[1]
TASK = {
    "model": {"name": "small_cnn", "options": {"widths": [8, 8], "pool_after": [0]}},
    "data": {"source": "digits", "train_limit": 128},
    "epochs": 3,
}


def inspect(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["inspect", *arguments])


@pytest.fixture
def file(tmp_path: Path) -> str:
    made = tmp_path / "sweep.yaml"
    made.write_text(yaml.safe_dump({"name": "a", "task": TASK, "policies": ["dense"]}))
    return str(made)


def test_the_table_has_the_figures_of_the_json(file: str) -> None:
    asked = (file, "--ratio", "0.5", "--scope", "layer")
    shown, data = inspect(*asked), inspect(*asked, "--json")
    found: dict[str, Any] = json.loads(data.stdout)
    assert (found["model"], found["shape"], found["classes"]) == ("small_cnn", [1, 8, 8], 10)
    assert [row["left"][0]["width"] for row in found["layers"]] == [4, 4, 4, 4, 10]
    (cut,) = found["cuts"]
    for figure in (found["params"], found["macs"], cut["params"], cut["macs"]):
        assert f"{figure:,}" in shown.stdout
    assert "1: its units are the network's output" in shown.stdout


def test_a_sweep_that_cuts_nothing_is_shown_with_halves(file: str) -> None:
    found = json.loads(inspect(file, "--json").stdout)
    assert [(cut["ratio"], cut["scope"]) for cut in found["cuts"]] == [
        (0.5, "global"),
        (0.5, "layer"),
    ]


def test_a_field_of_the_sweep_file_can_be_changed(file: str) -> None:
    change = "task.model.options.widths=[4, 6]"
    found = json.loads(inspect(file, "--set", change, "--ratio", "0.5", "--json").stdout)
    assert found["units"] == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["small_cn"], "did you mean 'small_cnn'"),
        (["small_cnn", "--ratio", "1"], "--ratio: 1.0 is not allowed"),
        (["small_cnn", "--ratio", "0"], "--ratio: 0.0 is not allowed"),
        (["small_cnn", "--scope", "both"], "--scope: 'both' is not allowed"),
        (["small_cnn", "--shape", "1"], "'small_cnn' is for pictures (channels, height, width)"),
        (["small_cnn", "--shape", "8,x"], "--shape: '8,x' is not allowed"),
        (["small_cnn", "--set", "task.epochs=2"], "--set: changes a sweep file"),
        (["small_cnn", "--options", "{widths: [4"], "--options: not YAML"),
        (["small_cnn", "--options", "[1]"], "task.model.options: [1] is not allowed"),
        (["small_cnn", "--data", "digits", "--classes", "3"], "--classes: are the data's"),
        (["small_cnn", "--saliency", "taylor"], "--data: missing; saliency taylor"),
        (["sweep.yaml", "--classes", "3"], "the file has them"),
        (["none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(arguments: list[str], message: str) -> None:
    error = inspect(*arguments).exception
    assert isinstance(error, InputError)
    assert message in str(error)
    assert "\n" not in str(error)


def test_the_table_of_the_page_is_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tests" / "pruning" / "structure")
    out = io.StringIO()
    console = Console(file=out, width=80)
    found = of_name("vit:Vit", cuts(0.5, "magnitude", None), shape="3,32,32", classes=10)
    for part in described(found, console.width):
        console.print(part, markup=False, highlight=False)
    page = [line.rstrip() for line in (ROOT / "docs" / "inspect.md").read_text().splitlines()]
    printed = [line.rstrip() for line in out.getvalue().splitlines()]
    assert "\n".join(printed) in "\n".join(page)
