"""What becomes of a sweep's news: the display at once, the store and MLflow when trials end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from sweeps.file.trials import TrialSpec
from sweeps.results.curves import Point, course, outcome
from sweeps.results.prices import Bill, Prices
from sweeps.results.rows import figures as figures_of
from sweeps.running.progress import Display
from sweeps.sharing.library import Gone, Library
from sweeps.sharing.ride import Report
from sweeps.sharing.rider import Rider, code
from sweeps.storage.store import Stored
from sweeps.tracking.session import Status
from sweeps.tracking.tracker import Tracker

LIVE_SHARE = 0.1
"""Share of the time that the curves of trials that still run may take; many ride one epoch."""

TRACE_END = 5000
"""Characters of a traceback that a tag of MLflow holds; its end says most."""


class Journal:
    """Passes on what happens to riders.

    trials: the sweep's, by the key of their riders.
    """

    def __init__(
        self,
        trials: Mapping[str, TrialSpec],
        library: Library,
        tracker: Tracker,
        display: Display,
    ) -> None:
        self.trials, self.library = trials, library
        self.tracker, self.display = tracker, display
        self.trained = 0
        self.resting: set[str] = set()  # trials that are paused, by key
        self._open: set[str] = set()
        self._sent: dict[str, int] = {}  # the last epoch sent, by key, the stalest first
        self._began, self._sending = time.monotonic(), 0.0
        self._prices = Prices()
        self._bills: list[tuple[Rider, Bill, dict[str, Any]]] = []

    def heard(self, report: Report | None, riders: Mapping[str, Rider]) -> None:
        """A branch's report has been taken in."""
        if report is None:
            return
        self.trained += report.trained
        for key in report.states:
            self._sent.setdefault(key, 0)
        self.display.epochs_of(
            {self.trials[key].id: riders[key].state.epoch for key in report.states}
        )
        if self._sending < LIVE_SHARE * (time.monotonic() - self._began):
            self._send_stalest(riders)

    def ended(self, rider: Rider, epochs: Sequence[Stored]) -> Mapping[str, Any]:
        """A rider has come to its end: keep how it went, and tell MLflow. Returns its result."""
        spec = self.trials[rider.key]
        result = outcome(epochs, rider)
        # Only replayed, what is stored of it stands, and no time of day changes.
        if rider.state != rider.remembered or rider.state.failure is not None:
            self._keep(rider, result)
        elif known := self.library.store.trial(rider.key):
            result = known | {"reason": result["reason"]}
        self._sent.pop(rider.key, None)
        points = course(epochs, rider) if rider.finished else []
        if rider.finished:
            bill = self._prices.bill(rider, self.library.owners(rider), epochs)
            self._bills.append((rider, bill, result))
        self.final(spec, result, points, rider.state.trace)
        return result

    def settle(self) -> None:
        """The sweep has ended, and what an epoch of each shape takes is known: tell who differs."""
        priced = self._prices.figures(bill for _, bill, _ in self._bills)
        for (rider, _, result), figures in zip(self._bills, priced, strict=True):
            summary = {**result["summary"], **figures}
            if summary != result["summary"]:
                settled = {**result, "summary": summary}
                self._keep(rider, settled)
                self.final(self.trials[rider.key], settled, [])

    def paused(self, rider: Rider) -> None:
        """A rider rests: the search thinks others better; it may be called back."""
        self.resting.add(rider.key)
        self._sent.pop(rider.key, None)
        reason = f"others looked better after epoch {rider.state.epoch}"
        spent = {"gpu_hours_spent": 0.0}
        with suppress(Gone):
            epochs = self.library.course(rider.state.path, rider.state.epoch)
            charged = sum(stored.charges.get(rider.key, 0.0) for stored in epochs)
            spent = {"gpu_hours_spent": charged / 3600}
            self._curve(self.trials[rider.key], course(epochs, rider))
        result = {"status": "paused", "reason": reason, "summary": spent}
        self._keep(rider, result)
        self.final(self.trials[rider.key], result, [])

    def _keep(self, rider: Rider, result: Mapping[str, Any]) -> None:
        known = {"code": code(rider.policy), "state": rider.state.to_json(), "ended": time.time()}
        self.library.store.write_trial(rider.key, {**result, **known})

    def final(
        self, spec: TrialSpec, result: Mapping[str, Any], points: list[Point], trace: str = ""
    ) -> None:
        """A trial's result; where in the code it failed."""
        self.display.end(spec.id, result)
        self._curve(spec, points)
        summary = result["summary"]
        tags = {"status": result["status"]}
        finished = result["status"] == "finished"
        if finished:
            tags["prune_epochs"] = str(summary["prune_epochs"])
            tags |= {"warnings": "; ".join(summary["warnings"])} if summary["warnings"] else {}
        else:
            tags["reason"] = result["reason"]
            tags |= {"traceback": trace[-TRACE_END:]} if trace else {}
        names = figures_of(spec.task.measured)
        figures = {name: float(summary[name]) for name in names if name in summary}
        ends: dict[str, Status] = {"finished": "FINISHED", "paused": "KILLED"}
        self.tracker.finish(spec.id, figures, tags, ends.get(result["status"], "FAILED"))

    def _send_stalest(self, riders: Mapping[str, Rider]) -> None:
        for key, sent in self._sent.items():
            rider = riders[key]
            if rider.state.epoch > sent and not rider.ended:
                began = time.monotonic()
                with suppress(Gone):
                    epochs = self.library.course(rider.state.path, rider.state.epoch)
                    self._curve(self.trials[key], course(epochs, rider))
                del self._sent[key]
                self._sent[key] = rider.state.epoch
                self._sending += time.monotonic() - began
                return

    def _curve(self, spec: TrialSpec, points: list[Point]) -> None:
        if spec.id not in self._open:
            self._open.add(spec.id)
            parameters = {key: str(part) for key, part in {"seed": spec.seed, **spec.shown}.items()}
            self.tracker.trial(spec.id, spec.id, parameters, {"policy": spec.setting["policy"]})
        if points:
            named = [
                (int(p["epoch"]), {k: v for k, v in p.items() if k != "epoch"}) for p in points
            ]
            self.tracker.curve(spec.id, named)
