"""What is left of a sweep after all: its table, its epochs, its runs in MLflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.trained import trainings
from sweeps.results.rows import METRICS, TIMES, Row

if TYPE_CHECKING:  # it loads torch
    from sweeps.storage.store import Store


def facts(store: Store, name: str) -> list[dict[str, Any]]:
    """The table, without what differs from run to run: times, and what follows from them."""
    from sweeps.judging.table import read_rows

    left = {*TIMES, "pareto"}
    return [{k: v for k, v in row.items() if k not in left} for row in read_rows(store, name)]


def epochs(store: Store) -> tuple[int, int]:
    """How many distinct epochs are stored, and how often one of them was stored once more."""
    counts = trainings(store)
    return len(counts), sum(counts) - len(counts)


def runs(uri: str, sweep: str, rows: Sequence[Row], last: int) -> tuple[int, int]:
    """How many trials have no whole run in MLflow, and how many runs there are too many.

    A run is whole if it has finished, its figures are those of the table and its curve has every
    epoch up to the ``last`` once.
    """
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(sweep)
    found = client.search_runs([experiment.experiment_id], max_results=10_000) if experiment else []
    tag = "earlyprune.trial"
    trials = {run.data.tags[tag]: run for run in found if tag in run.data.tags}
    counts = Counter(run.data.tags.get(tag, "the sweep") for run in found)
    lost = 0
    for row in rows:
        run = trials.get(row["trial"])
        points = client.get_metric_history(run.info.run_id, "val_accuracy") if run else []
        whole = (
            run is not None
            and run.info.status == "FINISHED"
            and all(run.data.metrics.get(n) == row[n] for n in {*METRICS} - {*TIMES})
            and sorted({point.step for point in points}) == list(range(1, last + 1))
            and len({(point.step, point.value) for point in points}) == last
        )
        lost += not whole
    lost += "the sweep" not in counts
    return lost, sum(count - 1 for count in counts.values())
