"""Running a sweep: its unfinished trials go to Ray Tune, what they report to disk and MLflow."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from sweeps.config import Resources, Sweep, TrialSpec
from sweeps.progress import Display
from sweeps.results import METRICS, Row, mark_pareto, row
from sweeps.store import Store
from sweeps.tracking import Tracker


def run(
    sweep: Sweep, trials: Sequence[TrialSpec], store: Store, tracking_uri: str, console: Console
) -> list[Row]:
    """Train what is not finished yet and return a row a trial. Ray must be connected.

    Run again, it goes on: finished trials are read from the store, others continue from their
    snapshots. MLflow is told about all of them; what it has already is not logged twice.
    """
    store.write_sweep(
        sweep.name,
        {
            "name": sweep.name,
            "objectives": sweep.objectives,
            "trials": [
                {
                    "id": spec.id,
                    "address": spec.address,
                    "setting": spec.shown,
                    "seed": spec.seed,
                }
                for spec in trials
            ],
            "config": sweep.model_dump(mode="json"),
        },
    )
    tracker = Tracker(tracking_uri, sweep.name, sweep.name, {"earlyprune.sweep": sweep.name})
    ended = False
    try:
        with Display(console, len(trials), sweep.task.epochs) as display:
            journal = Journal(trials, store, tracker, display)
            waiting = []
            for spec in trials:
                result = store.trial(spec.address).result()
                if result is not None and result["status"] == "finished":
                    journal.ended(spec.id, result)
                else:
                    waiting.append(spec)
            if waiting:
                _tune(waiting, sweep.resources, sweep.retries, store, journal)
        rows = read_rows(store, sweep.name)
        ended = all(row["status"] != "unfinished" for row in rows)
    finally:
        tracker.close("FINISHED" if ended else "KILLED")
    return rows


def read_rows(store: Store, name: str) -> list[Row]:
    """The results of a sweep that has run, or is running. Raises InputError if there is none."""
    sweep = store.read_sweep(name)
    rows = []
    for trial in sweep["trials"]:
        result = store.trial(trial["address"]).result() or {"status": "unfinished"}
        rows.append(row(trial["id"], trial["setting"], trial["seed"], result))
    return mark_pareto(rows, sweep["objectives"])


class Journal:
    """Passes on what trials report: to the display at once, to MLflow by epoch and at the end."""

    def __init__(
        self, trials: Sequence[TrialSpec], store: Store, tracker: Tracker, display: Display
    ) -> None:
        self.specs = {spec.id: spec for spec in trials}
        self.store = store
        self.tracker, self.display = tracker, display
        self._open: set[str] = set()
        self._ended: set[str] = set()

    def report(self, trial: str, report: Mapping[str, Any]) -> None:
        """What a step of a trial has left."""
        if "result" in report:
            self.ended(trial, report["result"])
        elif report.get("points"):
            self.display.epoch(trial, int(report["points"][-1]["epoch"]))
            self._curve(trial, report["points"])

    def lost(self, trial: str, reason: str) -> None:
        """A trial whose worker died more often than it may be tried again."""
        if trial not in self._ended:
            result = {"status": "failed", "reason": reason}
            self.store.trial(self.specs[trial].address).write_result(result)
            self.ended(trial, result)

    def ended(self, trial: str, result: Mapping[str, Any]) -> None:
        """A trial's result."""
        self._ended.add(trial)
        self.display.end(trial, result)
        finished = result["status"] == "finished"
        self._curve(trial, result.get("points", []))
        summary = result.get("summary", {})
        tags = {"status": result["status"]}
        if finished:
            tags["prune_epochs"] = str(summary["prune_epochs"])
            tags |= {"warnings": "; ".join(summary["warnings"])} if summary["warnings"] else {}
        else:
            tags["reason"] = result["reason"]
        figures = {name: float(summary[name]) for name in METRICS if name in summary}
        self.tracker.finish(trial, figures, tags, "FINISHED" if finished else "FAILED")

    def _curve(self, trial: str, points: Sequence[Mapping[str, float]]) -> None:
        if trial not in self._open:
            self._open.add(trial)
            spec = self.specs[trial]
            parameters = {key: str(part) for key, part in {"seed": spec.seed, **spec.shown}.items()}
            self.tracker.trial(trial, trial, parameters, {"policy": spec.setting["policy"]})
        if points:
            self.tracker.curve(
                trial,
                [
                    (int(point["epoch"]), {k: v for k, v in point.items() if k != "epoch"})
                    for point in points
                ],
            )


def _tune(
    trials: Sequence[TrialSpec],
    resources: Resources,
    retries: int,
    store: Store,
    journal: Journal,
) -> None:
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "3600")
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the new one prints at any verbosity
    from ray import tune
    from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner

    from sweeps.queue import TrialQueue
    from sweeps.worker import Worker

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # we give the reasons

    class Listener(Callback):  # type: ignore[misc]
        def __reduce__(self) -> tuple[type[Callback], tuple[()]]:
            return Callback, ()  # Tune keeps a copy for its own resuming, which we do not use

        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any
        ) -> None:
            journal.report(result["trial"], result)

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
            name = TrialSpec.from_json(json.loads(trial.config["trial"])).id
            journal.lost(name, f"the worker died more than {retries} times")

    configurations = [
        {
            "trial": json.dumps(spec.to_json()),
            "storage": str(store.root.resolve()),
            "threads": resources.cpus,
            "gpus": resources.gpus,
            "devices": resources.devices,
        }
        for spec in trials
    ]
    with tempfile.TemporaryDirectory(prefix="earlyprune-tune-") as scratch:
        Tuner(
            tune.with_resources(Worker, {"cpu": resources.cpus, "gpu": resources.gpus}),
            tune_config=TuneConfig(
                reuse_actors=True, search_alg=TrialQueue(configurations), num_samples=-1
            ),
            run_config=RunConfig(
                name="sweep",
                storage_path=scratch,
                verbose=0,
                callbacks=[Listener()],
                failure_config=FailureConfig(max_failures=retries),
                checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
