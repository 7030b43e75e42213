"""BEP: its budgets, its greedy step, and what its decisions depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from made_histories import LAYOUT, history, record

from pruning import policy as parse
from pruning.forecast.kinds import forecast
from pruning.history import Record
from pruning.policies import Prune
from pruning.policies.bep import BEP
from pruning.policies.registry import specify
from pruning.policies.selection import keep_top
from pruning.structure.layout import Layout

EPOCHS = 20
KEY = BEP().saliency.key
WORTH = [1e-4, 1e-2, 0.1]
"""Penalties for scores between 0 and 1: from late to early."""


def scores(layout: Layout = LAYOUT, epochs: int = EPOCHS, seed: int = 0) -> list[Any]:
    """Scores that settle, epoch by epoch."""
    draw = np.random.default_rng(seed)
    end, start = draw.random((2, layout.total))
    return [
        (end + (start - end) * np.exp(-epoch / 3) + 0.1 * draw.normal(size=layout.total)) / 2
        for epoch in range(epochs)
    ]


def made(
    layout: Layout = LAYOUT, epochs: int = EPOCHS, seed: int = 0, key: str = KEY
) -> list[Record]:
    """A training in which nothing is pruned."""
    return [record(e, layout, {key: s}) for e, s in enumerate(scores(layout, epochs, seed))]


def life(
    policy: BEP, layout: Layout = LAYOUT, epochs: int = EPOCHS, seed: int = 0
) -> tuple[list[tuple[int, Prune]], npt.NDArray[np.bool_], list[Record]]:
    """A training pruned by a policy: its actions by epoch, what is left, the records."""
    alive = np.ones(layout.total, dtype=bool)
    records: list[Record] = []
    actions = []
    for epoch, values in enumerate(scores(layout, epochs, seed)):
        records.append(record(epoch, layout, {KEY: values}, np.flatnonzero(~alive).tolist()))
        action = policy.decide(history(records, epochs, layout))
        if action:
            units = list(action.units)
            assert alive[units].all()
            alive[units] = False
            actions.append((epoch, action))
    return actions, alive, records


@pytest.mark.parametrize("penalty", WORTH)
@pytest.mark.parametrize("ratio", [0.3, 0.8])
def test_each_layer_ends_at_its_budget_and_never_falls_below_it(
    ratio: float, penalty: float
) -> None:
    actions, alive, _ = life(BEP(ratio=ratio, penalty=penalty, every=2))
    budget = np.rint((1 - ratio) * np.asarray(LAYOUT.sizes))
    assert LAYOUT.counts(alive).tolist() == budget.tolist()
    assert all(2 <= epoch < EPOCHS for epoch, _ in actions)


@pytest.mark.parametrize("penalty", WORTH)
@pytest.mark.parametrize("ratio", [0.3, 0.8])
def test_all_layers_together_end_at_the_budget(ratio: float, penalty: float) -> None:
    actions, alive, _ = life(BEP(ratio=ratio, penalty=penalty, scope="global", floor=0.1, every=2))
    assert alive.sum() == LAYOUT.total - round(ratio * LAYOUT.total)
    assert (LAYOUT.counts(alive) >= 0.1 * np.asarray(LAYOUT.sizes)).all()
    assert all(2 <= epoch < EPOCHS for epoch, _ in actions)


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_a_layers_last_unit_stays(scope: str) -> None:
    layout = Layout(("one", "two", "many"), (1, 2, 30))
    for seed in range(3):
        policy = BEP(ratio=0.95, floor=0, scope=scope, penalty=0.1, forecast="last")
        _, alive, _ = life(policy, layout, seed=seed)
        assert (layout.counts(alive) >= 1).all()


def test_what_a_layer_keeps_is_rounded_up_throughout() -> None:
    actions, alive, _ = life(BEP(ratio=0.45, round_to=8, penalty=1.0))
    assert LAYOUT.counts(alive).tolist() == [8, 16, 24]
    assert [epoch for epoch, _ in actions] == [2]


def test_before_the_last_epoch_it_cuts_by_what_was_measured() -> None:
    records = made()
    action = BEP(penalty=0).decide(history(records, EPOCHS))
    kept = keep_top(records[-1].probes[KEY], LAYOUT, 0.5, "layer", 0.05)
    assert action is not None
    assert action.units == tuple(np.flatnonzero(~kept))


@pytest.mark.parametrize("every", [1, 2, 5])
def test_steps_come_after_the_burn_in_and_at_their_distance(every: int) -> None:
    records = made()
    policy = BEP(penalty=1.0, burn_in=0.25, every=every, forecast="last")
    acts = [
        epoch
        for epoch in range(EPOCHS)
        if policy.decide(history(records[: epoch + 1], EPOCHS)) is not None
    ]
    assert acts == sorted({*range(5, EPOCHS, every), EPOCHS - 1})
    assert policy.first_action(EPOCHS) == (5, EPOCHS - 1)


def test_the_first_action_is_within_its_span() -> None:
    for epochs in (3, 4, 11, 20):
        for burn_in in (0.0, 0.1, 0.6):
            for penalty in (0.0, 1e-2, 1e3):
                policy = BEP(penalty=penalty, burn_in=burn_in, forecast="last", samples=100)
                first, last = policy.first_action(epochs)
                actions, _, _ = life(policy, epochs=epochs)
                assert first <= actions[0][0] <= last
                assert penalty != 0 or actions[0][0] == last
                assert penalty != 1e3 or actions[0][0] == first


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize(
    ("kind", "penalty"), [("lmc", 0.02), ("independent", 0.02), ("last", 0.3), ("line", 0.03)]
)
def test_a_step_is_the_literal_greedy_one(kind: Any, penalty: float, scope: str) -> None:
    """Forecast, sample, keep the top, walk the others; written down once more."""
    epoch = 8
    gone = [0, 1, 9, 40]
    records = [
        record(e, LAYOUT, {KEY: s}, gone if e > 5 else ())
        for e, s in enumerate(scores()[: epoch + 1])
    ]
    policy = BEP(scope=scope, forecast=kind, penalty=penalty, samples=200, seed=7)
    action = policy.decide(history(records, EPOCHS))

    alive = records[-1].alive
    means, drawn = np.full(LAYOUT.total, np.nan), np.zeros((LAYOUT.total, 200), np.float32)
    for layer in range(3):
        units = np.flatnonzero(alive & (LAYOUT.group_of == layer))
        times = np.arange(1, epoch + 1) / EPOCHS
        seen = np.stack([r.probes[KEY][units] for r in records[1:]])
        found = forecast(times, seen, 1.0, kind)
        means[units] = found.mean
        drawn[units] = found.samples(200, np.random.default_rng([7, 0, epoch, layer])).T
    top = keep_top(means, LAYOUT, 0.5, policy.scope, policy.floor)
    kept = top.copy()
    layers = [LAYOUT.group_of == layer for layer in range(3)]
    for pool in layers if scope == "layer" else [np.ones(LAYOUT.total, dtype=bool)]:
        others = np.flatnonzero(pool & alive & ~top)
        for unit in others[np.argsort(-means[others])]:
            threshold = np.sort(drawn[pool & kept], axis=0)[-int((pool & top).sum())]
            gain = np.maximum(0, drawn[unit] - threshold).mean(dtype=np.float64)
            kept[unit] |= gain >= penalty * (1 - epoch / EPOCHS)

    assert action is not None
    assert action.units == tuple(np.flatnonzero(alive & ~kept))
    assert (kept != top).any()


def test_a_larger_penalty_prunes_more_at_a_step() -> None:
    for seed in range(3):
        view = history(made(seed=seed)[:7], EPOCHS)
        counts = []
        for penalty in (0, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1):
            action = BEP(penalty=penalty).decide(view)
            counts.append(len(action.units) if action else 0)
        assert counts == sorted(counts)
        assert counts[0] == 0
        assert counts[-1] == LAYOUT.total // 2
        assert len(set(counts)) > 3


def test_a_larger_penalty_finishes_earlier() -> None:
    spent = []
    for penalty in WORTH:
        actions, _, _ = life(BEP(penalty=penalty, every=2))
        spent.append(sum((EPOCHS - epoch) * len(action.units) for epoch, action in actions))
    assert spent == sorted(spent)
    assert len(set(spent)) == len(WORTH)


def test_what_looks_better_and_better_outlives_what_was_better() -> None:
    """One unit of each half rises, one falls: the last values say the opposite."""
    layout = Layout(("only",), (20,))
    draw = np.random.default_rng(0)
    base = np.linspace(1.0, 2.0, 20)
    records = []
    for epoch in range(9):
        values = base + 0.01 * draw.normal(size=20)
        values[9] = 1.2 + 0.5 * np.exp(-epoch / 4)
        values[10] = 1.8 - 0.5 * np.exp(-epoch / 4)
        records.append(record(epoch, layout, {KEY: values}))
    kept = BEP(penalty=10).decide(history(records, 20, layout))
    assert kept is not None
    assert 9 in kept.units
    assert 10 not in kept.units


def test_pure() -> None:
    """Twice, in another order, from files, whatever the global random states and threads."""
    records = made()
    view = history(records[:9], EPOCHS)
    penalties = (1e-3, 1e-2, 1e-2, 3e-2)
    first = [BEP(penalty=penalty).decide(view) for penalty in penalties]
    torch.manual_seed(3)
    np.random.seed(3)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()
    files = [one.to_bytes() for one in records[:9]]
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fresh = [Record.from_bytes(data) for data in files]
        again = [BEP(penalty=p).decide(history(fresh, EPOCHS)) for p in reversed(penalties)]
    finally:
        torch.set_num_threads(threads)
    assert again[::-1] == first
    assert len({action and action.units for action in first}) == 3
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]
    assert [one.to_bytes() for one in records[:9]] == files


def test_policies_of_other_settings_share_records_without_harm() -> None:
    records = made(key="taylor")[:9]
    for settings in (
        {},
        {"penalty": 0.03},
        {"ratio": 0.3},
        {"forecast": "independent"},
        {"standardize": "layer"},
        {"scope": "global"},
        {"seed": 3},
    ):
        policy = BEP(**{"penalty": 0.01, "saliency": "taylor"} | settings)
        fresh = [Record.from_bytes(one.to_bytes()) for one in records]
        for epochs in (EPOCHS, 30):
            shared, alone = (policy.decide(history(r, epochs)) for r in (records, fresh))
            assert shared == alone
            assert shared is not None


def test_its_samples_depend_on_both_seeds() -> None:
    records = made()[:9]
    policy = BEP(penalty=1e-3, samples=3)
    views = [history(records, EPOCHS), history(records, EPOCHS)]
    object.__setattr__(views[1], "seed", 1)
    units = {action.units for v in views if (action := policy.decide(v))}
    for seed in (1, 2):
        action = BEP(penalty=1e-3, samples=3, seed=seed).decide(views[0])
        assert action is not None
        units.add(action.units)
    assert len(units) == 4


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_what_was_no_number_goes_first(scope: str) -> None:
    """`Pruner` files what is no number as the lowest float32."""
    lowest = float(np.finfo(np.float32).min)
    records = []
    for epoch, values in enumerate(scores()[:9]):
        values[[3, 20]] = lowest
        if epoch == 4:
            values[:] = lowest
        if epoch == 5:
            values[50] = -lowest
        records.append(record(epoch, LAYOUT, {KEY: values}))
    action = BEP(penalty=1e-3, scope=scope).decide(history(records, EPOCHS))
    assert action is not None
    assert {3, 20} <= set(action.units)
    assert 50 not in action.units or scope == "layer"


def test_epochs_in_which_nothing_was_measured_are_left_out() -> None:
    """As in a user's loop, where the untrained network has no gradients."""
    records = made()[:9]
    holes = [record(0, LAYOUT, {}), *records[1:4], record(4, LAYOUT, {}), *records[5:]]
    assert BEP(penalty=0.01).decide(history(holes, EPOCHS)) is not None
    other = [record(0, LAYOUT, {KEY: np.arange(LAYOUT.total)}), *records[1:]]
    decided = [BEP(penalty=0.01).decide(history(r, EPOCHS)) for r in (records, other)]
    assert decided[0] == decided[1]


def test_refused() -> None:
    records = made()
    with pytest.raises(ValueError, match="bep needs to know how many epochs there are"):
        BEP().decide(history(records[:3]))
    lacking = [*records[:4], record(4, LAYOUT, {})]
    with pytest.raises(ValueError, match="saliency feature_taylor was not measured in epoch 4"):
        BEP().decide(history(lacking, EPOCHS))
    BEP().check(3)
    BEP(burn_in=0.85).check(EPOCHS)
    for policy, epochs in ((BEP(), 2), (BEP(), 1), (BEP(burn_in=0.95), EPOCHS)):
        with pytest.raises(ValueError, match=r"burn_in: .* of .* epochs before its last decision"):
            policy.check(epochs)


def test_indicator_is_the_share_that_is_left() -> None:
    records = [record(0, LAYOUT, {}), record(1, LAYOUT, {}, gone=range(18))]
    assert [BEP().indicator(history(records[:n])) for n in (1, 2)] == [1, 0.75]


def test_settings_round_trip() -> None:
    policy = BEP(penalty=1e-4, saliency="taylor", every=2, forecast="line", seed=4)
    written = specify(policy)
    assert parse(written) == policy
    assert set(written) == {"policy", "penalty", "saliency", "every", "forecast", "seed"}
    assert policy.action_key() == BEP(**policy.model_dump()).action_key()
    assert policy.action_key() != BEP(penalty=1e-4).action_key()


@pytest.mark.parametrize(("end", "last"), [(1.0, 11), (0.5, 6), (0.51, 7)])
def test_the_budget_is_met_at_the_end_that_was_set(end: float, last: int) -> None:
    policy = BEP(penalty=0.0, end=end, samples=50)
    assert policy.first_action(12) == (2, last)
    assert [policy.asks(epoch, 12, acted=True) for epoch in (last, last + 1)] == [True, False]


def test_an_end_before_the_first_step_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing could be forecast"):
        BEP(end=0.1, burn_in=0.2).check(20)
