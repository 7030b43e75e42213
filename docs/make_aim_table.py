"""Prints the table of docs/inspect.md on aims: how near they are met on torchvision's networks.

python docs/make_aim_table.py
"""

from __future__ import annotations

import time

from make_inspect_tables import CONTRACT

from pruning.inspection import Cut, Inspection
from pruning.training.sizes import usual_size
from pruning.training.task import ModelSpec
from sweeps.planning.inspecting import WITH_AIM, cuts, of_model

SHARES = (0.25, 0.5, 0.75)
PRICES = ("macs", "params")
HEAD = (
    "| network | farthest from 18 aims | left of half the MACs, `global` | `layer` | `price` "
    "| CPU seconds |\n|---|--:|--:|--:|--:|--:|"
)


def main() -> None:
    """A line a network: what is counted in networks cut as each aim says, ranked by magnitude."""
    print(HEAD)
    for name in CONTRACT:
        full = f"torchvision:{name}"
        asked = [
            cut
            for price in PRICES
            for share in SHARES
            for cut in cuts(None, None, None, f"{{{price}: {share}}}")
        ]
        begun = time.process_time()
        found = of_model(ModelSpec(name=full), usual_size(full), asked).found
        print(line(name, found, time.process_time() - begun), flush=True)


def line(name: str, found: Inspection, seconds: float) -> str:
    """The farthest in percent of what was asked, then units and parameters left."""
    farthest = max(miss(cut, found) for cut in found.cuts)
    half = {cut.policy.scope: cut for cut in found.cuts if str(cut.policy.aim) == "macs:0.5"}
    left = [
        f"{100 * cut.units / found.units:.1f}, {100 * cut.params / found.params:.1f}"
        for cut in (half[scope] for scope in WITH_AIM)
    ]
    return f"| {' | '.join([f'`{name}`', f'{farthest:.2%}', *left, f'{seconds:.0f}'])} |"


def miss(cut: Cut, found: Inspection) -> float:
    """How far a cut is from its aim, as a share of the aim."""
    aim = cut.policy.aim
    assert aim
    macs = str(aim).startswith("macs")
    left = cut.macs / found.macs if macs else cut.params / found.params
    return abs(left / aim.share - 1)


if __name__ == "__main__":
    main()
