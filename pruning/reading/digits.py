"""Scikit-learn's digits, from its own file: its import takes a second in every process."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pruning.reading.arrays import samples_of
from pruning.reading.given import Arrays
from pruning.reading.layout import reading_of
from pruning.reading.parts import refuse_settings
from pruning.reading.spec import DataSpec

SIDE = 8
"""Height and width of a picture."""


def digits(spec: DataSpec) -> Arrays:
    """1,797 grey pictures [1, 8, 8] of values from 0 to 1, and their classes, 0 to 9."""
    refuse_settings(spec, "options", "layout", "channels", "annotations")
    rows = np.loadtxt(_file(), delimiter=",")
    images, target = rows[:, :-1].reshape(-1, SIDE, SIDE), rows[:, -1].astype(int)
    pictures = samples_of(images / 16.0, "digits").unsqueeze(1)
    reading = reading_of(images, "chw", pictures).model_copy(update={"scale": 16.0})
    return Arrays((pictures, target), reading=reading)


def _file() -> Path:
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise ValueError("digits: scikit-learn, which has them, is not installed")
    return Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
