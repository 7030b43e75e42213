"""Verdicts: every indicator of a study against the oracle, the best of a grid of pruning epochs.

The oracle of Shen et al. (CVPR 2022) prunes at each epoch of a grid and takes the best in
hindsight. Here that is the best by the mean over seeds of the task's quality, its first metric, on
the validation split, and regret is of that on the test split. A grid belongs to an indicator if
both make the same cut on the same task.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pruning.policies import POLICIES, OneShot, Triggered
from pruning.policies.registry import specify
from pruning.settings import canonical
from sweeps.judging import notes
from sweeps.judging.grid import Grid, Trial, average
from sweeps.judging.learning import told_collapsed, unlearned
from sweeps.judging.regret import best_on_others, complete, ended, never_crossed, regrets, spread
from sweeps.results.quality import Quality
from sweeps.results.rows import Row

GIVEN = "given"
OTHERS = "other seeds'"
Chosen = Mapping[int, tuple[float | None, Row]]
"""By seed a threshold and the trial that had it."""


@dataclass(frozen=True)
class Verdict:
    """One indicator, with a threshold as given or as the other seeds chose it.

    policy, settings: the indicator, its threshold and its cut left out. cut: ratio or aim, saliency
    and whatever else of the cut is not the default, and the fields of the task that the sweep
    varies.
    choice: GIVEN or OTHERS. seeds: those it is judged on; thresholds (None: the policy's own
    default), epochs (None: never pruned) and regrets have an entry for each.
    grid: the oracle's epochs, empty if there are none; oracle_seeds: on which all of them ended.
    quality: what is compared, the accuracy of classes; of other tasks oracle_val_accuracy and
    oracle_test_accuracy are the oracle's in it. Regrets are by how much that is better, in the
    metric's own unit (fractions of accuracy); means over seeds; sd is over seeds, None for one.
    hours: device-hours of one trial of the indicator, and of the whole grid for one seed, each
    trial alone, and with what they share counted once, at most; means over seeds.
    """

    policy: str
    settings: dict[str, Any]
    cut: dict[str, Any]
    choice: str
    seeds: list[int]
    thresholds: list[float | None]
    epochs: list[int | None]
    never_crossed: int
    grid: list[int]
    oracle_seeds: list[int]
    oracle_epoch: int | None
    oracle_val_accuracy: float | None
    oracle_test_accuracy: float | None
    regrets: list[float]
    regret: float | None
    sd: float | None
    hours: float | None
    scan_hours_alone: float | None
    scan_hours_shared: float | None
    notes: list[str]
    quality: Quality

    def to_json(self) -> dict[str, Any]:
        """Plain values under the names of its fields; the oracle's bear the metric's."""
        return {
            name.replace("_accuracy", f"_{self.quality.name}"): value
            for name, value in asdict(self).items()
            if name != "quality"
        }


def oracle(rows: Iterable[Row]) -> list[Verdict]:
    """A verdict for each indicator, cut and threshold, in the order of the rows.

    rows: of a sweep, as ``read_rows`` gives them. Where an indicator has several thresholds and at
    least two seeds, one more in which each seed gets the threshold that did best on the others.
    Trials that have not finished are left out, and noted; where dense, or the oracle itself, did
    not learn, no regret is told; which settings ended at chance though dense learned is noted.
    Raises InputError for a policy that cannot be read, such as one's own that does not import.
    """
    rows = list(rows)
    why, told = unlearned(rows), told_collapsed(rows)
    trials = [trial for row in rows if (trial := Trial.of(row)) is not None]
    grids: dict[Hashable, Grid] = {}
    indicators: dict[str, list[Trial]] = {}
    for trial in trials:
        if isinstance(trial.policy, Triggered):
            settings = {**specify(trial.policy), "threshold": None}
            indicators.setdefault(canonical([trial.task, settings]), []).append(trial)
            if trial.cut not in grids:
                grids[trial.cut] = Grid(trials, trial.cut)
    return [
        _silenced(_noted(verdict, told), why or grids[found[0].cut].unlearned)
        for found in indicators.values()
        for verdict in _verdicts(found, grids[found[0].cut])
    ]


def _noted(verdict: Verdict, told: str) -> Verdict:
    return replace(verdict, notes=[*verdict.notes, told]) if told else verdict


def _silenced(verdict: Verdict, why: str) -> Verdict:
    """The verdict; without its regrets if there is a reason that they say nothing."""
    if not why:
        return verdict
    return replace(verdict, regrets=[], regret=None, sd=None, notes=[why, *verdict.notes])


def nothing_to_judge(verdicts: Sequence[Verdict]) -> str:
    """Why there is nothing to compare, in one line: no indicator, or no grid; "" if there is."""
    if not verdicts:
        names = [name for name, kind in POLICIES.items() if issubclass(kind, Triggered)]
        return f"no indicator among its policies ({', '.join(names)}, or a Triggered of your own)"
    missing = [note for one in verdicts for note in one.notes if note.startswith(notes.NO_GRID)]
    return missing[0] if len(missing) == len(verdicts) else ""


def to_json(verdicts: Iterable[Verdict]) -> str:
    """A list of objects."""
    return json.dumps([verdict.to_json() for verdict in verdicts], indent=1, allow_nan=False)


def _verdicts(trials: Sequence[Trial], grid: Grid) -> list[Verdict]:
    """Of one indicator, all its thresholds."""
    by_threshold: dict[float | None, list[Row]] = {}
    for trial in trials:
        threshold = getattr(trial.policy, "threshold", None)
        by_threshold.setdefault(threshold, []).append(trial.row)
    usable = {key: [r for r in rows if _usable(r, grid)] for key, rows in by_threshold.items()}
    found = [
        _verdict(trials[0], GIVEN, {r["seed"]: (key, r) for r in usable[key]}, rows, grid)
        for key, rows in by_threshold.items()
    ]
    if len(by_threshold) == 1 or not grid.rows:
        return found
    candidates = complete(usable)
    seeds = list(next(iter(candidates.values()), ()))
    if len(seeds) < 2 or not grid.seeds:
        for verdict in found:
            verdict.notes.append(notes.NO_CHOICE)
        return found
    choices = {seed: best_on_others(candidates, seed) for seed in seeds}
    chosen = {seed: (key, candidates[key][seed]) for seed, key in choices.items()}
    return [*found, _verdict(trials[0], OTHERS, chosen, [t.row for t in trials], grid)]


def _verdict(trial: Trial, choice: str, chosen: Chosen, rows: Sequence[Row], grid: Grid) -> Verdict:
    """trial: any of the indicator. rows: all that were chosen among, whether they ended or not."""
    chosen = dict(sorted(chosen.items()))
    judged = {seed: row for seed, (_, row) in chosen.items()}
    quality = Quality.among([trial.row])
    losses = [] if grid.best is None else regrets(grid.epochs[grid.best], judged)
    written = specify(trial.policy)
    elsewhere = {"policy", "threshold", *OneShot.model_fields}
    return Verdict(
        policy=written["policy"],
        settings={key: part for key, part in written.items() if key not in elsewhere},
        cut={**notes.shown_cut(trial.policy), **trial.task},
        choice=choice,
        seeds=list(judged),
        thresholds=[threshold for threshold, _ in chosen.values()],
        epochs=[next(iter(row["prune_epochs"]), None) for row in judged.values()],
        never_crossed=sum(map(never_crossed, judged.values())),
        grid=list(grid.epochs),
        oracle_seeds=grid.seeds,
        oracle_epoch=grid.best,
        oracle_val_accuracy=grid.mean(quality.val),
        oracle_test_accuracy=grid.mean(quality.test),
        regrets=losses,
        regret=float(np.mean(losses)) if losses else None,
        sd=spread(losses),
        hours=average(judged.values(), "gpu_hours") if judged else None,
        scan_hours_alone=grid.hours_alone,
        scan_hours_shared=grid.hours_shared,
        notes=[
            *notes.of_grid(grid.rows, grid.epochs, grid.best, trial.policy),
            *notes.of_indicator(rows, judged, losses),
        ],
        quality=quality,
    )


def _usable(row: Row, grid: Grid) -> bool:
    """Whether it has ended, and the grid has on its seed if there is one."""
    return ended(row) and (not grid.seeds or row["seed"] in grid.seeds)
