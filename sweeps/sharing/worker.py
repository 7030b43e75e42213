"""A branch as Ray Tune runs it: a reused actor that trains some epochs a step.

Torch is imported by the first step, not with this module: Tune gives a waiting trial the first
actor that is free and discards the one that was starting for it, so actors that are slow to start
would be thrown away again and again while short trials pass by.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from typing import TYPE_CHECKING, Any

from ray import tune

if TYPE_CHECKING:
    from pruning.parallel.team import Team
    from sweeps.sharing.library import Library
    from sweeps.sharing.ride import Ride

REPORT_SECONDS = 1.0
"""A step of Tune trains whole epochs for about so long, or until a rider has news: each step is a
round trip to the driver."""


class Worker(tune.Trainable):  # type: ignore[misc]
    """Trains the branch in its configuration for its riders.

    config: ``branch``, JSON of what the conductor hands out. A result has ``branch`` and either
    ``report`` (Report as JSON) or the reason why there is none: ``failure`` of this branch with
    its ``trace``, ``astray`` where the store has lost something, ``storage`` where the storage
    itself fails.
    """

    library: Library | None = None  # kept for the next branch
    team: Team | None = None  # likewise

    def setup(self, config: dict[str, Any]) -> None:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for deterministic cuBLAS
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.order = json.loads(new_config["branch"])
        self.ride: Ride | None = None
        return True  # after False, Tune's fit() did not come back

    def cleanup(self) -> None:
        if self.team:
            self.team.close()

    def step(self) -> dict[str, Any]:
        from pruning.foreign import contained, told_where
        from sweeps.sharing.library import Gone
        from sweeps.storage.files import StorageError

        # Nothing is raised: Tune ends the actor of a trial that has failed, and the next branch
        # would wait for torch to be imported once more.
        try:
            with contained():
                report = self._step()
        except StorageError as error:
            report = {"storage": str(error)}
        except Gone as error:
            report = {"astray": str(error)}
        except Exception as error:
            report = {"failure": told_where(error), "trace": traceback.format_exc()}
        return {"branch": self.order["number"], **report}

    def _step(self) -> dict[str, Any]:
        ride = self.ride = self.ride or self._open()
        began = time.monotonic()
        while True:
            ride.advance()
            if ride.due or time.monotonic() - began > REPORT_SECONDS:
                break
        report = ride.report()
        # Warnings of a worker are seen by nobody: the driver tells each file once.
        damaged = sorted(ride.store.files.damaged)
        content = json.dumps({**report.to_json(), "damaged": damaged})
        return {"report": content}

    def _open(self) -> Ride:
        import torch

        from pruning.meter import clock_of
        from pruning.names import import_from
        from pruning.parallel.team import Team
        from pruning.policies.registry import policy
        from pruning.saliency.registry import probe
        from sweeps.sharing.library import Library
        from sweeps.sharing.ride import Ride
        from sweeps.sharing.rider import Rider, State
        from sweeps.sharing.trainer import Trainer
        from sweeps.storage.store import Store

        order = self.order
        if os.path.isdir(order["folder"]):
            os.chdir(order["folder"])  # what a sweep file names by a relative path is there
        for absolute, relative in order["imported_from"]:  # a job's folder lies elsewhere here
            import_from(os.path.abspath(relative) if not os.path.isdir(absolute) else absolute)
        # Without it each of several on a machine takes all its cores, and they stand in each
        # other's way.
        torch.set_num_threads(order["threads"])
        if self.team is None:
            device = "cuda" if order["gpus"] else "cpu"
            self.team = Team(order["workers"], device, order["threads"])
        library = self.library
        if library is None or library.store.files.address != order["storage"]:
            library = self.library = Library(Store(order["storage"]))
        trunk = library.trunk(order["path"])
        riders = []
        for place, data in enumerate(order["riders"]):
            rider = Rider(data["key"], policy(data["policy"]), trunk, trunk.epochs, place)
            rider.at(State.from_json(data["state"]))
            if data["reference"]:
                path, epoch = data["reference"]
                rider.refer(path, epoch, library.history(path, epoch).last)
            riders.append(rider)
        return Ride(
            order["path"],
            riders,
            library,
            Trainer(self.team),
            order["keep"],
            [(probe(given), until) for given, until in order["measure"]],
            order["devices"],
            order["careful"],
            order["marks"],
            clock_of(torch.device(self.team.device)) if self.team.count == 1 else time.perf_counter,
        )
