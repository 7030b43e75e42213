"""Tables and plots of results, also of sweeps in which trials failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from dashboards.plots import save, sweep_figure
from dashboards.tables import policies_table, settings_table, trials_table
from pruning import POLICIES
from sweeps.judging.table import mark_pareto
from sweeps.results.rows import METRICS, Row, columns, row


def text(table: Table, width: int = 200) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table)
    return console.export_text()


def trial(setting: dict[str, Any], seed: int, accuracy: float, epochs: list[int]) -> Row:
    summary = {
        **dict.fromkeys(METRICS, 1.0),
        "val_accuracy": accuracy,
        "test_accuracy": accuracy - 0.01,
        "macs": 1000 if setting["policy"] == "dense" else 250,
        "prune_epochs": epochs,
    }
    name = f"{setting['policy']}-{seed}-{epochs}"
    return row(name, setting, seed, {"status": "finished", "summary": summary})


@pytest.fixture
def rows() -> list[Row]:
    found = []
    for seed in range(2):
        found.append(trial({"policy": "dense"}, seed, 0.9 + seed / 50, []))
        for epoch in (0, 3):
            setting = {"policy": "at_epoch", "ratio": 0.5, "epoch": epoch}
            found.append(trial(setting, seed, 0.8 + epoch / 100, [epoch]))
        setting = {"policy": "epi", "ratio": 0.5, "threshold": 0.9}
        found.append(trial(setting, seed, 0.85, [2 + seed]))
    failed = {"status": "failed", "reason": "ValueError: [red]no[/red]"}
    found.append(row("lost", {"policy": "epi", "ratio": 0.7, "threshold": 0.9}, 0, failed))
    return mark_pareto(found, {"val_accuracy": "max", "gpu_hours": "min"})


def test_a_row_a_trial(rows: list[Row]) -> None:
    shown = text(trials_table(rows))
    for found in rows:
        assert found["trial"] in shown
    assert "[red]no[/red]" in shown.replace("\n", "")


def test_means_with_macs_beside_the_ratio(rows: list[Row]) -> None:
    shown = text(settings_table(rows))
    (line,) = [line for line in shown.splitlines() if "epoch=3" in line]
    assert "ratio=0.5" in line
    assert "250" in line
    assert "0.25" in line  # of dense
    assert "0.8300" in line
    (epi,) = [line for line in shown.splitlines() if "ratio=0.5" in line and "epi" in line]
    assert "2-3" in epi
    assert "1 of 1 failed" in shown
    assert "threshold=0.9" in shown.splitlines()[-1]  # the same everywhere: under the table


def test_policies_with_settings_and_papers() -> None:
    shown = text(policies_table(POLICIES.values()))
    for name in POLICIES:
        assert name in shown
    assert "CVPR 2022" in shown
    assert "epoch = required" in shown


def test_the_figure_shows_grid_stars_and_dense(rows: list[Row], tmp_path: Path) -> None:
    figure = sweep_figure(rows, "a sweep")
    left, right = figure.axes
    labels = left.get_legend_handles_labels()[1]
    assert set(labels) == {"at_epoch ratio=0.5", "epi ratio=0.5", "dense"}
    assert "Pareto set" in right.get_legend_handles_labels()[1]
    assert save(figure, tmp_path / "a" / "f.png").stat().st_size > 10_000


@pytest.mark.parametrize("kept", [[], ["lost"]])
def test_a_sweep_without_any_finished_trial(kept: list[str], rows: list[Row]) -> None:
    left = [found for found in rows if found["trial"] in kept]
    sweep_figure(left, "nothing")
    settings_table(left)
    trials_table(left)


@pytest.mark.parametrize("width", [60, 100, 150])
def test_no_figure_is_cut(width: int) -> None:
    judged = {"mse": "min", "R2Score": "max"}
    figures = {name: 0.0008125 for name in columns(judged)} | {"prune_epochs": []}
    seeds = [{**figures, "val_mse": 0.12345 + seed / 1300} for seed in range(2)]
    found = [
        row(
            f"dense-{seed}",
            {"policy": "dense"},
            seed,
            {"status": "finished", "summary": one},
            judged,
        )
        for seed, one in enumerate(seeds)
    ]
    for table in (settings_table(found), trials_table(found)):
        assert "…" not in text(table, width)
    lines = text(settings_table(found), width).splitlines()
    rows = [line.split("│") for line in lines if "│" in line]
    cells = ["".join(column).replace(" ", "") for column in zip(*rows, strict=True)]
    assert "0.1238±0.0005439" in cells
