"""The same bits whatever the machine is busy with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch with one thread: sums split over more would have other last bits."""
    threads = torch.get_num_threads()
    if threads != 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if threads != 1:
            torch.set_num_threads(threads)


def add_product(
    total: npt.NDArray[np.float64], left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]
) -> None:
    """Add left @ right to total, in place: torch's product, as numpy's threads cannot be set."""
    with one_thread():
        torch.from_numpy(total).addmm_(
            torch.from_numpy(left), torch.from_numpy(np.ascontiguousarray(right))
        )
