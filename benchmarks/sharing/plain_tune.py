"""The baseline: a sweep as a user of Ray Tune and MLflow would write it, without ``sweeps/``.

Every trial is one call of ``train``, from its first epoch to its last, under Ray's own MLflow
callback and Tune's default loggers; an epoch's work is earlyprune's, so results compare exactly.

    python -m benchmarks.sharing.plain_tune sweeps/configs/quickstart.yaml --set task.epochs=4
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from ray import tune
from ray.tune import RunConfig, TuneConfig, Tuner

from benchmarks.output import write_json
from benchmarks.sharing.finals import FINALS
from cluster.connection import ray_session
from pruning.errors import InputError
from pruning.policies.registry import policy
from pruning.training.task import Task
from pruning.training.trial import Trial
from sweeps.file.sweep import Sweep, read
from sweeps.file.trials import TrialSpec


@dataclass(frozen=True)
class PlainResult:
    """What the study took and found.

    wall_seconds: from asking Tune to having all results, Ray being connected and modules imported.
    epochs: trained by all trials, failed ones included. gpu_hours: of the finished trials.
    finals: their figures by the trial's id. failed: ids.
    """

    wall_seconds: float
    epochs: int
    gpu_hours: float
    finals: dict[str, dict[str, Any]]
    failed: list[str]


def train(config: dict[str, Any], task: dict[str, Any]) -> None:
    """A trial: one policy and seed, on one thread. The last report has the summary."""
    torch.set_num_threads(1)
    trial = Trial(Task.parse(task), policy(config["policy"]), config["seed"])
    while not trial.done:
        record = trial.step()
        report = {
            "epoch": record.epoch,
            "val_accuracy": record.metrics["val_accuracy"],
            "test_accuracy": record.test["test_accuracy"],
            "sparsity": trial.training.pruner.network.sparsity,
            "train_seconds": record.seconds["train"],
        }
        tune.report(report | ({"summary": trial.summary()} if trial.done else {}))


def run(sweep: Sweep, folder: Path, *, reuse_actors: bool = False) -> PlainResult:
    """Run all of a sweep's trials, a CPU core each. Ray must be connected.

    folder: for Tune's logs and MLflow's database. reuse_actors: Tune's option of that name, off
    unless a user asks for it.
    """
    from ray.air.integrations.mlflow import MLflowLoggerCallback  # takes seconds, trials need none

    for variable in ("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "TUNE_GLOBAL_CHECKPOINT_S"):
        os.environ.pop(variable, None)  # set by sweeps.running.run in the same process
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the new one prints at any verbosity
    task = sweep.task.model_dump(mode="json")
    policies = [spec.setting for spec in sweep.trials() if spec.seed == sweep.seeds[0]]
    began = time.perf_counter()
    results = Tuner(
        tune.with_resources(tune.with_parameters(train, task=task), {"cpu": 1}),
        param_space={
            "policy": tune.grid_search(policies),
            "seed": tune.grid_search(list(sweep.seeds)),
        },
        tune_config=TuneConfig(reuse_actors=reuse_actors),
        run_config=RunConfig(
            name=sweep.name,
            storage_path=str(folder.resolve() / "tune"),
            verbose=0,
            callbacks=[
                MLflowLoggerCallback(
                    tracking_uri=f"sqlite:///{folder.resolve() / 'mlflow.db'}",
                    experiment_name=sweep.name,
                )
            ],
        ),
    ).fit()
    wall = time.perf_counter() - began
    configs = [result.config for result in results]
    ids = [TrialSpec(sweep.task, policy(c["policy"]), c["seed"]).id for c in configs]
    summaries = {
        id: result.metrics["summary"]
        for id, result in zip(ids, results, strict=True)
        if not result.error
    }
    return PlainResult(
        wall_seconds=wall,
        epochs=sum((result.metrics or {}).get("training_iteration", 0) for result in results),
        gpu_hours=sum(summary["total_seconds"] for summary in summaries.values()) / 3600,
        finals={id: {name: found[name] for name in FINALS} for id, found in summaries.items()},
        failed=[id for id in ids if id not in summaries],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sharing.plain_tune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=Path, help="the sweep file")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="key=value")
    parser.add_argument("--reuse-actors", action="store_true", help="Tune's option, off by default")
    parser.add_argument("--json", type=Path, help="file for the result")
    given = parser.parse_args(arguments)
    try:
        sweep = read(given.config, given.changes)
        with ray_session(), tempfile.TemporaryDirectory(prefix="plain-tune-") as folder:
            result = run(sweep, Path(folder), reuse_actors=given.reuse_actors)
    except InputError as error:
        parser.error(str(error))
    if given.json:
        write_json(given.json, asdict(result))
    print(
        f"{len(result.finals)} trials finished, {len(result.failed)} failed: "
        f"{result.wall_seconds:.1f} s, {result.epochs} epochs, {result.gpu_hours:.5f} device-hours"
    )
    return int(bool(result.failed))


if __name__ == "__main__":
    sys.exit(main())
