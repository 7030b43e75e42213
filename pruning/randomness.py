"""Random numbers that depend on what they are for, never on who drew before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def stream(*parts: int | str) -> int:
    """The seed of one stream, for example ``stream(seed, epoch, "order")``; 63 bits."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*parts: int | str) -> torch.Generator:
    """A CPU generator at the start of a stream."""
    return torch.Generator().manual_seed(stream(*parts))


@contextmanager
def global_stream(device: torch.device, *parts: int | str) -> Iterator[None]:
    """Run code that draws from torch's global state (dropout, initialisation) on a stream.

    The global state of the CPU and of ``device`` is as before afterwards.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(stream(*parts))
        yield
