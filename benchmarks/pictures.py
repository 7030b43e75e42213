"""Pictures from an npz file, plain or packed as JPEG, and only as many as are wanted.

Named in a task as ``benchmarks.pictures:load``.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]


def load(path: str, train: int | None = None, test: int | None = None) -> dict[str, Array]:
    """x_train, y_train, x_test, y_test of Keras's npz files; the first ``train`` and ``test``.

    A packed file has jpeg_train, offset_train, y_train and the same of test: all pictures of a part
    in one row of bytes, picture i from offset[i] to offset[i + 1].
    Raises ValueError for a file with other arrays.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays: dict[str, Array] = {}
        for part, count in (("train", train), ("test", test)):
            if not {f"x_{part}", f"jpeg_{part}"} & set(file) or f"y_{part}" not in file:
                raise ValueError(f"x_{part} (or jpeg_{part}) and y_{part} are needed in the file")
            labels = file[f"y_{part}"][:count]
            arrays[f"x_{part}"] = _pictures(file, part, len(labels))
            arrays[f"y_{part}"] = labels
        return arrays


def _pictures(file: Mapping[str, Array], part: str, count: int) -> Array:
    """uint8 [count, height, width, channels], or [count, height, width]."""
    if f"x_{part}" in file:
        return file[f"x_{part}"][:count]
    whole, offsets = file[f"jpeg_{part}"], file[f"offset_{part}"][: count + 1].tolist()
    packed = (BytesIO(whole[a:b].tobytes()) for a, b in pairwise(offsets))
    return np.stack([np.asarray(Image.open(picture)) for picture in packed])
