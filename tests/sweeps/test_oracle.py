"""Indicators against the oracle: rows made by hand with answers by hand, and one real sweep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import here
import pytest
from rich.console import Console
from sweep_files import changed
from typer.testing import CliRunner

from dashboards.tables import oracle_table
from earlyprune.commands import app
from pruning import InputError
from pruning.policies import EPI
from sweeps.file.sweep import Sweep
from sweeps.judging.oracle import GIVEN, OTHERS, Verdict, nothing_to_judge, oracle, to_json
from sweeps.judging.regret import best, best_on_others, complete
from sweeps.results.rows import Row, row
from sweeps.running import preflight
from sweeps.running.run import run
from sweeps.storage.store import Store

NEVER = "EPI never reached 0.9: pruned after epoch 6 because of latest=0.333"


class Own(EPI):
    """A user's own indicator, with a cut that ``at_epoch`` cannot make."""

    def sub_network(self, *_: Any) -> None:
        return None


def made(setting: dict[str, Any], seed: int, **summary: Any) -> Row:
    """A row of a trial that finished."""
    figures = {"prune_epochs": [], "gpu_hours": 1.0, "gpu_hours_spent": 1.0, **summary}
    result = {"status": "finished", "summary": figures}
    return row(f"{setting['policy']}-s{seed}", setting, seed, result)


def lost(setting: dict[str, Any], seed: int, status: str = "failed") -> Row:
    return row(f"{setting['policy']}-s{seed}", setting, seed, {"status": status})


def at(
    epoch: int, *ends: tuple[float, float], spent: float = 0.5, hours: float = 1.0, **cut: Any
) -> list[Row]:
    """A trial of the grid for each seed, from (validation, test) accuracies."""
    setting = {"policy": "at_epoch", "epoch": epoch, "ratio": 0.5, **cut}
    return [
        made(
            setting,
            seed,
            val_accuracy=validation,
            test_accuracy=test,
            prune_epochs=[epoch],
            gpu_hours=hours,
            gpu_hours_spent=spent,
        )
        for seed, (validation, test) in enumerate(ends)
    ]


def epi(threshold: float | None, *ends: tuple[float, float, int | None], **other: Any) -> list[Row]:
    """A trial of the indicator for each seed, from its accuracies and its epoch."""
    setting = {"policy": "epi", "ratio": 0.5, **other}
    setting |= {} if threshold is None else {"threshold": threshold}
    return [
        made(
            setting,
            seed,
            val_accuracy=validation,
            test_accuracy=test,
            prune_epochs=[] if epoch is None else [epoch],
            gpu_hours=0.75,
            gpu_hours_spent=0.25,
        )
        for seed, (validation, test, epoch) in enumerate(ends)
    ]


GRID = [
    *at(0, (0.6, 0.5), (0.6, 0.5), spent=0.7, hours=0.8),
    *at(2, (0.9, 0.8), (0.8, 0.7), spent=0.3),
    *at(4, (0.8, 0.9), (0.7, 0.9), spent=0.2, hours=1.2),
]
"""Epoch 2 is best by validation accuracy, 4 would be by test accuracy."""


def one(rows: list[Row]) -> Verdict:
    (verdict,) = oracle(rows)
    return verdict


def has(verdict: Verdict, text: str) -> bool:
    return any(text in note for note in verdict.notes)


def test_regret_is_of_the_test_accuracy_at_the_epoch_that_validation_chose() -> None:
    verdict = one([*GRID, *epi(0.9, (0.9, 0.7, 3), (0.9, 0.4, 1))])
    assert (verdict.policy, verdict.choice, verdict.thresholds) == ("epi", GIVEN, [0.9, 0.9])
    assert verdict.cut == {"ratio": 0.5, "saliency": "magnitude"}
    assert (verdict.seeds, verdict.epochs, verdict.grid) == ([0, 1], [3, 1], [0, 2, 4])
    assert verdict.oracle_epoch == 2
    assert verdict.oracle_val_accuracy == pytest.approx(0.85)
    assert verdict.oracle_test_accuracy == pytest.approx(0.75)
    assert verdict.regrets == pytest.approx([0.1, 0.3])
    assert verdict.regret == pytest.approx(0.2)
    assert verdict.sd == pytest.approx(0.2 / 2**0.5)
    assert verdict.never_crossed == 0
    assert verdict.notes == []


def test_hours_of_the_scan_count_the_dense_training_once_whoever_paid_for_it() -> None:
    dense = [made({"policy": "dense"}, s, val_accuracy=1, test_accuracy=1) for s in (0, 1)]
    rows = [*dense, *GRID, *epi(0.9, (0.9, 0.7, 3), (0.9, 0.4, 1))]
    verdict = one(rows)
    assert verdict.hours == pytest.approx(0.75)
    assert verdict.scan_hours_alone == pytest.approx(0.8 + 1.0 + 1.2)
    assert verdict.scan_hours_shared == pytest.approx(0.7 + 0.3 + 1.2)
    paid = one([*dense, *epi(0.9, (0.9, 0.7, 2), (0.9, 0.4, 1)), *GRID])  # EPI paid for seed 0's 2
    assert paid.scan_hours_shared == pytest.approx(0.7 + (0.55 + 0.3) / 2 + 1.2)
    lone = [found | {"gpu_hours_spent": 9.0} for found in rows]
    assert one(lone).scan_hours_shared == pytest.approx(0.8 + 1.0 + 1.2)


def test_each_seed_gets_the_threshold_that_did_best_on_the_others() -> None:
    rows = [
        *GRID,
        *epi(0.8, (0.9, 0.75, 1), (0.1, 0.7, 3)),  # good on seed 0 only
        *epi(0.9, (0.1, 0.5, 2), (0.9, 0.4, 2)),  # good on seed 1 only
    ]
    low, high, others = oracle(rows)
    assert [low.thresholds, high.thresholds] == [[0.8, 0.8], [0.9, 0.9]]
    assert (others.choice, others.thresholds, others.epochs) == (OTHERS, [0.9, 0.8], [2, 3])
    assert others.regrets == pytest.approx([0.8 - 0.5, 0.7 - 0.7])


def test_with_one_seed_no_threshold_is_chosen() -> None:
    grid = [found for found in GRID if found["seed"] == 0]
    found = oracle([*grid, *epi(0.8, (0.9, 0.8, 1)), *epi(0.9, (0.9, 0.7, 2))])
    assert [verdict.choice for verdict in found] == [GIVEN, GIVEN]
    assert all(has(verdict, "takes two seeds") for verdict in found)
    assert all(has(verdict, "one seed") and verdict.sd is None for verdict in found)


def test_equal_means_go_to_the_first_whatever_the_last_bit_says() -> None:
    def by_seed(*values: float) -> dict[int, Row]:
        return {seed: {"val_accuracy": value} for seed, value in enumerate(values)}

    close = {1: by_seed(0.3, 0.2, 0.1), 2: by_seed(0.1, 0.2, 0.3)}
    assert 0.1 + 0.2 + 0.3 > 0.3 + 0.2 + 0.1
    assert best(close) == 1
    assert best(close, digits=None) == 2
    assert best_on_others(close, seed=0) == 2
    assert best_on_others({"a": by_seed(0.1), "b": by_seed(0.9)}, seed=0) == "a"
    tied = [*at(4, (0.8, 0.5), (0.9, 0.5)), *at(2, (0.9, 0.8), (0.8, 0.7)), *at(0, (0, 0), (0, 0))]
    verdict = one([*tied, *epi(0.9, (0.9, 0.8, 2), (0.9, 0.7, 2))])
    assert verdict.oracle_epoch == 2
    assert has(verdict, "epoch 4 comes within the seeds' spread of epoch 2")


@pytest.mark.parametrize(
    ("epochs", "best_of_them", "said"),
    [
        ((0, 2, 4), 4, "one after 4 may be better"),
        ((1, 2, 4), 1, "one before 1 may be better"),
        ((0, 2, 4), 0, None),
        ((0, 2, 4), 2, None),
        ((3,), 3, "a single epoch"),
    ],
)
def test_an_oracle_at_the_edge_says_so(
    epochs: tuple[int, ...], best_of_them: int, said: str | None
) -> None:
    grid = [r for e in epochs for r in at(e, *[(0.5 + (e == best_of_them) / 4, 0.5)] * 2)]
    verdict = one([*grid, *epi(0.9, (0.9, 0.5, 2), (0.9, 0.5, 2))])
    assert verdict.oracle_epoch == best_of_them
    assert (len(verdict.notes) == 0) if said is None else has(verdict, said)


def test_without_a_grid_the_entry_to_add_is_named() -> None:
    cut = {"ratio": 0.7, "saliency": {"name": "magnitude", "normalize": "none"}, "round_to": 8}
    verdict = one([*GRID, *epi(0.9, (0.9, 0.7, 3), (0.9, 0.4, 1), **cut)])
    entry = (
        "{policy: at_epoch, epoch: {grid: [...]}, ratio: 0.7, "
        "saliency: {name: magnitude, normalize: none}, round_to: 8}"
    )
    assert verdict.notes == [f"no oracle grid: add {entry}"]
    assert nothing_to_judge([verdict]) == verdict.notes[0]
    assert (verdict.grid, verdict.oracle_epoch, verdict.regret) == ([], None, None)
    assert (verdict.epochs, verdict.hours, verdict.scan_hours_alone) == ([3, 1], 0.75, None)
    judged = one([*GRID, *epi(0.9, (0.9, 0.7, 3), (0.9, 0.4, 1))])
    assert nothing_to_judge([judged, verdict]) == ""
    assert nothing_to_judge(oracle(GRID)).startswith("no indicator")


def test_a_grid_belongs_to_its_cut_and_its_task() -> None:
    other = at(3, (1, 0.99), (1, 0.99), saliency="taylor")
    short = at(1, (1, 0.99), (1, 0.99), **{"task.epochs": 6})
    rows = [*other, *short, *GRID, *epi(0.9, (0.9, 0.7, 3), (0.9, 0.4, 1), window=3)]
    rows += epi(0.9, (0.9, 0.9, 1), (0.9, 0.9, 1), **{"task.epochs": 6})
    usual, cheap = oracle(rows)
    assert (usual.grid, usual.settings) == ([0, 2, 4], {"window": 3})
    assert (cheap.grid, cheap.cut["task.epochs"], cheap.settings) == ([1], 6, {})


def test_who_never_crossed_and_who_never_pruned() -> None:
    rows = epi(None, (0.9, 0.7, 6), (0.9, 0.9, None), (0.9, 0.7, 3))
    rows[0]["warnings"] = [NEVER]
    grid = [*GRID, *(r | {"seed": 2} for r in GRID if r["seed"] == 0)]
    verdict = one([*grid, *rows])
    assert (verdict.thresholds, verdict.epochs) == ([None] * 3, [6, None, 3])
    assert verdict.never_crossed == 2
    assert has(verdict, "never pruned on 1 of 3 seeds")
    assert verdict.regrets == pytest.approx([0.1, -0.2, 0.1])
    assert has(verdict, "within its spread")


def test_what_has_not_finished_is_left_out_on_its_seed() -> None:
    third = [*at(0, *[(0.6, 0.5)] * 3)[2:], *at(2, *[(0.1, 0.5)] * 3)[2:]]
    third.append(lost({"policy": "at_epoch", "epoch": 4, "ratio": 0.5}, 2))
    rows = [*GRID, *third, *epi(0.9, (0.9, 0.7, 3), (0.9, 0.4, 1), (0.9, 0.4, 1))]
    verdict = one(rows)
    assert (verdict.oracle_seeds, verdict.seeds, verdict.oracle_epoch) == ([0, 1], [0, 1], 2)
    assert has(verdict, "1 of 9 trials of the grid left out: 1 failed")
    assert has(verdict, "judged on 2 of 3 seeds")
    indicator = [*GRID, *epi(0.9, (0.9, 0.7, 3)), lost({"policy": "epi", "threshold": 0.9}, 1)]
    verdict = one(indicator)
    assert (verdict.oracle_seeds, verdict.seeds) == ([0, 1], [0])
    assert has(verdict, "1 of 2 trials of the indicator left out: 1 failed")
    waiting = [lost({**r["setting"]}, r["seed"], "unfinished") for r in GRID]
    verdict = one([*waiting, *epi(0.9, (0.9, 0.7, 3), (0.9, 0.4, 1))])
    assert verdict.regret is None
    assert has(verdict, "6 unfinished")
    assert has(verdict, "no oracle:")
    nowhere = [*GRID, *(lost({"policy": "at_epoch", "epoch": 8, "ratio": 0.5}, s) for s in (0, 1))]
    verdict = one([*nowhere, *epi(0.9, (0.9, 0.7, 3), (0.9, 0.4, 1))])
    assert verdict.grid == [0, 2, 4]
    assert has(verdict, "epoch 8 of the grid finished on no seed")
    nan = [r | {"val_accuracy": float("nan")} for r in at(3, (1, 1), (1, 1))]
    assert complete({2: GRID[2:4], 3: nan}) == {2: {0: GRID[2], 1: GRID[3]}}


def test_an_indicator_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    mine = f"{Path(__file__).stem}:Own"
    rows = epi(0.9, (0.9, 0.7, 3), (0.9, 0.4, 1))
    for found in rows:
        found["setting"]["policy"] = mine
    verdict = one([*GRID, *rows])
    assert verdict.policy == mine
    assert verdict.notes == [f"no oracle grid: at_epoch cannot make the cut of {mine}"]
    rows[0]["setting"]["policy"] = "nowhere:Own"
    with pytest.raises(InputError, match=r"trial epi-s0: 'nowhere:Own' does not import"):
        oracle(rows)


def shown(verdicts: list[Verdict]) -> str:
    console = Console(width=160)
    with console.capture() as found:
        console.print(oracle_table(verdicts))
    return found.get()


def test_the_table_and_json() -> None:
    rows = [
        *GRID,
        *epi(0.8, (0.9, 0.75, 1), (0.1, 0.7, None)),
        *epi(None, (0.1, 0.5, 2), (0.9, 0.4, 2)),
        *epi(0.9, (0.9, 0.75, 1), ratio=0.7),
        lost({"policy": "ocspruner", "ratio": 0.5}, 0),
    ]
    found = oracle(rows)
    text = shown(found)
    assert "+2.50 ±3.54" in text
    assert "default" in text
    assert "other seeds'" in text
    assert "1 -" in text
    assert "saliency=magnitude" in text
    loaded = json.loads(to_json(found))
    assert loaded[0]["regrets"] == pytest.approx([0.05, 0])
    assert [line["oracle_epoch"] for line in loaded] == [2, 2, 2, None, 2]
    assert (loaded[4]["hours"], loaded[4]["seeds"]) == (None, [])
    assert shown([]) != ""


def stored(folder: Path, rows: list[Row]) -> list[str]:
    """The command's arguments for a sweep of these rows."""
    store = Store(folder)
    trials = [
        {"id": found["trial"], "key": str(n), "setting": found["setting"], "seed": found["seed"]}
        for n, found in enumerate(rows)
    ]
    store.write_sweep("x", {"name": "x", "objectives": {"val_accuracy": "max"}, "trials": trials})
    for n, found in enumerate(rows):
        store.write_trial(str(n), {"status": found["status"], "reason": "", "summary": found})
    return ["oracle", "x", "--storage", str(folder)]


def said(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command(tmp_path: Path) -> None:
    judged = stored(tmp_path / "a", [*GRID, *epi(0.9, (0.9, 0.7, 3), (0.9, 0.4, 1))])
    assert "+20.00 ±14.14" in said(*judged)
    assert json.loads(said(*judged, "--json"))[0]["oracle_epoch"] == 2
    bare = stored(tmp_path / "b", epi(0.9, (0.9, 0.7, 3)))
    assert said(*bare).startswith("x: no oracle grid: add {policy: at_epoch, epoch: {grid: [...]}")
    none = stored(tmp_path / "c", GRID)
    assert said(*none).startswith("x: no indicator among its policies (epi, early_bird, ")
    assert said(*bare).count("\n") == said(*none).count("\n") == 1
    assert json.loads(said(*none, "--json")) == []


def test_a_real_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.running.run._train", here.train)
    cut = {"ratio": 0.5, "saliency": "taylor"}
    sweep = Sweep.parse(
        changed(
            policies=[
                "dense",
                {"policy": "at_epoch", "epoch": {"grid": [0, 1, 2, 3]}, **cut},
                {
                    "policy": "epi",
                    "window": 1,
                    "threshold": {"grid": [0.1, 1]},
                    "latest": 0.75,
                    **cut,
                },
            ],
            task__data={"source": "digits", "train_limit": 512},
        )
    )
    store = Store(tmp_path / "runs")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    rows = run(sweep, preflight.check(sweep), store, uri, Console(quiet=True)).rows
    ends = {(r["settings"], r["seed"]): r for r in rows if r["policy"] != "dense"}
    low, high, others = oracle(rows)
    assert (low.epochs, low.seeds, low.grid) == ([1, 1], [0, 1], [0, 1, 2, 3])
    for verdict in (low, high, others):
        assert len(verdict.regrets) == 2
        for seed, epoch, regret in zip(verdict.seeds, verdict.epochs, verdict.regrets, strict=True):
            same, its = (
                ends[f"ratio=0.5 saliency=taylor epoch={e}", seed]["test_accuracy"]
                for e in (epoch, verdict.oracle_epoch)
            )
            assert regret == its - same  # pruned at the same epoch it is the same training
        assert verdict.hours is not None
        assert verdict.scan_hours_alone is not None
        assert verdict.scan_hours_shared is not None
        assert verdict.hours < verdict.scan_hours_alone
        assert verdict.scan_hours_shared < verdict.scan_hours_alone
