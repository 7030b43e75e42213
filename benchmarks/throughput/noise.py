"""Pictures of noise: how long a step takes does not hang on what it sees."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def load(
    channels: int, size: int, train: int, test: int, folder: str = ""
) -> dict[str, npt.NDArray[np.generic]]:
    """``train`` and ``test`` samples [channels, size, size] of ten classes."""
    rng = np.random.default_rng(0)

    def pictures(count: int) -> npt.NDArray[np.float32]:
        return rng.standard_normal((count, channels, size, size), dtype=np.float32)

    return {
        "x_train": pictures(train),
        "y_train": rng.integers(0, 10, train),
        "x_test": pictures(test),
        "y_test": rng.integers(0, 10, test),
    }
