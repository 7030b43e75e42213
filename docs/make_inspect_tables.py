"""Prints the tables of docs/inspect.md: what half of the units is, on torchvision's networks.

python docs/make_inspect_tables.py
"""

from __future__ import annotations

from collections.abc import Sequence

from pruning.structure.inspection import Layer
from pruning.training.sizes import Size, usual_size
from pruning.training.task import ModelSpec
from sweeps.planning.inspecting import Inspected, cuts, of_model

CONTRACT = (
    *("resnet18", "resnet50", "vgg19_bn", "mobilenet_v2", "densenet121", "efficientnet_b0"),
    *("regnet_y_400mf", "convnext_tiny", "vit_b_16"),
)
VIDEO = Size((3, 8, 32, 32), 400)
HEAD = (
    "| network | layers that can be cut | units | parameters | MACs | left, `global` "
    "| left, `layer` | stays |\n|---|--:|--:|--:|--:|--:|--:|--:|"
)


def main() -> None:
    """A line a network, then the reasons by their numbers."""
    reasons: dict[str, int] = {}
    print(HEAD)
    for name in CONTRACT:
        full = f"torchvision:{name}"
        print(line(inspected(full, usual_size(full)), reasons), flush=True)
    print(line(inspected("torchvision:r3d_18", VIDEO), reasons))
    print("", *(f"{number}. {why}" for why, number in reasons.items()), sep="\n")


def inspected(name: str, size: Size) -> Inspected:
    """With half of the units gone, by either scope."""
    return of_model(ModelSpec(name=name), size, cuts(0.5, "magnitude", None))


def line(one: Inspected, reasons: dict[str, int]) -> str:
    """One network: what can be cut, what is left in percent of parameters and MACs, what stays."""
    found = one.found
    rows = [layer for layer in found.layers if layer.part.macs]
    free = [layer for layer in rows if layer.reason is None]
    left = [
        f"{100 * cut.params / found.params:.1f}, {100 * cut.macs / found.macs:.1f}"
        for cut in found.cuts
    ]
    cells = [
        f"`{one.model.removeprefix('torchvision:')}`",
        f"{len(free)} of {len(rows)}",
        *(f"{number:,}" for number in (found.units, found.params, found.macs)),
        *left,
        stays(rows, reasons),
    ]
    return f"| {' | '.join(cells)} |"


def stays(rows: Sequence[Layer], reasons: dict[str, int]) -> str:
    """How many layers stay for which reason: ``1 (1)``, the reason's number in brackets."""
    counts: dict[int, int] = {}
    for layer in rows:
        if layer.reason:
            number = reasons.setdefault(layer.reason.why, len(reasons) + 1)
            counts[number] = counts.get(number, 0) + 1
    return ", ".join(f"{count} ({number})" for number, count in counts.items())


if __name__ == "__main__":
    main()
