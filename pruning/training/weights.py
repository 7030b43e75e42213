"""A network's ``state_dict`` in two parts: tensors, and what else its modules ask to be kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from pruning.training.nested import decode, encode

_USUAL = {"version": 1}
"""What torch keeps of a module that asks for nothing."""


def parted(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name, and extra state and versions as JSON, empty where no module asks.

    Raises ValueError for an extra state that cannot be stored.
    """
    state = model.state_dict()
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    extra = {n: encode(v, n, tensors) for n, v in state.items() if not isinstance(v, Tensor)}
    metadata = {
        name: encode(value, f"{name}._metadata", tensors)
        for name, value in state._metadata.items()  # type: ignore[attr-defined]
        if value != _USUAL
    }
    return tensors, {k: v for k, v in (("extra", extra), ("metadata", metadata)) if v}


def give(model: nn.Module, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
    """Put both parts into a network of the same structure.

    What an older file does not say of a module's version is that of the module itself.
    """
    state: OrderedDict[str, Any] = OrderedDict()
    extra, metadata = plain.get("extra", {}), plain.get("metadata", {})
    names = model.state_dict()
    state.update({name: value for name, value in tensors.items() if name in names})
    state.update({name: decode(value, tensors) for name, value in extra.items()})
    held = {name: decode(value, tensors) for name, value in metadata.items()}
    state._metadata = {**names._metadata, **held}  # type: ignore[attr-defined]
    model.load_state_dict(state)
