"""The network that a trial of a sweep ended with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pruning.errors import InputError, nearest
from pruning.training import snapshot
from pruning.training.loop import Training
from sweeps.results.quality import ACCURACY
from sweeps.results.rows import Row, row
from sweeps.sharing.library import Gone, Library, line, nearest_snapshot
from sweeps.sharing.rider import State
from sweeps.storage.store import Store


@dataclass(frozen=True)
class Trained:
    """A training at its end, and what the results say of it. again: epochs that were trained again,
    as the snapshots after them were not stored any more."""

    training: Training
    row: Row
    again: int

    def about(self, sweep: str) -> dict[str, Any]:
        """What goes along with the network."""
        names = "trial policy setting seed prune_epochs sparsity params macs".split()
        judged = [
            f"{split}_{metric}" for split in ("val", "test") for metric in self.row["metrics"]
        ]
        names += ["weight_sparsity", *judged]
        return {"sweep": sweep, **{name: self.row[name] for name in names}}


def trained(store: Store, name: str, trial: str) -> Trained:
    """The training of a trial, on the CPU. The data must be at hand.

    name: of the sweep. Raises InputError if there is no such trial, or it has not finished, or what
    is stored of it is lost.
    """
    sweep = store.read_sweep(name)
    trials = {one["id"]: one for one in sweep["trials"]}
    if trial not in trials:
        raise InputError(
            f"trial: unknown trial {trial!r}{nearest(trial, trials)} (allowed: the trials of "
            f"'earlyprune results {name}')"
        )
    one = trials[trial]
    result = store.trial(one["key"]) or {"status": "unfinished"}
    if result["status"] != "finished":
        why = f" ({result['reason']})" if result.get("reason") else ""
        raise InputError(f"trial: {trial!r} has no network: it is {result['status']}{why}")
    state = State.from_json(result["state"])
    try:
        training, again = _opened(Library(store), state.path, state.epoch)
    except Gone as gone:
        raise InputError(
            f"trial: {trial!r}: {gone} is not stored any more; run the sweep again to train it"
        ) from None
    metrics = sweep.get("metrics", ACCURACY)
    return Trained(training, row(trial, one["setting"], one["seed"], result, metrics), again)


def _opened(library: Library, path: str, epoch: int) -> tuple[Training, int]:
    """The training of a path after an epoch, and how many were trained from the snapshot before."""
    trunk = library.trunk(path)
    assert trunk.task is not None
    way = line(library.store, path)
    if trunk.address != way[0][0]:  # the same task is another one by now
        raise InputError(
            f"trial: it was trained on {trunk.task.data.source!r} as an earlier version read it; "
            f"run the sweep again to train it as it is read now"
        )
    leg, data, records = nearest_snapshot(library, path, epoch)
    if data is None:
        training = Training(trunk.task, trunk.seed)
        training.begin()
    else:
        training = snapshot.resume(data, trunk.task, trunk.seed, list(records))
    began = training.epoch_number
    for (_, end), (after, _) in zip(way[leg:], way[leg + 1 :], strict=False):
        _train(training, end)
        origin = library.store.path(after)
        assert origin is not None
        assert origin.action is not None
        training.apply(origin.action)
    _train(training, epoch)
    return training, training.epoch_number - began


def _train(training: Training, until: int) -> None:
    while training.epoch_number < until:
        training.epoch()
