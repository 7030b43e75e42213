"""Batch norm of two processes against torch's own on the whole batch; run by test_team.py.

Usage: python whole_batch.py RANK STORE ; each process raises AssertionError for what differs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.utils.checkpoint import CheckpointError, checkpoint

from pruning.parallel.batch_norm import WholeBatch
from pruning.training.batches import Share

RANKS, SAMPLES = 2, 7  # parts of 3 and 4

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "flat": lambda: nn.BatchNorm1d(4),
    "pictures": lambda: nn.BatchNorm2d(4),
    "cumulative": lambda: nn.BatchNorm2d(4, momentum=None),
    "no scale": lambda: nn.BatchNorm2d(4, affine=False),
    "no running statistics": lambda: nn.BatchNorm2d(4, track_running_stats=False),
    "in a network": lambda: nn.Sequential(
        nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4), nn.Sigmoid()
    ),
}


def passed(
    layer: nn.Module, x: Tensor, share: Share, call: Callable[..., Tensor]
) -> dict[str, Tensor]:
    """Two steps, and all that they leave behind; gradients of weights summed over processes."""
    found: dict[str, Tensor] = {}
    for step in range(2):
        layer.zero_grad()
        part = share.part(SAMPLES)
        given = (x + step)[part].clone().requires_grad_()
        out = call(layer, given)
        weights = torch.arange(x.numel(), dtype=torch.float64).view_as(x).cos()
        (out * weights[part]).sum().backward()
        assert given.grad is not None
        found |= {f"out {step}": out.detach(), f"gradient {step}": given.grad}
        for name, parameter in layer.named_parameters():
            assert parameter.grad is not None
            found[f"{name} {step}"] = parameter.grad.clone()
            if share.count > 1:
                dist.all_reduce(found[f"{name} {step}"])
        found |= {f"{name} {step}": buffer.clone() for name, buffer in layer.named_buffers()}
    return found


def compare(name: str, call: Callable[..., Tensor], share: Share, offset: float = 0.0) -> None:
    layers = [LAYERS[name]().double() for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    shape = (SAMPLES, 4) if name == "flat" else (SAMPLES, 4, 3, 2)
    x = torch.randn(shape, dtype=torch.float64) * torch.logspace(-1, 1, SAMPLES).view(
        -1, *[1] * (len(shape) - 1)
    )
    whole = passed(layers[0], x + offset, Share(), lambda layer, given: layer(given))
    with WholeBatch():
        parts = passed(layers[1], x + offset, share, call)
    assert whole.keys() == parts.keys()
    for key, value in parts.items():
        rows = key.startswith(("out", "gradient"))
        expected = whole[key][share.part(SAMPLES)] if rows else whole[key]
        error = float((value - expected).abs().max() / expected.abs().max().clamp_min(1e-30))
        assert error < 1e-12 * max(1.0, offset), f"{name}: {key} differs by {error}"


def main(rank: int, store: str) -> None:
    torch.manual_seed(5)
    dist.init_process_group("gloo", store=dist.FileStore(store, RANKS), rank=rank, world_size=RANKS)
    share = Share(rank, RANKS)
    for name in LAYERS:
        compare(name, lambda layer, given: layer(given), share)
    compare("pictures", lambda layer, given: layer(given), share, offset=1e4)
    with pytest.raises(CheckpointError):  # rather than a wrong gradient
        compare("pictures", partial(checkpoint, use_reentrant=False), share)
    evaluated, plain = nn.BatchNorm1d(4).eval(), torch.randn(5, 4)[: 1 + rank]
    with WholeBatch():
        assert torch.equal(evaluated(plain), plain / (1 + evaluated.eps) ** 0.5)
    half = torch.randn(SAMPLES, 4, 3, 2).bfloat16()
    mixed, reference = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
    with WholeBatch():
        out = mixed(half[share.part(SAMPLES)])
    expected = reference(half)[share.part(SAMPLES)]
    assert out.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(mixed.running_var, reference.running_var)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
    os._exit(0)  # Gloo's threads may outlive Python's own end, which then aborts
