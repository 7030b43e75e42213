"""What a verdict cannot say for itself: no grid, an oracle at its edge, too few seeds, luck."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pruning.policies import AtEpoch, OneShot
from pruning.policies.registry import specify
from sweeps.judging.regret import ended, spread
from sweeps.results.quality import Quality, words
from sweeps.results.rows import Row

NO_GRID = "no oracle grid"
"""How the note begins where no grid belongs to the cut."""

NO_CHOICE = (
    "no threshold is chosen on other seeds: that takes two seeds on which all of them and the grid "
    "have finished"
)


def shown_cut(policy: OneShot) -> dict[str, Any]:
    """What a policy cuts as ``at_epoch`` would be told: how much, saliency, what is not default."""
    plain = policy.model_dump(mode="json", include=set(OneShot.model_fields))
    shown = {"aim" if policy.aim else "ratio", "saliency", *specify(_at_epoch(policy))}
    return {name: plain[name] for name in OneShot.model_fields if name in shown}


def of_grid(
    rows: Mapping[int, Sequence[Row]],
    epochs: Mapping[int, Mapping[int, Row]],
    best: int | None,
    policy: OneShot,
) -> list[str]:
    """About the oracle of one cut.

    rows: all trials of the grid by epoch. epochs: those that count, by seed. best: the oracle's.
    """
    if not rows:
        return [_missing(policy)]
    found = _left_out("the grid", [row for group in rows.values() for row in group])
    if best is None:
        return [*found, "no oracle: on no seed all epochs of the grid have finished"]
    if gone := set(rows) - set(epochs):
        found.append(f"{_listed(gone)} of the grid finished on no seed")
    if len(epochs) == 1:
        found.append("the grid is a single epoch: the oracle had no choice")
    elif best == max(epochs):
        found.append(f"the oracle is the last epoch of the grid: one after {best} may be better")
    elif best == min(epochs) and best > 0:
        found.append(f"the oracle is the first epoch of the grid: one before {best} may be better")
    if close := [
        epoch for epoch in epochs if epoch != best and _close(epochs[epoch], epochs[best])
    ]:
        what = words(Quality.among(epochs[best].values()).val)
        found.append(
            f"the oracle is not clear: in {what} {_listed(close)} "
            f"come{'s' * (len(close) == 1)} within the seeds' spread of epoch {best}"
        )
    return found


def of_indicator(
    rows: Sequence[Row], judged: Mapping[int, Row], regrets: Sequence[float]
) -> list[str]:
    """About one verdict: all trials it is chosen among, those judged by seed, their regrets."""
    found = _left_out("the indicator", rows)
    seeds = {row["seed"] for row in rows}
    if len(judged) < len(seeds):
        found.append(
            f"judged on {len(judged)} of {len(seeds)} seeds: where it and the whole grid finished"
        )
    if len(judged) == 1:
        found.append("one seed: nothing tells regret from luck")
    if dense := sum(not row["prune_epochs"] for row in judged.values()):
        found.append(f"never pruned on {dense} of {len(judged)} seeds: those ended dense")
    around = spread(regrets)
    if around and abs(float(np.mean(regrets))) <= around:
        found.append("the regret is within its spread over seeds")
    return found


def _missing(policy: OneShot) -> str:
    if _at_epoch(policy).action_key() != policy.action_key():
        return f"{NO_GRID}: at_epoch cannot make the cut of {specify(policy)['policy']}"
    wanted = {"policy": "at_epoch", "epoch": {"grid": "[...]"}, **shown_cut(policy)}
    return f"{NO_GRID}: add {_yaml(wanted)}"


def _at_epoch(policy: OneShot) -> AtEpoch:
    """The same settings of the cut, unchecked: one's own policy may allow what it does not."""
    fields = {name: getattr(policy, name) for name in OneShot.model_fields}
    return AtEpoch.model_construct(epoch=0, **fields)


def _yaml(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return "{" + ", ".join(f"{key}: {_yaml(part)}" for key, part in value.items()) + "}"


def _close(other: Mapping[int, Row], best: Mapping[int, Row]) -> bool:
    """Whether the mean difference over seeds is no larger than its standard deviation."""
    quality = Quality.among(best.values())
    ahead = [quality.sign * (best[s][quality.val] - other[s][quality.val]) for s in best]
    around = spread(ahead)
    return around is not None and float(np.mean(ahead)) <= around


def _left_out(what: str, rows: Sequence[Row]) -> list[str]:
    gone = [row["status"] for row in rows if not ended(row)]
    kinds = ", ".join(f"{gone.count(kind)} {kind}" for kind in sorted(set(gone)))
    return [f"{len(gone)} of {len(rows)} trials of {what} left out: {kinds}"] if gone else []


def _listed(epochs: Iterable[int]) -> str:
    found = sorted(epochs)
    return f"epoch{'s' * (len(found) > 1)} {', '.join(map(str, found))}"
