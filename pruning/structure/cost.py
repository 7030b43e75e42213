"""What a network costs: parameters, and multiply-accumulates of one sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pruning.structure.dry import dry_run


@dataclass(frozen=True)
class Cost:
    """Of a network as it is: parameters, MACs of one sample, units that can be removed, and
    weights that a mask holds at zero.
    """

    params: int
    macs: int
    units: int
    masked: int = 0


def measure(model: nn.Module, example_input: Tensor | tuple[Any, ...]) -> tuple[int, int]:
    """(params, macs) of one sample, in evaluation mode.

    Counted by torch's own flop counter (convolutions, matrix products, attention), two flops a
    MAC, on a dry run.
    """
    params = sum(p.numel() for p in model.parameters())
    return params, dry_run(model, example_input, _macs)


def _macs(model: nn.Module, args: tuple[Any, ...]) -> int:
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused kernel is not counted
    try:
        with FlopCounterMode(display=False) as counter:
            model(*args)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops()) // 2
