"""A trial as Ray Tune runs it: a reused actor that trains some epochs a step.

Torch is imported by the first step, not with this module: Tune gives a waiting trial the first
actor that is free and discards the one that was starting for it, so actors that are slow to start
would be thrown away again and again while short trials pass by.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from ray import tune

if TYPE_CHECKING:
    from pruning.training.trial import Trial
    from sweeps.config import TrialSpec
    from sweeps.store import TrialStore

SNAPSHOT_SECONDS = 30.0
"""How much training a lost worker may cost; a shorter trial needs no snapshot."""

REPORT_SECONDS = 1.0
"""A step of Tune trains whole epochs for about so long: each step is a round trip to the driver."""


class Worker(tune.Trainable):  # type: ignore[misc]
    """Trains the trial in its configuration, epoch by epoch, and keeps what it leaves.

    config: ``trial`` (TrialSpec as JSON), ``storage`` (folder), ``threads``,
    ``gpus`` (a trial that asked for none trains on the CPU), ``devices`` (charged per second).
    A trial whose worker was lost goes on from its last snapshot. One that fails for a reason of its
    own reports that reason and ends; the actor lives on for the next.
    """

    def setup(self, config: dict[str, Any]) -> None:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for deterministic cuBLAS
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.settings = new_config
        self.trial: Trial | None = None
        self.saved, self.reported = time.monotonic(), 0
        return True

    def step(self) -> dict[str, Any]:
        from sweeps.config import TrialSpec
        from sweeps.store import Store

        spec = TrialSpec.from_json(json.loads(self.settings["trial"]))
        store = Store(self.settings["storage"]).trial(spec.address)
        try:
            report = self._step(spec, store)
        except Exception as error:  # a failing trial is a row with its reason; others go on
            first = (str(error).splitlines() or [""])[0]
            result = {"status": "failed", "reason": f"{type(error).__name__}: {first}"}
            store.write_result(result)
            report = {"points": [], "result": result, "done": True}
        return {"trial": spec.id, **report}

    def _step(self, spec: TrialSpec, store: TrialStore) -> dict[str, Any]:
        from pruning.training import snapshot
        from sweeps.curves import course

        trial = self.trial = self.trial or self._open(spec, store)
        devices, began = float(self.settings["devices"]), time.monotonic()
        while True:
            store.write_record(trial.step())
            if time.monotonic() - self.saved > SNAPSHOT_SECONDS and not trial.done:
                with trial.training.meter.section("snapshot"):
                    store.write_snapshot(len(trial.records) - 1, snapshot.take(trial.training))
                self.saved = time.monotonic()
            if trial.done or time.monotonic() - began > REPORT_SECONDS:
                break
        points = course(trial.records, trial.policy, trial.history, devices)
        if not trial.done:
            new, self.reported = points[self.reported :], len(points)
            return {"points": new}
        summary = trial.summary()
        summary["gpu_hours"] = summary["total_seconds"] * devices / 3600
        summary["gpu_hours_spent"] = summary["gpu_hours"]
        result = {"status": "finished", "summary": summary, "points": points}
        store.write_result(result)
        return {"points": [], "result": result, "done": True}

    def _open(self, spec: TrialSpec, store: TrialStore) -> Trial:
        import torch

        from pruning.training.trial import Trial

        torch.set_num_threads(max(1, int(self.settings["threads"])))
        device = "cuda" if self.settings["gpus"] else "cpu"
        found = store.resume_point()
        data, records = found or (None, ())
        trial = Trial(spec.task, spec.policy, spec.seed, device, data, records)
        if found is None:
            store.write_record(trial.records[0])
        return trial
