"""A training at the end of an epoch, as bytes: one safetensors file, nothing pickled.

It holds the weights, the buffers and the optimizer's state by parameter name, and the actions
that made the network's shape; the random streams need no state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from pruning.actions import Mask, from_json
from pruning.history import Record
from pruning.saliency import Probe
from pruning.training.alone import ALONE, Alone
from pruning.training.loop import Training
from pruning.training.task import Task


def take(training: Training) -> bytes:
    """The state of a training between two epochs."""
    tensors = {f"model.{name}": value for name, value in training.model.state_dict().items()}
    scalars: dict[str, Any] = {}
    for name, parameter in training.model.named_parameters():
        for key, value in training.optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{key}.{name}"] = value
            elif value is not None:
                scalars[f"{key}.{name}"] = value
    header = {
        "task": training.task.address(),
        "seed": training.seed,
        "epoch": training.epoch_number,
        "actions": [(epoch, a.to_json(), a.warnings) for epoch, a in training.pruner.actions],
        "optimizer": scalars,
    }
    tensors |= {f"mask.{name}": mask for name, mask in training.pruner.network.masks.items()}
    return packed(tensors, {"snapshot": json.dumps(header)})


def resume(
    data: bytes,
    task: Task,
    seed: int,
    records: list[Record],
    probes: tuple[Probe, ...] = (),
    device: torch.device | str = "cpu",
    group: Alone = ALONE,
) -> Training:
    """The training a snapshot was taken of, ready for its next epoch.

    records: of the epochs up to the snapshot, the untrained network's first. group: of processes
    that train it together from now on; how many did so before does not matter.
    Raises ValueError if the snapshot is of another task or seed, or the records do not reach it.
    """
    # safetensors reads metadata from files only, so from bytes it is read as the format says
    header = json.loads(
        json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["snapshot"]
    )
    if (header["task"], header["seed"]) != (task.address(), seed):
        raise ValueError("the snapshot is of another task or seed")
    if len(records) <= header["epoch"]:
        raise ValueError(
            f"the snapshot is of epoch {header['epoch']}, {len(records)} records given"
        )
    training = Training(task, seed, probes, device, group)
    for epoch, content, warnings in header["actions"]:
        action = from_json(content, warnings)
        # the shapes alone: what a mask or new weights made of the values is in the snapshot
        if not isinstance(action, Mask):
            training.pruner.network.remove(action.units)
        training.pruner.actions.append((epoch, action))
    training.pruner.records.extend(records[: header["epoch"] + 1])
    _restore(training, load(data), header["optimizer"])
    return training


def _restore(training: Training, tensors: dict[str, Tensor], scalars: dict[str, Any]) -> None:
    parameters = dict(training.model.named_parameters())
    weights, masks = {}, {}
    state: dict[str, dict[str, Any]] = {}
    for full, value in tensors.items():
        kind, _, rest = full.partition(".")
        if kind == "model":
            weights[rest] = value
        elif kind == "mask":
            masks[rest] = value.to(parameters[rest].device)
        else:
            key, _, name = rest.partition(".")
            state.setdefault(name, {})[key] = _like(parameters[name], key, value)
    for rest, scalar in scalars.items():
        key, _, name = rest.partition(".")
        state.setdefault(name, {})[key] = scalar
    training.model.load_state_dict(weights)
    if masks:
        training.pruner.network.hold(masks)
    for name, entries in state.items():
        training.optimizer.state[parameters[name]] = entries


def _like(parameter: Tensor, key: str, value: Tensor) -> Tensor:
    """State with the device and the memory layout of its parameter; Adam counts on the CPU."""
    if key == "step":
        return value
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def packed(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> bytes:
    """A safetensors file. Tied tensors stand under each of their names, with memory of its own."""
    seen: set[int] = set()
    apart = {}
    for name, value in tensors.items():
        own = value.detach().cpu().contiguous()
        # safetensors refuses tensors that share memory
        apart[name] = own.clone() if own.data_ptr() in seen else own
        seen.add(own.data_ptr())
    return save(apart, metadata=metadata)
