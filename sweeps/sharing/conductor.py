"""Between the tree and Ray Tune: branches go out as trials, and what workers report comes back.

A branch is one trial of Tune, whatever it does: Tune places it, and says when its worker has died.
All that Tune can do beside that is off. It would resume only the very same experiment, and would
start a lost trial from its beginning; the tree does both from the store. What our parts raise would
be lost in Tune's hands, so it is kept, and raised once Tune has ended.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, Stopper, TuneConfig, Tuner
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from pruning.names import imported_from
from pruning.policies.registry import specify
from pruning.saliency.registry import specify as specify_probe
from sweeps.sharing.resources import Resources
from sweeps.sharing.ride import Keep, Report
from sweeps.sharing.tree import Branch, Tree
from sweeps.sharing.worker import Worker
from sweeps.storage.files import StorageError

_log = logging.getLogger(__name__)


class Conductor:
    """Trains a tree to its end.

    more: called where nothing waits for a worker; lets more riders join, and says whether others
    may come later. heard: called after every change, with the report if there was one. What either
    raises ends the sweep. Raises StorageError if the storage fails, here or on a worker: what is
    stored stays, and to run again is to go on.
    """

    def __init__(
        self,
        tree: Tree,
        resources: Resources,
        keep: Keep,
        heard: Callable[[Report | None], None],
        more: Callable[[], bool] = lambda: False,
    ) -> None:
        self.tree, self.resources, self.keep = tree, resources, keep
        self.heard, self.more = heard, more
        files = tree.library.store.files
        # Workers may have another working folder.
        self.storage = files.address if files.remote else str(Path(files.address).resolve())
        self.trouble: Exception | None = None
        self.damaged: set[str] = set()

    def run(self) -> None:
        """Hand out branches until every rider has ended."""
        _quiet()
        needs = {"cpu": self.resources.cpus, "gpu": self.resources.gpus}
        with _signals_restored(), tempfile.TemporaryDirectory(prefix="earlyprune-tune-") as scratch:
            Tuner(
                tune.with_resources(Worker, needs),
                tune_config=TuneConfig(
                    reuse_actors=True,  # 0.05 s a branch; a new one imports torch for seconds
                    search_alg=_Branches(self),
                    scheduler=_Listener(self),
                    num_samples=-1,  # until the searcher says that it has finished
                ),
                run_config=RunConfig(
                    name="sweep",
                    storage_path=scratch,
                    verbose=0,
                    stop=_Stop(self),
                    failure_config=FailureConfig(max_failures=0),  # the tree knows better
                    # Workers have none to give: asked, each would err after its last step, and
                    # its actor would not be used again.
                    checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
                ),
            ).fit()
        if self.trouble:
            raise self.trouble

    def next(self) -> Branch | None:
        """What to train next, None if nothing waits now. Raises StopIteration at the end."""
        branch = self.tree.next()
        if branch is None:
            others = self.more()
            branch = self.tree.next()
            if branch is None and self.tree.done and not others:
                raise StopIteration
        return branch

    def order(self, branch: Branch) -> dict[str, Any]:
        """What a worker needs to train a branch."""
        return {
            "number": branch.number,
            "path": branch.path,
            "riders": [
                {
                    "key": rider.key,
                    "policy": specify(rider.policy),
                    "state": rider.state.to_json(),
                    "reference": rider.reference,
                }
                for rider in branch.riders
            ],
            "storage": self.storage,
            "folder": os.getcwd(),
            "imported_from": [(one, os.path.relpath(one)) for one in imported_from()],
            "keep": self.keep,
            "measure": [(specify_probe(probe), until) for probe, until in branch.measure],
            "careful": branch.careful,
            "marks": self.marks(branch),
            "workers": self.resources.workers,
            "threads": self.resources.threads,
            "gpus": self.resources.gpus,
            "devices": self.resources.devices,
        }

    def marks(self, branch: Branch) -> list[int]:
        """The epochs after which a worker is to report."""
        tree = self.tree
        return tree.judge.marks(branch.riders[0].epochs) if tree.judge else []

    def hear(self, result: dict[str, Any]) -> bool:
        """A worker's result. Returns whether it is to go on."""
        number, on = result["branch"], False
        try:
            # A storage that fails is no branch's own trouble: the next would meet it, too.
            if "storage" in result:
                raise StorageError(result["storage"])
            if "astray" in result:
                reason = f"{result['astray']} is not in the storage"
                hint = f"do all machines see {self.storage!r}?"
                self.tree.astray(number, f"{reason} that its worker sees ({hint})")
                self.heard(None)
            elif "failure" in result:
                _log.debug("a branch has failed:\n%s", result["trace"])
                self.tree.lost(number, result["failure"], result["trace"])
                self.heard(None)
            else:
                content = json.loads(result["report"])
                self.damaged |= set(content["damaged"])
                report = Report.from_json(content)
                on = self.tree.report(number, report)
                self.heard(report)
        except Exception as error:  # in Tune's hands it would be lost
            self.trouble = self.trouble or error
        return on and not self.trouble

    def lost(self, number: int) -> None:
        """A worker has died."""
        try:
            self.tree.lost(number, "its worker was killed (out of memory?) or crashed")
            self.heard(None)
        except Exception as error:
            self.trouble = self.trouble or error


class _Silent:
    """Tune pickles its parts to resume by itself; ours hold what cannot travel, and need not."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self.conductor = conductor

    def __reduce__(self) -> tuple[Any, ...]:
        return object, ()


class _Branches(_Silent, Searcher):  # type: ignore[misc]
    """Hands out branches as they appear."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        conductor = self.conductor
        if conductor.trouble:
            return str(Searcher.FINISHED)
        try:
            branch = conductor.next()
        except StopIteration:
            return str(Searcher.FINISHED)
        except Exception as error:
            conductor.trouble = error
            return str(Searcher.FINISHED)
        return {"branch": json.dumps(conductor.order(branch))} if branch else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """The listener has heard of it."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store holds all there is."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""


class _Listener(_Silent, FIFOScheduler):  # type: ignore[misc]
    """Tells the conductor what workers report, and workers whether to go on."""

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        # A result with ``done`` would not come here; so no worker says so, and STOP is the answer.
        on = self.conductor.hear(result)
        return str(TrialScheduler.CONTINUE if on else TrialScheduler.STOP)

    def on_trial_error(self, controller: Any, trial: Any) -> None:
        # The actor has died: what workers raise themselves comes as a result.
        self.conductor.lost(json.loads(trial.config["branch"])["number"])


class _Stop(_Silent, Stopper):  # type: ignore[misc]
    """Ends everything at the first trouble that is no branch's own."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.conductor.trouble is not None


@contextmanager
def _signals_restored() -> Iterator[None]:
    """Tune takes signals for itself, and keeps them after its end, where they would do nothing."""
    numbers = (signal.SIGINT, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _quiet() -> None:
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # CSV and JSON that nobody reads
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "3600")  # of a state that nobody resumes
    os.environ.setdefault("TUNE_FORCE_TRIAL_CLEANUP_S", "5")  # epochs in flight, when interrupted
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the new one prints at any verbosity
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # we give the reasons
