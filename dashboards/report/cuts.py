"""Settings by what they cut, whoever decides when: those of a cut can be compared by epoch."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, field

from dashboards.report.data import Content, Group
from pruning.errors import InputError
from pruning.policies import AtEpoch
from sweeps.judging.grid import Grid, Trial
from sweeps.judging.notes import shown_cut
from sweeps.results.rows import describe


@dataclass
class Cut:
    """What is removed, and who removed it.

    name: the settings of the cut in a line. grid: the oracle's, at two epochs or more. others: the
    settings that decided by themselves. best: the oracle's epoch, None without a grid.
    """

    name: str
    grid: list[Group] = field(default_factory=list)
    others: list[Group] = field(default_factory=list)
    best: int | None = None

    @property
    def groups(self) -> list[Group]:
        """All settings, the grid first."""
        return [*self.grid, *self.others]


def cuts(content: Content) -> list[Cut]:
    """The cuts that have a grid, the longest first, then all other settings that pruned as one.

    Left out are controls that are small from the start: no one chose when.
    """
    known: dict[str, Trial] = {}
    for row in content.rows:
        with suppress(InputError):  # a policy of one's own that does not import here
            if trial := Trial.of(row):
                known[row["trial"]] = trial
    found: dict[Hashable, Cut] = {}
    rest = Cut("other cuts, each its own")
    for group in content.groups:
        if not epochs_of(group) or "of" in group[0]["setting"]:
            continue
        trial = known.get(group[0]["trial"])
        if trial is None:
            rest.others.append(group)
            continue
        name = describe({**shown_cut(trial.policy), **trial.task})
        cut = found.setdefault(trial.cut, Cut(name))
        (cut.grid if isinstance(trial.policy, AtEpoch) else cut.others).append(group)
    grids = []
    for key, cut in found.items():
        if len(cut.grid) > 1:
            cut.grid.sort(key=epoch_of)
            cut.best = Grid(known.values(), key).best
            grids.append(cut)
        else:
            rest.others += cut.groups
    grids.sort(key=lambda cut: -len(cut.grid))
    return [*grids, *([rest] if rest.others else [])]


def epochs_of(group: Group) -> list[int]:
    """After how many epochs each seed was first cut."""
    return [row["prune_epochs"][0] for row in group if row["prune_epochs"]]


def epoch_of(group: Group) -> float:
    """Their mean."""
    found = epochs_of(group)
    return sum(found) / len(found)


def chosen(group: Group) -> str:
    """From the first to the last of them."""
    found = sorted(set(epochs_of(group)))
    return f"{found[0]}" if len(found) == 1 else f"{found[0]} to {found[-1]}"
