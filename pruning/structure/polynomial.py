"""A polynomial of the widths of a network's layers, as it lies in a record."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pruning.structure.layout import Ints

Terms = npt.NDArray[np.float64]
"""A row a product: its coefficient, and the numbers of the layers whose widths are multiplied, -1
where there are fewer; float64 [terms, 1 + degree]."""


def evaluate(terms: Terms, widths: Ints) -> npt.NDArray[np.float64]:
    """The cost at these widths, [..., layers] -> [...]; a whole number, exactly."""
    padded = np.concatenate([widths, np.ones((*widths.shape[:-1], 1), np.int64)], axis=-1)
    factors = padded.astype(np.float64)[..., terms[:, 1:].astype(np.int64)]
    return np.asarray((factors.prod(axis=-1) * terms[:, 0]).sum(axis=-1))
