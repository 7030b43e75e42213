"""The digits are scikit-learn's to the last bit, without its import."""

from __future__ import annotations

import numpy as np
from loading import loaded
from sklearn.datasets import load_digits

from pruning.reading.digits import digits
from pruning.training.task import DataSpec


def test_they_are_those_that_scikit_learn_loads() -> None:
    pictures, labels = digits(DataSpec.parse({"source": "digits"})).train
    theirs = load_digits()
    assert np.array_equal(pictures.numpy()[:, 0], (theirs.images / 16.0).astype(np.float32))
    assert np.array_equal(labels, theirs.target)
    assert labels.dtype == theirs.target.dtype


def test_their_reading_imports_no_scikit_learn() -> None:
    lines = (
        "from pruning.reading.spec import Augment, DataSpec",
        "from pruning.reading.sources import read",
        "print(len(read(DataSpec.parse({'source': 'digits'}), Augment()).train[1]))",
    )
    found, done = loaded("-c", "\n".join(lines))
    assert done.stdout == "1797\n", done.stderr
    assert not {"sklearn", "scipy", "pandas"} & found
