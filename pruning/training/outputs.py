"""What a model returns: a tensor, or one among several."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def main_output(output: Any) -> Tensor:
    """The output a network is used for: the first of several (GoogLeNet's, Inception's)."""
    found: Tensor = output if isinstance(output, Tensor) else output[0]
    return found
