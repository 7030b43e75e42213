"""Nested containers as JSON, with the tensors in them beside it; and back. Nothing is pickled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_PLAIN = (bool, int, float, str, type(None))


def encode(value: object, name: str, tensors: dict[str, Tensor]) -> Any:
    """Something that JSON holds; each tensor goes into ``tensors`` under a name of its own.

    Raises ValueError for what is neither a tensor, a plain value nor a list, tuple or dict of such.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Tensor):
        key = f"{name}.{sum(other.startswith(f'{name}.') for other in tensors)}"
        tensors[key] = value
        return {"tensor": key}
    if type(value) in (list, tuple, torch.Size):
        items = [encode(item, name, tensors) for item in value]  # type: ignore[attr-defined]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, dict):
        pairs = [[encode(k, name, tensors), encode(v, name, tensors)] for k, v in value.items()]
        return {"dict": pairs}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    raise ValueError(f"{name} holds a {type(value).__name__}, which cannot be stored")


def decode(data: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse; subclasses of dict come back as dict, sizes as tuples."""
    if isinstance(data, list):
        return [decode(item, tensors) for item in data]
    if not isinstance(data, dict):
        return data
    [(kind, content)] = data.items()
    match kind:
        case "tensor":
            return tensors[content]
        case "tuple":
            return tuple(decode(item, tensors) for item in content)
        case "dict":
            return {decode(k, tensors): decode(v, tensors) for k, v in content}
        case "bytes":
            return bytes.fromhex(content)
        case "dtype":
            return getattr(torch, content)
    raise ValueError(f"what is stored holds a {kind!r}, which this version does not know")
