"""Makes docs/policies/*.png: what each policy of a sweep did to its networks, epoch by epoch.

earlyprune run sweeps/configs/every-policy.yaml
python docs/make_policy_pictures.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sweeps.results.rows import describe
from sweeps.sharing.library import Library
from sweeps.sharing.rider import State
from sweeps.storage.store import Store, Stored

DENSE, COLOUR = "grey", "#1f77b4"


@dataclass(frozen=True)
class Course:
    """One trial: its policy, where it pruned, and its epochs, the untrained network's first."""

    setting: dict[str, Any]
    state: State
    epochs: Sequence[Stored]

    def share(self, cost: str) -> list[float]:
        """What is left of a cost after each epoch, of the dense network's."""
        costs = [stored.record.costs for stored in self.epochs]
        masked = [found["masked"] if cost == "params" else 0 for found in costs]
        return [(c[cost] - m) / costs[0][cost] for c, m in zip(costs, masked, strict=True)]

    def accuracy(self) -> list[float]:
        """On the validation split, after each epoch from the first."""
        return [stored.record.metrics["val_accuracy"] for stored in self.epochs[1:]]


def courses(storage: str, sweep: str) -> dict[str, list[Course]]:
    """The finished trials of a sweep, by policy and settings."""
    store = Store(storage)
    library = Library(store)
    found: dict[str, list[Course]] = {}
    for trial in store.read_sweep(sweep)["trials"]:
        known = store.trial(trial["key"])
        if known and known["status"] == "finished":
            state = State.from_json(known["state"])
            epochs = library.course(state.path, state.epoch)
            name = f"{trial['setting']['policy']} {describe(trial['setting'])}".strip()
            found.setdefault(name, []).append(Course(trial["setting"], state, epochs))
    return found


def picture(title: str, own: Sequence[Course], dense: Sequence[Course]) -> Figure:
    """Accuracy beside dense, what is left of the network, and the number the policy watches."""
    watched = any(value is not None for c in own for _, value in c.state.decided)
    figure = Figure(figsize=(12 if watched else 8, 3.0), layout="constrained")
    accuracy, left, *rest = figure.subplots(1, 3 if watched else 2)
    for group, colour, label in ((dense, DENSE, "dense"), (own, COLOUR, "policy")):
        for course in group:
            accuracy.plot(range(1, len(course.epochs)), course.accuracy(), color=colour, alpha=0.7)
        accuracy.plot([], [], color=colour, label=label)
    for course in own:
        left.plot(course.share("params"), color=COLOUR, alpha=0.7)
        left.plot(course.share("macs"), color=COLOUR, alpha=0.7, ls=":")
    left.plot([], [], color=COLOUR, label="weights that are not zero")
    left.plot([], [], color=COLOUR, ls=":", label="MACs")
    accuracy.set(ylabel="validation accuracy", ylim=(0.5, 1.005))
    left.set(ylabel="left, of the dense network", ylim=(0, 1.05))
    for axes in rest:
        _indicator(axes, own)
    for axes in figure.axes:
        axes.set(xlabel="epochs trained", xlim=(0, len(dense[0].epochs) - 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    accuracy.legend(fontsize=8)
    left.legend(fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure


def _indicator(axes: Axes, own: Sequence[Course]) -> None:
    for course in own:
        values = [value for _, value in course.state.decided]
        axes.plot([v if v is not None else float("nan") for v in values], color=COLOUR, alpha=0.7)
        for turn in course.state.turns:
            if values[turn.epoch] is not None:
                axes.plot(turn.epoch, values[turn.epoch], "*", ms=12, color="black")
    if "threshold" in own[0].setting:
        axes.axhline(own[0].setting["threshold"], color="black", ls="--", lw=1)
    axes.set(ylabel="indicator (star: pruned)")


def main() -> None:
    """The command."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--storage", default="earlyprune-runs")
    options.add_argument("--sweep", default="every-policy")
    options.add_argument("--out", type=Path, default=Path("docs/policies"))
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    found = courses(given.storage, given.sweep)
    drawn: dict[str, int] = {}
    for name, own in found.items():
        policy = own[0].setting["policy"]
        drawn[policy] = drawn.get(policy, 0) + 1
        if policy == "dense":
            continue
        number = "" if drawn[policy] == 1 else f"-{drawn[policy]}"
        path = given.out / f"{policy}{number}.png"
        picture(f"{name} (a line a seed)", own, found["dense"]).savefig(path, dpi=90)
        print(path)


if __name__ == "__main__":
    main()
