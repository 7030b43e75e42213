"""Gradual pruning: its schedule by hand, and its cuts in a real training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_histories import LAYOUT, history, record
from small_tasks import digits_task

from pruning import InputError
from pruning.policies import Gradual
from pruning.pruner import Pruner
from pruning.training.models import small_mlp
from pruning.training.trial import Trial


def test_the_schedule_is_cubic() -> None:
    policy = Gradual(ratio=0.8, begin=0.0, end=0.5, steps=4)
    by_hand = {4: 1 - (3 / 4) ** 3, 8: 1 - (1 / 2) ** 3, 12: 1 - (1 / 4) ** 3, 16: 1.0}
    assert policy.schedule(32) == pytest.approx({at: 0.8 * s for at, s in by_hand.items()})
    late = Gradual(ratio=0.5, begin=0.25, end=0.75, steps=2).schedule(8)
    assert late == pytest.approx({4: 0.5 * 7 / 8, 6: 0.5})


def test_cuts_on_the_same_epoch_are_one() -> None:
    policy = Gradual(ratio=0.5, begin=0.1, end=0.5, steps=4)
    assert policy.schedule(4) == pytest.approx({1: 0.5 * 7 / 8, 2: 0.5})
    assert policy.schedule(4)[2] == 0.5  # the ratio itself, to the last bit


def test_the_real_network_shrinks_along_it() -> None:
    policy = Gradual(ratio=0.6, begin=0.0, end=0.7, steps=3)
    trial = Trial(digits_task(epochs=6), policy, seed=1)
    trial.run()
    total = trial.training.layout.total
    schedule = policy.schedule(6)
    assert sorted(schedule) == [1, 3, 4]
    assert [epoch for epoch, _ in trial.actions] == [1, 3, 4]
    gone = 0
    for epoch, action in trial.actions:
        gone += len(action.units)
        assert gone == round(schedule[epoch] * total)
        assert trial.records[epoch].alive[list(action.units)].all()
        assert trial.records[epoch + 1].costs["units"] == total - gone
    assert gone == round(0.6 * total)


def test_every_cut_takes_the_lowest_that_are_left() -> None:
    scores = np.arange(LAYOUT.total, dtype=float)
    policy = Gradual(ratio=0.5, begin=0.0, end=0.5, steps=2, floor=0, saliency="random")
    records = [record(0, LAYOUT, {"random": scores}), record(1, LAYOUT, {"random": scores})]
    one = policy.decide(history(records, 4))
    assert one is not None
    lowest = round(0.5 * 7 / 8 * LAYOUT.total)
    assert lowest == 32
    assert one.units == (*range(7), *range(8, 31), 32, 33)  # 7 and 31 are the last of their layers
    records.append(record(2, LAYOUT, {"random": scores[::-1]}, gone=one.units))
    two = policy.decide(history(records, 4))
    assert two is not None
    assert two.units == tuple(range(72 - (36 - lowest), 72))


def test_what_is_kept_is_rounded_up_at_every_cut() -> None:
    draw = np.random.default_rng(0)
    policy = Gradual(ratio=0.7, begin=0.0, end=0.9, steps=5, round_to=4, saliency="random")
    alive = np.ones(LAYOUT.total, dtype=bool)
    records = []
    for epoch in range(10):
        scores = {"random": draw.random(LAYOUT.total)}
        records.append(record(epoch, LAYOUT, scores, np.flatnonzero(~alive)))
        if action := policy.decide(history(records, 10)):
            alive[list(action.units)] = False
        assert all(count % 4 == 0 for count in LAYOUT.counts(alive))
    assert LAYOUT.total - alive.sum() <= round(0.7 * LAYOUT.total)


def test_refused() -> None:
    with pytest.raises(InputError, match=r"begin: 0.5 is not allowed: it must be less than end"):
        Gradual.parse({"begin": 0.5, "end": 0.5})
    Gradual(end=0.9).check(9)
    with pytest.raises(
        ValueError, match=r"end: 0.95 is not allowed: the last cut is after epoch 9"
    ):
        Gradual(end=0.95).check(9)
    model = small_mlp((4,), 2, hidden=(8,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pruner = Pruner(model, optimizer, Gradual(), example_input=torch.zeros(2, 4))
    with pytest.raises(ValueError, match="gradual needs to know how many epochs there are"):
        pruner.start()
