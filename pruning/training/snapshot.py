"""A training at the end of an epoch, as bytes: one safetensors file, nothing pickled.

It holds the weights, the buffers and what else the modules ask for, the optimizers' state by
parameter name, and the actions that made the network's shape; the random streams need no state.
"""

from __future__ import annotations

import json
from collections import defaultdict
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
from pruning.training.nested import decode, encode
from pruning.training.task import Task
from pruning.training.weights import give, parted


class OptimizerStateError(ValueError):
    """What an optimizer remembers cannot be stored."""


def take(training: Training) -> bytes:
    """The state of a training between two epochs.

    Raises ValueError for a state of the model or of an optimizer that cannot be stored.
    """
    weights, asked = parted(training.model)
    tensors = {f"model.{name}": value for name, value in weights.items()}
    header: dict[str, Any] = {
        "task": training.task.address(),
        "seed": training.seed,
        "epoch": training.epoch_number,
        "actions": [(epoch, a.to_json(), a.warnings) for epoch, a in training.pruner.actions],
        "optimizer": _optimizers(training, tensors),
    }
    if asked:
        header["asked"] = asked
    if training.task.optimizer.own_code:
        header["groups"] = _groups(training, tensors)
    if training.average:
        averaged = training.average.copy.state_dict()
        tensors |= {f"average.{n}": v for n, v in averaged.items() if isinstance(v, Tensor)}
    tensors |= {f"mask.{name}": mask for name, mask in training.pruner.network.masks.items()}
    return packed(tensors, {"snapshot": json.dumps(header)})


def _optimizers(training: Training, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Tensors of the states go into ``tensors``; the rest, by key and name of the parameter."""
    rest: dict[str, Any] = {}
    for name, parameter in training.model.named_parameters():
        for key, value in _held(training, parameter).items():
            if not isinstance(key, str) or "." in key:
                raise OptimizerStateError(f"state {key!r} of {name} has no name for a file")
            if isinstance(value, Tensor):
                tensors[f"optimizer.{key}.{name}"] = value
            elif value is not None:
                try:
                    rest[f"{key}.{name}"] = encode(value, f"nested.{key}.{name}", tensors)
                except ValueError as error:
                    what = str(error).removeprefix("nested.")
                    raise OptimizerStateError(f"state {what}") from None
    return rest


def _held(training: Training, parameter: Tensor) -> dict[str, Any]:
    """What the optimizer that has a parameter remembers of it; to be looked at and changed."""
    for optimizer in training.optimizers:
        for group in optimizer.param_groups:
            if any(parameter is held for held in group["params"]):
                state: dict[str, Any] = optimizer.state[parameter]
                return state
    return {}


def _groups(training: Training, tensors: dict[str, Tensor]) -> Any:
    """The settings of optimizers that may keep there what changes."""
    groups = [group for one in training.optimizers for group in one.param_groups]
    plain = [{k: v for k, v in group.items() if k != "params"} for group in groups]
    return [encode(group, "nested.group", tensors) for group in plain]


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
    _restore(training, load(data), header)
    return training


def _restore(training: Training, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for full, value in tensors.items():
        kind, _, rest = full.partition(".")
        parts[kind][rest] = value
    give(training.model, parts["model"], header.get("asked", {}))
    if training.average:
        averaged = {**parts["model"], **parts["average"]}
        give(training.average.copy, averaged, header.get("asked", {}))
    parameters = dict(training.model.named_parameters())
    if masks := parts["mask"]:
        device = next(iter(parameters.values())).device
        training.pruner.network.hold({name: mask.to(device) for name, mask in masks.items()})
    for rest, value in parts["optimizer"].items():
        key, _, name = rest.partition(".")
        _held(training, parameters[name])[key] = _like(parameters[name], key, value)
    for rest, value in header["optimizer"].items():
        key, _, name = rest.partition(".")
        within = f"nested.{rest}."
        there = {n: _like(parameters[name], key, t) for n, t in tensors.items() if within in n}
        _held(training, parameters[name])[key] = decode(value, there)
    groups = [group for one in training.optimizers for group in one.param_groups]
    for group, stored in zip(groups, header.get("groups", []), strict=False):
        group.update(decode(stored, tensors))


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
