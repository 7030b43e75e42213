"""The sweep that is searched: the quick start's task, and spaces small enough to train all of it.

Its steps are whole binary fractions: what a sampler draws is to the last bit what was trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.fidelity.tasks import DIGITS
from sweeps.file.spaces import Space, kind_of
from sweeps.file.sweep import Sweep

RATIO = {"uniform": [0.375, 0.75], "step": 0.125}
PLAIN = {"name": "magnitude", "normalize": "none"}

POLICIES: list[Any] = [
    "dense",
    {
        "policy": "at_epoch",
        "epoch": {"int": [0, 10]},
        "ratio": RATIO,
        "saliency": {"choice": ["taylor", PLAIN]},
    },
    {
        "policy": "epi",
        "threshold": {"uniform": [0.8125, 0.96875], "step": 0.03125},
        "ratio": RATIO,
        "saliency": PLAIN,
        "window": {"int": [2, 4]},
        "earliest": 5,
        "latest": 0.5,
    },
    {
        "policy": "gradual",
        "ratio": RATIO,
        "saliency": {"choice": ["taylor", PLAIN]},
        "end": {"choice": [0.3, 0.5]},
    },
    {
        "policy": "uniform",
        "of": {
            "policy": "at_epoch",
            "epoch": {"int": [2, 8], "step": 3},
            "ratio": RATIO,
            "saliency": "taylor",
        },
    },
]


def sweep(seeds: Sequence[int], search: Mapping[str, Any] | None = None) -> Sweep:
    """With its spaces to be searched, as a sweep file says of it; without, all of it.

    seeds: at least one.
    """
    content = {"name": "search-benchmark", "task": DIGITS, "seeds": list(seeds)}
    if search is None:
        return Sweep.parse({**content, "policies": whole()})
    return Sweep.parse({**content, "policies": POLICIES, "search": dict(search)})


def whole() -> list[Any]:
    """The policies with a grid of all its values in the place of each space."""
    return [walked(policy) for policy in POLICIES]


def walked(template: Any) -> Any:
    """Part of a policy, likewise."""
    kind = kind_of(template)
    if kind == "grid" or not isinstance(template, Mapping):
        return template
    if kind:
        return {"grid": values(Space.parse(template, kind))}
    return {key: walked(part) for key, part in template.items()}


def values(space: Space) -> list[Any]:
    """Every value of a space of options or steps. Raises ValueError for one without end."""
    if space.kind == "choice":
        return list(space.options)
    step = space.step or (1 if space.kind == "int" else None)
    if step is None:
        raise ValueError(f"{space}: only options and steps can be walked")
    count = int((space.high - space.low) / step + 1e-9) + 1
    return [space.low + step * number for number in range(count)]
