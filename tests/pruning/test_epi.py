"""EPI: its value by hand, and its trigger over the curves of the paper."""

from __future__ import annotations

import csv
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from made_histories import counted, history, record

from pruning.history import Record
from pruning.policies import EPI
from pruning.policies.epi import TELLS_NOTHING, epi, similarity, triggers
from pruning.saliency import Magnitude
from pruning.structure.layout import Layout

CURVES = Path(__file__).parents[1] / "data" / "epi_curves_magnitude.csv"
CHOSEN = {
    "ResNet34": {10: 15, 20: 16, 30: 19, 40: 21, 50: 27},
    "ResNet50": {10: 15, 20: 17, 30: 18, 40: 23, 50: 26},
}
LAYERS = Layout(("a", "b", "c"), (4, 4, 4))
KEY = Magnitude().key


def counts(*per_layer: int) -> np.ndarray:
    return np.asarray(per_layer, dtype=np.int64)


@pytest.mark.parametrize(
    ("network", "percent", "chosen"),
    [(name, percent, epoch) for name, row in CHOSEN.items() for percent, epoch in row.items()],
)
def test_trigger_over_the_published_curves(network: str, percent: int, chosen: int) -> None:
    """Epochs are counted from 0; where a curve could not be read off, its value is missing."""
    curves: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    with CURVES.open() as file:
        for row in csv.DictReader(file):
            curves[row["network"], int(row["prune_pct"])][int(row["epoch"])] = float(row["epi"])
    curve = curves[network, percent]
    course = [curve.get(epoch) for epoch in range(max(curve) + 1)]
    fired = [e for e in range(len(course)) if triggers(course[: e + 1], 0.983, window=5)]
    assert fired[0] == chosen


def test_similarity_by_hand() -> None:
    # |3-1|/4, |0-0|/0 = 0, |2-6|/8  ->  mean of 1/2, 0, 1/2
    assert similarity(counts(3, 0, 2), counts(1, 0, 6)) == pytest.approx(1 - 1 / 3)
    assert similarity(counts(3, 0, 2), counts(3, 0, 2)) == 1
    assert similarity(counts(1, 0), counts(0, 1)) == 0


def test_value_by_hand() -> None:
    past = [counts(4, 2, 0), counts(2, 2, 0), counts(2, 4, 0)]
    now = counts(1, 3, 0)
    by_hand = [
        1 - (Fraction(3, 5) + Fraction(1, 5) + 0) / 3,
        1 - (Fraction(1, 3) + Fraction(1, 5) + 0) / 3,
        1 - (Fraction(1, 3) + Fraction(1, 7) + 0) / 3,
    ]
    assert epi([*past, now], 3) == pytest.approx(float(sum(by_hand) / 3), abs=1e-15)
    assert epi([*past, now], 2) == pytest.approx(float(sum(by_hand[1:]) / 2), abs=1e-15)
    assert epi([*past, now], 4) is None
    assert epi([None, *past[1:], now], 3) is None
    assert epi([None, *past[1:], now], 2) is not None


def test_value_of_a_history_by_hand() -> None:
    """Half of 12 units stay: (4, 2, 0), then (2, 4, 0), then (2, 2, 2) with a floor of one."""
    policy = EPI(ratio=0.5, threshold=0.5, window=2, floor=0)
    records = counted([(4, 2, 0), (2, 4, 0), (2, 2, 2)], LAYERS, KEY)
    seen = history(records, layout=LAYERS)
    kept = [LAYERS.counts(policy.sub_network(r, seen)).tolist() for r in records]
    assert kept == [[4, 1, 1], [2, 3, 1], [2, 2, 2]]
    first = 1 - (Fraction(2, 6) + Fraction(1, 3) + Fraction(1, 3)) / 3
    second = 1 - (0 + Fraction(1, 5) + Fraction(1, 3)) / 3
    value = policy.indicator(seen)
    assert value == pytest.approx(float((first + second) / 2), abs=1e-15)


def test_first_value_stands_after_epoch_4_counted_from_0() -> None:
    policy = EPI()
    records = counted([(2, 2, 2)] * 6, LAYERS, KEY)
    assert [policy.indicator(history(records[: n + 1], layout=LAYERS)) for n in range(5)] == [
        None
    ] * 5
    assert records[5].epoch == 5  # five epochs trained: the last of them is number 4
    assert policy.indicator(history(records, layout=LAYERS)) == 1
    decisions = [policy.decide(history(records[: n + 1], layout=LAYERS)) for n in range(6)]
    assert [action is not None for action in decisions] == [False] * 5 + [True]
    assert decisions[5] is not None
    assert decisions[5].units == (2, 3, 6, 7, 10, 11)
    assert decisions[5].warnings == ()


def test_trigger_needs_threshold_and_no_fall() -> None:
    assert triggers([0.99], 0.983, 5)
    assert triggers([None, 0.99], 0.983, 5)
    assert triggers([0.983, 0.983], 0.983, 5)
    assert not triggers([0.98], 0.983, 5)
    assert not triggers([None], 0.983, 5)
    assert not triggers([0.995, 0.99], 0.983, 5)
    assert triggers([0.995, 0.98, 0.99], 0.983, 1)
    assert not triggers([0.995, 0.98, 0.99], 0.983, 2)


def test_latest_forces_the_cut_with_a_warning() -> None:
    records = counted([(4, 1, 1), (1, 4, 1)] * 4, LAYERS, KEY)
    policy = EPI(threshold=0.99, window=2)
    assert policy.decide(history(records[:3], 9, LAYERS)) is None
    forced = policy.decide(history(records[:4], 9, LAYERS))
    assert forced is not None
    assert forced.warnings[0].startswith("EPI never reached 0.99: pruned after epoch 3")
    assert policy.decide(history(records, None, LAYERS)) is None
    assert EPI(threshold=0.99, window=2, latest=None).decide(history(records, 9, LAYERS)) is None


def test_where_counts_cannot_move_it_says_so() -> None:
    """Whatever the scores are, half of each layer stays: EPI is 1 as soon as there is one."""
    records = counted([(4, 1, 1), (1, 4, 1), (1, 1, 4)], LAYERS, KEY)
    evenly = EPI(window=2, threshold=0.99, scope="layer")
    assert evenly.indicator(history(records, layout=LAYERS)) == 1
    action = evenly.decide(history(records, layout=LAYERS))
    assert action is not None
    assert action.warnings == (TELLS_NOTHING,)
    ranked = EPI(window=2, threshold=0.5).decide(history(records, layout=LAYERS))
    assert ranked is not None
    assert TELLS_NOTHING not in ranked.warnings


def test_earliest() -> None:
    records = counted([(2, 2, 2)] * 8, LAYERS, KEY)
    policy = EPI(window=1, earliest=4)
    fired = [policy.decide(history(records[:n], layout=LAYERS)) for n in range(1, 9)]
    assert [action is not None for action in fired] == [False] * 4 + [True] * 4


def test_never_twice() -> None:
    policy = EPI(window=2, latest=0.1)
    scores = np.linspace(0, 1, 12, dtype=np.float32)
    records = [record(epoch, LAYERS, {KEY: scores}, gone=[0]) for epoch in range(8)]
    assert policy.decide(history(records, 9, LAYERS)) is None


def test_pure() -> None:
    records = counted([(2, 2, 2), (3, 2, 1), (2, 3, 1), (2, 3, 1), (2, 3, 1)], LAYERS, KEY)
    before = [one.to_bytes() for one in records]
    seen = history(records, 20, LAYERS)
    policy = EPI(window=2, threshold=0.9)
    actions = [policy.decide(seen), policy.decide(seen), EPI(window=2, threshold=0.9).decide(seen)]
    fresh = [Record.from_bytes(data) for data in before]
    assert actions[0] is not None
    assert actions == [policy.decide(history(fresh, 20, LAYERS))] * 3
    assert [one.to_bytes() for one in records] == before


def test_policies_of_other_settings_share_records_without_harm() -> None:
    """What a record remembers is filed under every setting it depends on."""
    draw = np.random.default_rng(0)
    records = [record(e, LAYERS, {KEY: draw.random(12)}) for e in range(3)]
    for settings in ({"ratio": 0.25}, {"ratio": 0.75}, {"scope": "layer"}, {"floor": 0.5}):
        policy = EPI(window=2, threshold=0.01, **settings)
        fresh = [Record.from_bytes(one.to_bytes()) for one in records]
        shared, alone = (policy.course(history(r, layout=LAYERS)) for r in (records, fresh))
        assert shared == alone


def test_a_missing_probe_in_the_untrained_record_passes() -> None:
    """As in a user's loop with taylor: no gradients were measured before training."""
    policy = EPI(saliency="taylor", window=2, threshold=0.9)
    untrained = record(0, LAYERS, {})
    records = [untrained, *counted([(2, 2, 2)] * 4, LAYERS, "taylor")[1:]]
    assert policy.course(history(records, layout=LAYERS), 4) == [None, None, None, 1.0]
    assert policy.decide(history(records[:3], layout=LAYERS)) is None
    assert policy.decide(history(records, layout=LAYERS)) is not None


def test_thresholds_of_the_paper() -> None:
    wide, narrow = Layout(("a", "b"), (64, 136)), Layout(("a", "b"), (64, 135))
    assert EPI().limit(wide) == 0.983
    assert EPI(saliency="taylor").limit(wide) == 0.944
    assert EPI().limit(narrow) == EPI(saliency="taylor").limit(narrow) == 0.9
    assert EPI(threshold=0.95).limit(narrow) == 0.95
    assert EPI(saliency="random", threshold=0.5).limit(wide) == 0.5


def test_a_window_or_earliest_beyond_the_training_is_refused() -> None:
    EPI(window=5).check(6)
    with pytest.raises(ValueError, match="window: 5 is not allowed: the training has 5 epochs"):
        EPI(window=5).check(5)
    with pytest.raises(ValueError, match="earliest: 9 is not allowed"):
        EPI(earliest=9).check(9)
