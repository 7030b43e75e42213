"""The documents are true: what they point to is there, and their Python runs."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from documents import ROOT, anchors, blocks, broken, tracked
from named import not_commands, not_to_be_had, undefined

from pruning import Prune, Saliency, testing
from pruning.export import write
from pruning.settings import Settings
from pruning.training.loop import Training
from pruning.training.optimizer import OptimizerSpec, ScheduleSpec
from pruning.training.task import Task
from sweeps.file.sweep import read

Run = Callable[[str], dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a page's blocks of Python in an empty folder: what their names stand for at the end.

    They share one namespace, in their order. A block that begins with the name of a file is that
    file, and its module can be imported by those after it.
    """
    monkeypatch.chdir(tmp_path)

    def module(name: str, block: str) -> dict[str, Any]:
        file = tmp_path / f"{name}.py"
        file.write_text(block.lstrip("\n"))
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, made)
        spec.loader.exec_module(made)
        return vars(made)

    def run_page(page: str) -> dict[str, Any]:
        names: dict[str, Any] = {"__name__": page}
        for block in blocks(ROOT / page, "python"):
            named = re.match(r"\n*# (?:\w+/)*(\w+)\.py\n", block)
            if named:
                names |= module(named[1], block)
            else:
                exec(compile(block, page, "exec"), names)
        return names

    return run_page


def scores(saliency: Saliency) -> Any:
    """What it says of every unit of a small network after an epoch of training."""
    training = Training(testing.TASK, probes=[saliency])
    training.begin()
    return training.epoch().probes[saliency.key]


def export(trial: str, file: str, kind: str = "safetensors") -> None:
    """The network of one of the quick start's trials, untrained, with a few units gone."""
    sweep = read(ROOT / "sweeps" / "configs" / "quickstart.yaml")
    spec = {spec.id: spec for spec in sweep.trials()}[trial]
    training = Training(spec.task, spec.seed)
    training.apply(Prune.of(range(8)))
    write(training, Path(file), kind, {})


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git says which documents there are")
def test_what_the_documents_point_to_is_there() -> None:
    assert list(broken(tracked())) == []


def test_what_is_not_there_is_found(tmp_path: Path) -> None:
    page = """# One `page` of it
        [gone](gone.md) ![shown](shown.png) [![seen](made.py)](unseen.md) [up](../made.py)
        [here](#one-page-of-it) [there](#there) [its](made.py#line) [other](sub/page.md#a-b-1)
        [`Made.one`](../made.py) [`Made.two`](made.py) [`three`](made.py) [`made.py`](made.py)
        `sweeps/gone.py` `sweeps/configs/` `pruning/` `pruning/NAME.py` python -m benchmarks.gone
        <img src="picture.png"> <a href='one-quote.md'> <a id='end'></a> [last](#end)
        [a link][undefined] [`undefined`][] [another][Named] `code[0][1]` https://example.org [web](https://example.org/gone.md)
[named]: nowhere.md
    """
    texts = {
        "page.md": page,
        "sub/page.md": "## A: b\n```\n# c\n```\n## A b\n[c](#c)\n",
        "made.py": "class Made:\n    def one(self): ...\n",
        "sweeps/configs/one.yaml": "",
    }
    files = {name: tmp_path / name for name in texts}
    for name, text in texts.items():
        files[name].parent.mkdir(parents=True, exist_ok=True)
        files[name].write_text(text)
    assert list(broken(files)) == [
        "page.md: there is no gone.md",
        "page.md: there is no shown.png",
        "page.md: there is no unseen.md",
        "page.md: there is no ../made.py",
        "page.md: page.md has no heading #there",
        "page.md: made.py has no heading #line",
        "page.md: there is no ../made.py",
        "page.md: made.py does not define two",
        "page.md: made.py does not define three",
        "page.md: there is no picture.png",
        "page.md: there is no one-quote.md",
        "page.md: there is no nowhere.md",
        "page.md: [undefined] leads nowhere",
        "page.md: [undefined] leads nowhere",
        "page.md: there is no sweeps/gone.py",
        "page.md: there is no pruning/",
        "page.md: there is no benchmarks.gone to run",
        "sub/page.md: sub/page.md has no heading #c",
    ]
    assert anchors(texts["sub/page.md"]) == {"a-b", "a-b-1"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git says which sources there are")
def test_the_code_that_the_architecture_names_is_there() -> None:
    ours = {
        name: file for name, file in tracked().items() if not name.startswith(("docs", "tests"))
    }
    sources = [file.read_text() for name, file in ours.items() if name.endswith(".py")]
    assert list(undefined((ROOT / "ARCHITECTURE.md").read_text(), sources)) == []


def test_code_that_is_not_there_is_found() -> None:
    source = "KEPT: int = 1\nGONE |= 2\nclass Ride:\n    place: int\n    def _open(self): ..."
    text = "`Ride._open` `Ride.place` `KEPT` `probe:NAME` `lower` NO "
    text += "`Ride._shut` `Branch.place` `GONE`"
    assert list(undefined(text, [source])) == [
        "nothing defines Ride._shut",
        "nothing defines Branch.place",
        "nothing defines GONE",
    ]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git says which documents there are")
def test_the_names_that_documents_tell_users_to_import_are_there() -> None:
    pages = [file.read_text() for name, file in tracked().items() if name.endswith(".md")]
    assert [line for page in pages for line in not_to_be_had(page)] == []
    text = "`earlyprune.load(path)` `pruning.testing` `earlyprune.json` `earlyprune.export.read()`"
    assert list(not_to_be_had(text)) == ["there is no earlyprune.export.read"]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git says which documents there are")
def test_the_commands_that_documents_name_are_there() -> None:
    pages = {name: file for name, file in tracked().items() if name.endswith(".md")}
    found = {name: [*not_commands(file.read_text())] for name, file in pages.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_command_that_is_not_there_is_found() -> None:
    text = """earlyprune trains. `earlyprune run x` `earlyprune walk` `earlyprune store show`
        `earlyprune store shw` `.venv/bin/earlyprune rn` python -m benchmarks.fidelity any
        `python -m benchmarks.fidelity bep` `python -m benchmarks.fidelity STUDY`
```sh
A=b earlyprune plot x | earlyprune plan x
python -m benchmarks.speed epcohs; python -m benchmarks.search --json x
```
"""
    assert list(not_commands(text)) == [
        "there is no command earlyprune walk",
        "there is no command earlyprune store shw",
        "there is no command earlyprune rn",
        "there is no command earlyprune plot",
        "there is no study epcohs of benchmarks.speed",
    ]


def test_the_readme_runs(run: Run) -> None:
    text = (ROOT / "README.md").read_text()
    for trial in re.findall(r'load_network\("(\S+)\.safetensors"\)', text):
        export(trial, f"{trial}.safetensors")
    names = run("README.md")
    assert names["network"](torch.zeros(3, 8, 8)).shape == (3, 10)
    assert names["pruner"].network.sparsity > 0
    assert names["model"](names["x"]).shape[1] == 10


def test_an_exported_network_is_used_as_its_page_says(run: Run) -> None:
    pytest.importorskip("onnxscript")
    sweep = read(ROOT / "sweeps" / "configs" / "quickstart.yaml")
    for kind in ("pt2", "onnx"):
        export(sweep.trials()[0].id, f"network.{kind}", kind)
    names = run("docs/export.md")
    assert names["answers"] == names["logits"].argmax(1).tolist()
    assert torch.allclose(names["logits"], torch.from_numpy(names["same"]), rtol=1e-4, atol=1e-5)
    assert names["card"]["input"].startswith("float64 [n, 8, 8]")
    page = (ROOT / "docs" / "export.md").read_text()
    rows = re.findall(r"^\| (`.+?) \|", page, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    of_trials = {"sweep", "trial", "policy", "setting", "seed"}
    assert listed - of_trials <= set(names["card"])


def test_the_fields_of_a_task_have_the_defaults_that_their_page_says() -> None:
    page = (ROOT / "docs" / "tasks.md").read_text().partition("## Fields and defaults")[2]
    cells = re.findall(r"^\| `([\w.]+)` \| (.*?) \|", page, re.MULTILINE)
    assert cells
    told = {name: yaml.safe_load(text.strip("`")) for name, text in cells}
    kinds = {"": Task, "optimizer.": OptimizerSpec, "schedule.": ScheduleSpec}
    fields = {
        f"{place}{name}": field
        for place, kind in kinds.items()
        for name, field in kind.model_fields.items()
    }
    parts = {"optimizer", "schedule"}
    assert told.keys() == fields.keys() - parts
    for name, field in fields.items():
        if name not in parts:
            assert told[name] == ("must be given" if field.is_required() else plain(field.default))


def plain(default: Any) -> Any:
    """As a sweep file would write it: a name alone, nothing that is a default itself."""
    if isinstance(default, Settings):
        left = default.model_dump(mode="json", exclude_defaults=True)
        return left or getattr(default, "name", {})
    return list(default) if isinstance(default, tuple) else default


def test_the_policy_and_the_saliency_of_contributing_do_as_it_says(run: Run) -> None:
    names = run("CONTRIBUTING.md")
    testing.quick(names["Settled"]())
    found = scores(names["GradientSize"]())
    assert (found > 0).all()


def test_the_policy_and_the_saliency_of_ones_own_do_as_their_page_says(run: Run) -> None:
    names = run("docs/own-policy.md")
    names["test_it_keeps_the_contract"]()
    assert (scores(names["Peaks"]()) > 0).all()
