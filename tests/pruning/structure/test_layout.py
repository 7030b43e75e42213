from __future__ import annotations

import json

import numpy as np
import pytest

from pruning.structure.layout import Layout

LAYOUT = Layout(("a", "b.c", "d"), (2, 3, 1))


def test_positions() -> None:
    assert LAYOUT.total == 6
    assert LAYOUT.offsets.tolist() == [0, 2, 5, 6]
    assert LAYOUT.group_of.tolist() == [0, 0, 1, 1, 1, 2]
    assert LAYOUT.slice_of("b.c") == slice(2, 5)
    assert {k: v.tolist() for k, v in LAYOUT.split(np.arange(6)).items()} == {
        "a": [0, 1],
        "b.c": [2, 3, 4],
        "d": [5],
    }
    alive = np.array([True, False, True, False, True, False])
    assert LAYOUT.counts(alive).tolist() == [1, 2, 0]
    assert LAYOUT.counts(alive).dtype == LAYOUT.offsets.dtype == np.int64


def test_cached_arrays_cannot_be_changed() -> None:
    for array in (LAYOUT.offsets, LAYOUT.group_of):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_json_round_trip() -> None:
    assert Layout.from_json(json.loads(json.dumps(LAYOUT.to_json()))) == LAYOUT


@pytest.mark.parametrize(
    ("names", "sizes"), [(("a",), (1, 2)), (("a", "a"), (1, 1)), (("a",), (0,))]
)
def test_refused(names: tuple[str, ...], sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="group"):
        Layout(names, sizes)


def test_wrong_vector_and_name() -> None:
    with pytest.raises(ValueError, match="6 units"):
        LAYOUT.split(np.zeros(5))
    with pytest.raises(KeyError, match=r"b\.c"):
        LAYOUT.slice_of("b")
