"""The benchmark of reach, on small networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.reach.__main__ import main
from benchmarks.reach.layers import channels, dense_channels, output_layers
from benchmarks.reach.processes import ROOT, Limits, run, timed
from benchmarks.reach.report import summary
from benchmarks.reach.suites import names, subject
from benchmarks.zoo import NETWORKS

LIMITS = Limits(seconds=120, gib=12)


def test_a_run_is_written_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "reach.json"
    line = ["--json", str(file), "--suite", "zoo", "--only", "plain"]
    assert main(line) == 0
    first = json.loads(file.read_text(encoding="utf-8"))
    assert first["suites"]["zoo"]["works"] == first["suites"]["zoo"]["exact"] == 1
    assert first["suites"]["zoo"]["torch_pruning_exact"] == 1
    assert first["suites"]["zoo"]["reach99"] == 1
    assert str(tmp_path) not in file.read_text(encoding="utf-8")
    assert "zoo plain" in capsys.readouterr().out

    assert main([*line, "logistic"]) == 0
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    assert [row["name"] for row in rows] == ["plain", "logistic"]
    assert rows[0] == first["rows"][0]  # seconds, too: it was not run again
    assert summary(rows)["zoo"]["refused"] == 1


def test_a_process_ends_at_its_limits() -> None:
    assert run("zoo", "plain", "ours", Limits(0.001, 12))["reason"] == "not done in 0.001 s"
    small = run("zoo", "plain", "ours", Limits(120, 0.01))
    assert not small["works"]
    assert small["reason"]


def test_another_checkout_is_measured() -> None:
    found = timed("zoo", "plain", LIMITS, ROOT)
    assert found["works"]
    assert found["cpu_seconds"] > 0
    assert "reach" not in found


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--suite", "zoo", "--only", "plian"])
    assert "plian" in capsys.readouterr().err


def test_suites_are_as_large_as_said() -> None:
    assert [len(names(suite)) for suite in ("torchvision", "timm")] == [78, 62]
    assert names("zoo") == list(NETWORKS)


def test_a_subject_is_the_same_each_time() -> None:
    one, other = (subject("zoo", "plain").built() for _ in range(2))
    assert torch.equal(one[1][0], other[1][0])
    pairs = zip(one[0].parameters(), other[0].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_output_layers_are_those_that_nothing_follows() -> None:
    model, args = NETWORKS["deep_supervision"].build()
    assert sorted(output_layers(model, args)) == ["extra.2", "head.2"]


@pytest.mark.parametrize("groups", [1, 2])
def test_channels_that_are_left(groups: int) -> None:
    for layer in (nn.Conv2d(4, 6, 3, groups=groups), nn.ConvTranspose2d(4, 6, 3, groups=groups)):
        weight = layer.weight
        every = torch.arange(weight.numel()).view(weight.shape)
        assert channels(layer, weight.shape, every).tolist() == list(range(6))
        some = every[1:] if isinstance(layer, nn.Conv2d) else every[:, 1:]
        gone = [0] if isinstance(layer, nn.Conv2d) else [g * 6 // groups for g in range(groups)]
        assert channels(layer, weight.shape, some).tolist() == sorted({*range(6)} - {*gone})
        assert [width for *_, width in dense_channels(layer)] == [6]
