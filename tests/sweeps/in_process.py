"""A sweep in this process: real trainings that share, without Ray and MLflow."""

from __future__ import annotations

from sweeps.file.sweep import Sweep
from sweeps.sharing.library import Library
from sweeps.sharing.ride import Ride
from sweeps.sharing.rider import Rider, State, code
from sweeps.sharing.trainer import Trainer
from sweeps.sharing.tree import Tree
from sweeps.storage.store import Origin, Store


def train(sweep: Sweep, store: Store, limit: int = 10**9) -> int:
    """Train a sweep's trials, no more than about so many epochs; returns how many it were."""
    tree = Tree(Library(store), retries=0)
    trained = 0
    for order, spec in enumerate(sweep.trials()):
        trunk = Origin(spec.task, spec.seed)
        tree.join(Rider(spec.address, spec.policy, trunk, spec.task.epochs, order))
    while trained < limit and (branch := tree.next()):
        riders = []
        for rider in branch.riders:
            copy = Rider(rider.key, rider.policy, rider.trunk, rider.epochs, rider.order)
            copy.state = State.from_json(rider.state.to_json())
            riders.append(copy)
        ride = Ride(branch.path, riders, Library(store), Trainer(), "trunk")
        going_on = True
        while going_on and trained < limit:
            ride.advance()
            report = ride.report()
            trained += report.trained
            going_on = tree.report(branch.number, report)
    for rider, _ in tree.ended:
        status = "finished" if rider.finished else "failed"
        content = {"status": status, "reason": rider.state.failure or "", "summary": {}}
        kept = {"code": code(rider.policy), "state": rider.state.to_json()}
        store.write_trial(rider.key, {**content, **kept})
    return trained


def announce(sweep: Sweep, store: Store) -> None:
    """Write what a sweep consists of, as a run does when it begins."""
    trials = [
        {"id": spec.id, "key": spec.address, "setting": spec.shown, "seed": spec.seed}
        for spec in sweep.trials()
    ]
    content = {"name": sweep.name, "objectives": sweep.objectives, "trials": trials}
    store.write_sweep(sweep.name, {**content, "config": sweep.model_dump(mode="json")})
