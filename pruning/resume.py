"""A Pruner as tensors and plain containers, and back: what ``torch.save`` keeps of somebody's loop.

It goes beside the ``state_dict`` of the model and of the optimizers, and comes first when they are
loaded, as it gives the dense model the shape of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pruning.actions import Mask, from_json
from pruning.history import Record
from pruning.structure.layout import Layout

if TYPE_CHECKING:
    from pruning.pruner import Pruner


def state_of(pruner: Pruner) -> dict[str, Any]:
    """What was measured and done so far; between two steps."""
    network = pruner.network
    return {
        "layout": network.layout.to_json(),
        "seed": pruner.seed,
        "epoch": network.epoch,
        "actions": [[e, a.to_json(), list(a.warnings)] for e, a in pruner.actions],
        "records": [_packed(record) for record in pruner.records],
        "reference": pruner.reference and _packed(pruner.reference),
        "masks": dict(network.masks),
        "start": network.start,
        "steps": pruner.steps.state_dict(),
        "maps": pruner.watcher.state_dict() if pruner.watcher else {},
    }


def load(pruner: Pruner, state: Mapping[str, Any]) -> None:
    """Raises RuntimeError if the pruner has begun, ValueError if it is of another network."""
    network = pruner.network
    if pruner.records or pruner.actions:
        raise RuntimeError("load_state_dict() comes before the first step, on the dense model")
    if Layout.from_json(state["layout"]) != network.layout:
        raise ValueError("this state is of another network: its units are not those of this model")
    pruner.seed, pruner.records = state["seed"], [_unpacked(one) for one in state["records"]]
    pruner.reference = None if state["reference"] is None else _unpacked(state["reference"])
    for epoch, content, warnings in state["actions"]:
        action = from_json(content, warnings)
        if not isinstance(action, Mask):
            network.remove(action.units)
        pruner.actions.append((epoch, action))
    device = next(network.model.parameters()).device
    network.epoch, network.start = state["epoch"], state["start"]
    if state["masks"]:
        network.hold({name: mask.to(device) for name, mask in state["masks"].items()})
    pruner.watch_next()
    pruner.steps.load_state_dict(state["steps"], device)
    if pruner.watcher:
        pruner.watcher.load_state_dict(state["maps"], device)


def _packed(record: Record) -> Tensor:
    """As bytes that ``torch.load(weights_only=True)`` takes."""
    return torch.frombuffer(bytearray(record.to_bytes()), dtype=torch.uint8)


def _unpacked(data: Tensor) -> Record:
    return Record.from_bytes(data.numpy().tobytes())
