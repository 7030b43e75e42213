"""A trial as Ray Tune runs it: a reused actor that trains one epoch a step."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import torch
from ray import tune

from pruning.training import snapshot
from pruning.training.trial import Trial
from sweeps.config import TrialSpec
from sweeps.curves import course
from sweeps.store import Store

SNAPSHOT_SECONDS = 30.0
"""How much training a lost worker may cost; a shorter trial needs no snapshot."""


class Worker(tune.Trainable):  # type: ignore[misc]
    """Trains the trial in its configuration, epoch by epoch, and keeps what it leaves.

    config: ``trial`` (TrialSpec as JSON), ``storage`` (folder), ``threads``, ``devices``.
    A trial whose worker was lost goes on from its last snapshot. One that fails for a reason of its
    own reports that reason and ends; the actor lives on for the next.
    """

    def setup(self, config: dict[str, Any]) -> None:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for deterministic cuBLAS
        torch.set_num_threads(max(1, int(config["threads"])))
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.spec = TrialSpec.from_json(json.loads(new_config["trial"]))
        self.devices = float(new_config["devices"])
        self.store = Store(new_config["storage"]).trial(self.spec.address)
        self.trial: Trial | None = None
        self.saved, self.reported = time.monotonic(), 0
        return True

    def step(self) -> dict[str, Any]:
        report: dict[str, Any] = {"trial": self.spec.id}
        try:
            return report | self._step()
        except Exception as error:  # a failing trial is a row with its reason; others go on
            first = (str(error).splitlines() or [""])[0]
            result = {"status": "failed", "reason": f"{type(error).__name__}: {first}"}
            self.store.write_result(result)
            return report | {"points": [], "result": result, "done": True}

    def _step(self) -> dict[str, Any]:
        if self.trial is None:
            self.trial = self._open()
        trial = self.trial
        record = trial.step()
        self.store.write_record(record)
        points = course(trial.records, trial.policy, trial.history, self.devices)
        if trial.done:
            summary = trial.summary()
            summary["gpu_hours"] = summary["total_seconds"] * self.devices / 3600
            summary["gpu_hours_spent"] = summary["gpu_hours"]
            result = {"status": "finished", "summary": summary, "points": points}
            self.store.write_result(result)
            return {"points": [], "result": result, "done": True}
        if time.monotonic() - self.saved > SNAPSHOT_SECONDS:
            with trial.training.meter.section("snapshot"):
                self.store.write_snapshot(record.epoch, snapshot.take(trial.training))
            self.saved = time.monotonic()
        new, self.reported = points[self.reported :], len(points)
        return {"points": new}

    def _open(self) -> Trial:
        spec, found = self.spec, self.store.resume_point()
        data, records = found or (None, ())
        trial = Trial(spec.task, spec.policy, spec.seed, self.device, data, records)
        if found is None:
            self.store.write_record(trial.records[0])
        return trial
