"""Early-Bird, OCSPruner, EarlyCroP: their rules by hand, and in real trainings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
import torch
from made_histories import LAYOUT, history, record
from small_tasks import digits_task

from pruning.history import Record
from pruning.policies import EarlyBird, EarlyCroP, OCSPruner, Triggered
from pruning.policies.early_bird import farthest
from pruning.policies.early_crop import slowdown
from pruning.policies.ocspruner import jaccard, stability
from pruning.pruner import Pruner
from pruning.saliency import BatchNormScale, GradientFlow, Magnitude, WeightChange
from pruning.structure.layout import Layout
from pruning.training.loop import Training
from pruning.training.models import small_mlp
from pruning.training.trial import Trial

LAYERS = Layout(("a", "b"), (2, 4))
EPOCHS = 9
TASK = digits_task(model={"name": "small_tasks:dropout_cnn"}, epochs=EPOCHS)
PROBES = BatchNormScale(), Magnitude(), GradientFlow(), WeightChange()


def mask(*kept: int, of: int = 6) -> npt.NDArray[np.bool_]:
    return np.isin(np.arange(of), kept)


def test_the_distance_is_the_share_of_units_that_differ_from_the_newest() -> None:
    masks = [mask(0, 2), mask(0, 2), mask(0, 3), mask(1, 3)]
    assert farthest(masks, 4) == 4 / 6  # to the first two; to the third 2/6
    assert farthest(masks[1:], 3) == 4 / 6
    assert farthest(masks[:3], 3) == 2 / 6
    assert farthest(masks[:2], 2) == 0
    assert farthest(masks[:3], 4) is None


def test_only_the_newest_is_compared() -> None:
    """The two before it are six units apart, and neither is more than three from it."""
    assert farthest([mask(0, 1, 2), mask(3, 4, 5), mask(0, 3)], 3) == 3 / 6


def test_jaccard_is_the_mean_over_layers() -> None:
    one, other = mask(0, 2, 3, 4), mask(0, 1, 3, 4, 5)
    assert jaccard(one, other, LAYERS) == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert jaccard(one, one, LAYERS) == 1
    assert jaccard(mask(0, 2), mask(1, 3), LAYERS) == 0
    assert jaccard(mask(0), mask(0), LAYERS) == 1  # the second layer is empty in both


def test_stability_is_the_mean_over_neighbours() -> None:
    masks = [mask(0, 2), mask(1, 3), mask(1, 3), mask(1, 3, 4)]
    assert stability(masks, LAYERS, 3) == pytest.approx((0 + 1 + (1 + 1 / 2) / 2) / 3)
    assert stability(masks[:3], LAYERS, 2) == 1 / 2
    assert stability(masks[:3], LAYERS, 3) is None


def test_slowdown_is_the_last_step_over_the_first() -> None:
    distances = [0.0, 0.5, 0.8, 0.7, 0.75]
    assert slowdown(distances[:1], 1) is None
    assert slowdown(distances[:2], 1) is None
    assert slowdown(distances[:3], 1) == pytest.approx(0.3 / 0.5)
    assert slowdown(distances[:4], 1) == pytest.approx(0.1 / 0.5)  # back is a step, too
    assert slowdown(distances, 3) == pytest.approx((0.3 + 0.1 + 0.05) / 3 / 0.5)
    assert slowdown(distances[:4], 3) is None
    assert slowdown([0.0, 0.0, 0.1], 1) is None
    assert slowdown([0.0, 0.5, math.nan], 1) is None
    assert slowdown([math.nan, 0.5, 0.6], 1) is None


def test_early_bird_by_hand() -> None:
    """Six units, three stay; the masks are 0 1 2, then 0 1 3, then 0 1 3 again."""
    policy = EarlyBird(window=2, floor=0, threshold=0, saliency="magnitude", latest=None)
    scores = [[6, 5, 4, 3, 2, 1], [6, 5, 3, 4, 2, 1], [5, 6, 2, 4, 3, 1]]
    one = Layout(("all",), (6,))
    records = [
        record(epoch, one, {"magnitude": np.array(row, dtype=float)})
        for epoch, row in enumerate(scores)
    ]
    seen = [history(records[: n + 1], 9, one) for n in range(3)]
    assert [policy.indicator(view) for view in seen] == [None, 2 / 6, 0]
    actions = [policy.decide(view) for view in seen]
    assert actions[:2] == [None, None]
    assert actions[2] is not None
    assert actions[2].units == (2, 4, 5)


def test_published_settings() -> None:
    assert (EarlyBird().limit(LAYOUT), EarlyBird().window) == (0.1, 5)
    assert EarlyBird().saliency == BatchNormScale()
    assert (OCSPruner().limit(LAYOUT), OCSPruner().window) == (0.999, 3)
    assert EarlyCroP().saliency == GradientFlow()
    assert [probe.name for probe in EarlyCroP().probes()] == ["gradient_flow", "weight_change"]


def test_settings_that_leave_no_epoch_are_refused() -> None:
    EarlyBird(window=5).check(5)
    with pytest.raises(
        ValueError, match=r"window: 6 is not allowed: .* 5 epochs \(allowed: up to 5\)"
    ):
        EarlyBird(window=6).check(5)
    OCSPruner(window=3).check(4)
    with pytest.raises(ValueError, match=r"window: 4 is not allowed: .* \(allowed: up to 3\)"):
        OCSPruner(window=4).check(4)
    EarlyCroP().check(3)
    with pytest.raises(ValueError, match="window: 1 is not allowed: the training has 2 epochs"):
        EarlyCroP().check(2)
    with pytest.raises(ValueError, match="earliest: 7 is not allowed"):
        EarlyCroP(earliest=7).check(7)


def test_early_bird_refuses_a_network_without_batch_norm() -> None:
    model = small_mlp((4,), 2, hidden=(8,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pruner = Pruner(model, optimizer, EarlyBird(), example_input=torch.zeros(2, 4))
    with pytest.raises(ValueError, match="needs a batch norm after every prunable layer"):
        pruner.start()


# In real trainings


@cache
def dense() -> tuple[Record, ...]:
    """The records of a dense training, with all that the three look at."""
    training = Training(TASK, 3, PROBES)
    training.begin()
    for _ in range(EPOCHS):
        training.epoch()
    return tuple(training.pruner.records)


def kept(scores: npt.NDArray[np.floating], layout: Layout) -> set[int]:
    """The half that stays: the best of each layer, then the best of all others."""
    ranked = sorted(range(layout.total), key=lambda unit: (-scores[unit], unit))
    best = {min(ranked, key=lambda u: (layout.group_of[u] != g, ranked.index(u))) for g in (0, 1)}
    others = [unit for unit in ranked if unit not in best]
    return best | set(others[: layout.total - round(layout.total / 2) - len(best)])


def bird_course(policy: Triggered, layout: Layout) -> list[float | None]:
    sets = [kept(r.probes[policy.saliency.key], layout) for r in dense()]
    w = policy.window
    return [
        max(len(sets[t] ^ sets[t - j]) for j in range(1, w)) / layout.total if t >= w - 1 else None
        for t in range(len(sets))
    ]


def ocs_course(policy: Triggered, layout: Layout) -> list[float | None]:
    sets = [kept(r.probes[policy.saliency.key], layout) for r in dense()]
    layers = [{u for u in range(layout.total) if layout.group_of[u] == g} for g in (0, 1)]

    def alike(a: set[int], b: set[int]) -> float:
        return sum(len(a & b & layer) / len((a | b) & layer) for layer in layers) / 2

    w = policy.window
    return [
        sum(alike(sets[t - j], sets[t - j - 1]) for j in range(w)) / w if t >= w else None
        for t in range(len(sets))
    ]


def crop_course(policy: Triggered, layout: Layout) -> list[float | None]:
    d = [float(r.probes["weight_change"][0]) for r in dense()]
    assert d[0] == 0
    return [abs(d[t] - d[t - 1]) / d[1] if t > 1 else None for t in range(len(d))]


Course = Callable[[Triggered, Layout], Sequence[float | None]]
REAL: list[tuple[Triggered, Course]] = [
    (EarlyBird(window=3, floor=0, threshold=0.2, latest=None), bird_course),
    (EarlyBird(window=2, floor=0, threshold=0.05, saliency="magnitude", latest=1.0), bird_course),
    (OCSPruner(window=2, floor=0, threshold=0.8, latest=None), ocs_course),
    (OCSPruner(floor=0, threshold=0.78, saliency="batch_norm_scale", latest=None), ocs_course),
    (EarlyCroP(floor=0, threshold=0.4, latest=None), crop_course),
    (EarlyCroP(floor=0, threshold=0.2, saliency="magnitude", earliest=5), crop_course),
]


@pytest.mark.parametrize(("policy", "course"), REAL, ids=lambda value: getattr(value, "name", ""))
def test_each_prunes_when_its_rule_says(policy: Triggered, course: Course) -> None:
    trial = Trial(TASK, policy, seed=3)
    layout = trial.training.layout
    by_hand = course(policy, layout)
    whole = history(dense(), EPOCHS, layout)
    assert policy.course(whole, len(by_hand)) == pytest.approx(by_hand)
    ready = [
        epoch
        for epoch, value in enumerate(by_hand[:EPOCHS])
        if value is not None
        and epoch >= policy.earliest
        and (value <= policy.limit(layout) if policy.falls else value >= policy.limit(layout))
    ]
    forced = math.ceil(policy.latest * EPOCHS) if policy.latest else EPOCHS
    expected = max(min([*ready, forced]), policy.earliest)
    assert expected < EPOCHS, "nothing happens in this training: choose another threshold"
    trial.run()
    assert [epoch for epoch, _ in trial.actions] == [expected]
    action = trial.actions[0][1]
    left = set(range(layout.total)) - set(action.units)
    assert left == kept(dense()[expected].probes[policy.saliency.key], layout)
    forced_it = any("never" in warning for warning in action.warnings)
    assert forced_it != (expected in ready)


@pytest.mark.parametrize(
    ("policy", "warning"),
    [
        (EarlyBird(threshold=0.0, latest=0.5), "Early-Bird never fell under 0: pruned after"),
        (
            OCSPruner(threshold=1.0, latest=0.5, saliency="batch_norm_scale"),
            "OCSPruner never reached 1: pruned after",
        ),
        (EarlyCroP(threshold=1e-6, latest=0.5), "EarlyCroP never fell under 1e-06: pruned after"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_latest_forces_the_cut_with_a_warning(policy: Triggered, warning: str) -> None:
    trial = Trial(TASK, policy, seed=3)
    summary = trial.run()
    assert [epoch for epoch, _ in trial.actions] == [5]
    assert summary["warnings"][0] == f"{warning} epoch 5 because of latest=0.5"


def test_nothing_is_measured_after_the_cut() -> None:
    policy = EarlyCroP(latest=0.3)
    trial = Trial(TASK, policy, seed=3)
    trial.run()
    cut = trial.actions[0][0]
    for record_ in trial.records:
        assert ("weight_change" in record_.probes) == (record_.epoch <= cut)
        assert ("gradient_flow" in record_.probes) == (record_.epoch <= cut)
    assert policy.indicator(trial.history) is None
