"""What a model returns: a tensor, or one among several, as torchvision and Hugging Face have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

NAMES = ("logits", "out")
"""How the main output is called where outputs have names."""


def main_output(output: Any) -> Tensor:
    """The output that a network is used for: ``logits``, else ``out``, else the first.

    Tuples, lists, mappings, named tuples and data classes are looked into. Raises TypeError where
    there is no tensor.
    """
    if isinstance(output, Tensor):
        return output
    for part in _parts(output):
        if part is not None:
            return main_output(part)
    raise TypeError(f"{type(output).__name__} holds no tensor")


def _parts(output: Any) -> Iterator[Any]:
    """The parts of an output, the main one first."""
    if isinstance(output, Mapping):
        yield from (output[name] for name in NAMES if name in output)
        yield from output.values()
        return
    yield from (getattr(output, name) for name in NAMES if hasattr(output, name))
    if isinstance(output, tuple | list):
        yield from output
    elif is_dataclass(output):
        yield from (getattr(output, field.name) for field in fields(output))


class Main(nn.Module):
    """A network that gives its main output alone, for files that hold but one."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return main_output(self.model(x))
