"""Records and histories: what is kept, and what a policy may see of it."""

from __future__ import annotations

import numpy as np
import pytest
from made_histories import LAYOUT, record
from safetensors.numpy import load

from pruning.history import History, Record

PROBES = {
    "taylor": np.linspace(-1, 1, LAYOUT.total, dtype=np.float32),
    'magnitude{"normalize":"none"}': np.arange(LAYOUT.total, dtype=np.float32),
}


def test_bytes_round_trip() -> None:
    one = record(3, LAYOUT, PROBES, gone=[0, 70])
    back = Record.from_bytes(one.to_bytes())
    assert back.epoch == 3
    assert back.alive.dtype == bool
    assert np.array_equal(back.alive, one.alive)
    assert back.probes.keys() == one.probes.keys()
    for name, values in one.probes.items():
        assert back.probes[name].dtype == np.float32
        assert np.array_equal(back.probes[name], values, equal_nan=True)
    assert (back.metrics, back.test) == (one.metrics, one.test)
    assert (back.costs, back.seconds) == (one.costs, one.seconds)
    assert back.to_bytes() == one.to_bytes()


def test_bytes_keep_every_bit_of_a_metric_and_a_lost_loss() -> None:
    one = Record(1, np.ones(2, dtype=bool), {}, metrics={"a": 0.1 + 0.2, "loss": float("nan")})
    back = Record.from_bytes(one.to_bytes()).metrics
    assert back["a"] == 0.1 + 0.2
    assert np.isnan(back["loss"])


def test_the_file_is_safetensors() -> None:
    tensors = load(record(0, LAYOUT, PROBES).to_bytes())
    assert set(tensors) == {"alive", *(f"probe.{name}" for name in PROBES)}


def test_a_policy_sees_neither_the_clock_nor_the_test_split() -> None:
    one = record(2, LAYOUT, PROBES)
    assert one.test
    assert one.seconds
    assert (one.visible().test, one.visible().seconds) == ({}, {})
    assert one.visible().metrics == one.metrics
    for history in (History.of(LAYOUT, [one]), History(LAYOUT, ()).plus(one)):
        assert (history.last.test, history.last.seconds) == ({}, {})
        assert history.last.costs == one.costs


def test_history_says_where_it_is() -> None:
    history = History.of(LAYOUT, [record(0, LAYOUT, PROBES), record(1, LAYOUT, PROBES)], 10, 3)
    assert (history.epoch, history.epochs, history.seed, history.pruned) == (1, 10, 3, False)
    longer = history.plus(record(2, LAYOUT, PROBES, gone=[5]))
    assert (longer.epoch, longer.pruned, len(history.records)) == (2, True, 2)


def test_what_is_remembered_is_computed_once() -> None:
    one = record(0, LAYOUT, PROBES)
    calls: list[int] = []

    def count(seen: Record) -> int:
        calls.append(seen.epoch)
        return len(calls)

    assert [one.remember("a", count), one.visible().remember("a", count)] == [1, 1]
    assert one.remember("b", count) == 2
    assert Record.from_bytes(one.to_bytes()).remember("a", count) == 3


def test_records_are_frozen() -> None:
    with pytest.raises(AttributeError):
        record(0, LAYOUT, PROBES).epoch = 1  # type: ignore[misc]
