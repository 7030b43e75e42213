"""The report: one page that loads nothing, says what is so, and runs nobody's text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from made_sweep import POLICIES, make
from typer.testing import CliRunner

from dashboards import report
from dashboards.report import words
from dashboards.report.data import gather
from dashboards.report.page import to_json
from dashboards.report.ranges import usual
from dashboards.report.secrets import without_secrets
from dashboards.report.text import number, share
from earlyprune.commands import app
from pruning.errors import InputError
from sweeps.storage.store import Store

SECTIONS = "answer front epochs indicator layers cost failures again".split()
BAD = "<script>alert(1)</script>"
WORSE = "<img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """What a browser would find: elements, texts, and the data of plots."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text, self.scripts, self.figures = "", [], []
        self._open: list[str] = []
        self._data = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.tags.append((tag, found))
        self._open.append(tag)
        self._data = found.get("type") == "application/json"

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "script" and self._data:
            self.figures.append(json.loads(data))
        elif inside == "script":
            self.scripts.append(data)
        elif inside != "style":
            self.text += data

    @property
    def anchors(self) -> list[str]:
        return [found["id"] for tag, found in self.tags if tag == "section"]

    def strings(self) -> Iterator[str]:
        """Every text in a figure."""
        yield from _strings(self.figures)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _strings(part)
    elif isinstance(value, str):
        yield value


def page(store: Store, name: str = "made") -> Page:
    return Page(report.render(gather(store, name)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page(make(tmp_path_factory.mktemp("made")))


def test_everything_is_there_the_answer_first(made: Page) -> None:
    assert made.anchors == SECTIONS
    assert "At dense's validation accuracy (95.10\u00a0%) the best setting takes" in made.text
    assert "uniform" in made.text
    assert "Indicators against the oracle" in made.text
    assert "layer 'conv1' stands on its floor" in made.text
    assert "earlyprune run made.yaml" in made.text
    assert "source: digits" in made.text
    assert len(made.figures) >= 7


def test_it_loads_nothing(made: Page) -> None:
    for tag, found in made.tags:
        assert tag not in ("link", "img", "iframe", "base", "object", "embed")
        assert not {"src", "srcset", "action", "style", "onclick"} & set(found)
        assert found.get("href", "#").startswith("#")
    style = (Path(report.__file__).parent / "templates" / "style.css").read_text()
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = [
        found["content"]
        for tag, found in made.tags
        if found.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "script-src 'unsafe-inline'" not in policy
    assert sum("plotly.js v" in script for script in made.scripts) == 1


def test_plotly_takes_the_figures(made: Page) -> None:
    for figure in made.figures:
        go.Figure(figure)  # refuses what plotly does not know
        for axis in ("xaxis", "yaxis"):
            told = figure["layout"][axis].get("title", {}).get("text")
            assert told or figure["layout"][axis].get("ticktext")


def test_one_colour_a_policy(made: Page) -> None:
    seen: dict[str, set[str]] = {}
    for figure in made.figures:
        for trace in figure["data"]:
            colour = trace.get("marker", {}).get("color")
            if trace.get("name") in ("epi", "at_epoch", "dense") and isinstance(colour, str):
                seen.setdefault(trace["name"], set()).add(colour)
    assert {name: len(colours) for name, colours in seen.items()} == {
        "dense": 1,
        "at_epoch": 1,
        "epi": 1,
    }


def test_text_of_users_stays_text(tmp_path: Path) -> None:
    store = make(
        tmp_path, name=BAD, failing=["epi"], reason=f"KeyError: {WORSE}", layers=[BAD, "b"]
    )
    sweep = store.read_sweep(BAD)
    own = {"policy": f"mine:{WORSE}", "note": BAD}
    done = next(trial for trial in sweep["trials"] if trial["setting"]["policy"] == "at_epoch")
    sweep["trials"].append({"id": WORSE, "key": done["key"], "setting": own, "seed": 0})
    store.write_sweep(BAD, sweep)
    text = report.render(gather(store, BAD))
    found = Page(text)
    assert BAD not in text
    assert WORSE not in text
    assert not any(tag in ("img", "b") for tag, _ in found.tags)
    assert BAD in found.text
    assert WORSE in found.text
    assert sum(tag == "script" for tag, _ in found.tags) == 2 + len(found.figures)
    tags = re.compile(r"<(?!/?b>|br>)")
    assert not [string for string in found.strings() if tags.search(string)]
    assert any("&lt;script&gt;" in string for string in found.strings())


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"failing": ["dense", "at_epoch", "epi", "uniform"]}, "21 trials failed"),
        ({"unfinished": ["dense", "at_epoch", "epi", "uniform"]}, "21 trials have not ended"),
        ({"policies": ["dense"], "seeds": [0]}, "Only dense training has finished"),
        ({"policies": POLICIES[1:]}, "No dense training has finished"),
        ({"seeds": [0]}, "One seed: there are no intervals"),
        ({"policies": POLICIES[:2], "seeds": [0]}, "There is no control in this sweep"),
        ({"objectives": {"val_accuracy": "max"}}, "not an accuracy and a cost"),
        ({"objectives": {"val_accuracy": "max", "macs": "min", "params": "min"}}, "No setting"),
        (
            {"policies": ["dense", POLICIES[3]], "failing": ["at_epoch"]},
            "Only dense training and controls have finished",
        ),
        ({"unfinished": ["epi"]}, "6 of 21 trials have not finished"),
    ],
)
def test_sweeps_of_every_kind(tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    found = page(make(tmp_path, **fields))
    assert found.anchors == SECTIONS
    assert told in found.text
    for figure in found.figures:
        go.Figure(figure)


def test_a_sweep_without_trials(tmp_path: Path) -> None:
    store = make(tmp_path)
    store.write_sweep("made", store.read_sweep("made") | {"trials": []})
    assert page(store).anchors == SECTIONS


def test_what_is_gone_is_left_out_with_a_note(tmp_path: Path) -> None:
    store = make(tmp_path)
    for entry in store.files.entries("paths"):
        store.files.delete(entry.name)
    found = page(store)
    assert "the epochs are gone from the storage" in found.text
    assert "cuts at or above the threshold" in " ".join(found.strings())
    for trial in store.read_sweep("made")["trials"]:
        known = store.trial(trial["key"]) or {}
        store.write_trial(trial["key"], {key: known[key] for key in ("status", "summary")})
    assert "nothing is remembered" in page(store).text


def test_nothing_saved_is_said(tmp_path: Path) -> None:
    store = make(tmp_path, policies=POLICIES[:2])
    for trial in store.read_sweep("made")["trials"]:
        known = store.trial(trial["key"])
        assert known
        if trial["setting"]["policy"] == "at_epoch":
            known["summary"]["val_accuracy"] = 0.5
            store.write_trial(trial["key"], known)
    first, *_ = words.answer(gather(store, "made"))
    assert first.startswith(
        "No setting reaches dense's validation accuracy (95.10\u00a0%) with less"
    )


def test_a_report_only_reads(tmp_path: Path) -> None:
    store = make(tmp_path / "runs")
    before = {entry.name: entry.modified for entry in store.files.entries()}
    written = report.write(store, "made", tmp_path / "else" / "page.html")
    assert written.stat().st_size > 4_000_000
    assert {entry.name: entry.modified for entry in store.files.entries()} == before


def test_the_command(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    make(runs, policies=POLICIES[:2], name=BAD)
    done = CliRunner().invoke(app, ["report", BAD, "--storage", str(runs)])
    assert done.exit_code == 0, done.output
    (path,) = (runs / "reports").iterdir()
    assert done.output.strip() == str(path)
    assert re.fullmatch(r"[\w.-]+\.html", path.name)
    with pytest.raises(InputError, match="'other' is not in"):
        report.write(Store(runs), "other", path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        report.write(Store(runs), BAD, tmp_path / "file" / "page.html")


def test_secrets_are_left_out() -> None:
    given = {
        "data": "npz:https://me:pa@ss@host/x.npz?token=abc&size=3",
        "options": {"api_key": "abc", "root": "data", "password": None},
        "list": ["postgresql://user:word@host/db"],
        "lr": 0.1,
    }
    assert without_secrets(given) == {
        "data": "npz:https://***@host/x.npz?token=***&size=3",
        "options": {"api_key": "***", "root": "data", "password": None},
        "list": ["postgresql://***@host/db"],
        "lr": 0.1,
    }


def test_json_in_a_page_ends_no_script() -> None:
    text = to_json({"a": "</script><!--&", "b": [float("nan"), 1.0]})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": "</script><!--&", "b": [None, 1.0]}


def test_dense_is_in_view_however_far_off(tmp_path: Path) -> None:
    store = make(tmp_path)
    for trial in store.read_sweep("made")["trials"]:
        known = store.trial(trial["key"])
        assert known
        if trial["setting"]["policy"] == "dense":
            known["summary"]["gpu_hours"] = 50.0
            store.write_trial(trial["key"], known)
    front = next(f for f in page(store).figures if "Pareto set" in str(f))
    low, high = front["layout"]["xaxis"]["range"]
    assert low < 1 < 50 < high


def test_numbers_to_read() -> None:
    assert [number(value) for value in (0, 0.00012345, 1.2345, 123.4, 1234567.0, None)] == [
        "0",
        "0.000123",
        "1.23",
        "123",
        "1,234,567",
        "–",
    ]
    assert (share(0.12345), share(-0.5, 0), share(-0.00001), share(0.1, 1, "+")) == (
        "12.35",
        "−50",
        "0.00",
        "+10.0",
    )
    assert usual([0.9, 0.91, 0.92, 0.93]) is None
    low, high = usual([0.9, 0.91, 0.92, 0.93, 0.3]) or (0, 0)
    assert 0.85 < low < 0.9 < 0.93 < high
