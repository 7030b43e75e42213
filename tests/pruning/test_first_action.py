"""When policies may first act, and which of them act alike: what a sweep is planned by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_histories import LAYOUT, counted, history, record, settling

from pruning import EPI, AtEpoch, Dense, Policy, Prune
from pruning import policy as parse
from pruning.history import Record
from pruning.policies import (
    EarlyBird,
    EarlyCroP,
    Gradual,
    Grasp,
    OCSPruner,
    Snip,
    Synflow,
    Triggered,
)
from pruning.saliency import WeightChange

EPOCHS = 12


def first(policy: Policy, records: list[Record], epochs: int = EPOCHS) -> tuple[int, Prune] | None:
    """When a policy first acts on these records, and how."""
    for end in range(1, min(len(records), epochs) + 1):
        action = policy.decide(history(records[:end], epochs))
        if action:
            return end - 1, action
    return None


def made(policy: Policy, seed: int, noise: float = 1.0) -> list[Record]:
    """The records of a made-up dense training; without noise it stands still."""
    scores = settling(policy, EPOCHS, seed)
    scores = [
        {key: values * noise + (1 - noise) * scores[0][key] for key, values in one.items()}
        for one in scores
    ]
    return [record(epoch, LAYOUT, one) for epoch, one in enumerate(scores)]


EPI_SETTINGS: list[dict[str, Any]] = [
    {"window": window, "earliest": earliest, "latest": latest}
    for window in (1, 3, 5, 11)
    for earliest in (0, 2, 4, 7, 11)
    for latest in (None, 0.01, 1 / 3, 0.5, 0.95, 1.0)
]


@pytest.mark.parametrize("settings", EPI_SETTINGS, ids=str)
def test_epi_acts_within_its_span_and_at_both_its_ends(settings: dict[str, Any]) -> None:
    span = EPI(threshold=0.9, **settings).first_action(EPOCHS)
    found: set[int] = set()
    for seed in range(4):
        for threshold in (0.5, 0.8, 0.9, 0.95, 1.0):
            for noise in (0.0, 1.0):
                policy = EPI(threshold=threshold, **settings)
                acted = first(policy, made(policy, seed, noise))
                found.add(acted[0] if acted else EPOCHS)
    assert span[0] <= min(found)
    assert max(found) <= span[1]
    # It stands still: the first indicator fires. Layers in turmoil: it never does.
    assert span[0] in found
    policy = EPI(threshold=1.0, floor=0, **settings)
    turmoil = counted(
        [(2, 17, 17) if epoch % 2 else (8, 3, 25) for epoch in range(EPOCHS + 1)],
        LAYOUT,
        "magnitude",
    )
    acted = first(policy, turmoil)
    assert (acted[0] if acted else EPOCHS) == span[1]


def made_to(policy: Triggered, moves: bool) -> list[Record]:
    """Records in which everything that triggers a policy stands still from the start, or never."""
    rising = np.arange(LAYOUT.total, dtype=np.float32)
    return [
        record(
            epoch,
            LAYOUT,
            {
                policy.saliency.key: rising[::-1] if moves and epoch % 2 else rising,
                WeightChange().key: np.array([epoch if moves else min(epoch, 1)], dtype=float),
            },
        )
        for epoch in range(EPOCHS + 1)
    ]


@pytest.mark.parametrize("kind", [EarlyBird, OCSPruner, EarlyCroP])
@pytest.mark.parametrize("window", [2, 3, 5, 10])
@pytest.mark.parametrize("earliest", [0, 1, 4, 11])
@pytest.mark.parametrize("latest", [None, 0.01, 1 / 3, 0.95, 1.0])
def test_the_triggered_act_at_both_ends_of_their_span(
    kind: type[Triggered], window: int, earliest: int, latest: float | None
) -> None:
    policy = kind(window=window, earliest=earliest, latest=latest)
    span = policy.first_action(EPOCHS)
    still, moving = (first(policy, made_to(policy, moves)) for moves in (False, True))
    assert still is not None
    assert (still[0], moving[0] if moving else EPOCHS) == span
    for seed in range(3):
        acted = first(policy, made(policy, seed))
        assert span[0] <= (acted[0] if acted else EPOCHS) <= span[1]


def test_gradual_and_foresight_act_when_they_say() -> None:
    for settings in ({}, {"begin": 0.0, "end": 0.9, "steps": 7}, {"steps": 1, "end": 0.3}):
        policy = Gradual(**settings)
        acted = first(policy, made(policy, 0))
        assert acted is not None
        assert policy.first_action(EPOCHS) == (acted[0], acted[0])
    for foresight in (Snip(), Grasp(), Synflow()):
        acted = first(foresight, made(foresight, 0))
        assert acted is not None
        assert acted[0] == 0
        assert foresight.first_action(EPOCHS) == (0, 0)


def test_the_published_settings_over_ninety_epochs() -> None:
    assert EPI().first_action(90) == (5, 30)
    assert EPI(latest=None).first_action(90) == (5, 90)
    assert EPI(earliest=13).first_action(90) == (13, 30)
    assert EarlyBird().first_action(90) == (4, 30)
    assert OCSPruner().first_action(90) == (3, 30)
    assert EarlyCroP().first_action(90) == (2, 30)
    assert Gradual().first_action(90) == (18, 18)


def test_the_others() -> None:
    assert Dense().first_action(9) is None
    assert AtEpoch(epoch=4).first_action(9) == (4, 4)
    assert parse({"policy": "own_code:LastUnits"}).first_action(9) == (0, 9)


ALIKE: list[dict[str, Any]] = [
    {},
    {"ratio": 0.3},
    {"saliency": "taylor"},
    {"saliency": {"name": "magnitude", "normalize": "none"}},
    {"scope": "layer"},
    {"floor": 0.2},
    {"round_to": 8},
]


def test_equal_keys_give_equal_actions() -> None:
    draw = np.random.default_rng(0)
    by_key: dict[Any, set[tuple[int, ...]]] = {}
    values = {
        key: draw.random(LAYOUT.total).astype(np.float32)
        for key in ("magnitude", "taylor", 'magnitude{"normalize":"none"}')
    }
    records = [record(epoch, LAYOUT, values) for epoch in range(4)]
    for settings in ALIKE:
        ranked = {"saliency": "magnitude", **settings}
        for policy in (
            AtEpoch(epoch=3, **settings),
            EPI(threshold=0.9, window=3, latest=None, **settings),
            EPI(threshold=0.8, window=2, earliest=3, latest=0.3, **settings),
            EarlyBird(window=4, **ranked),
            OCSPruner(window=3, **ranked),
            EarlyCroP(latest=0.25, **ranked),
        ):
            acted = first(policy, records)
            assert acted is not None
            assert acted[0] == 3
            by_key.setdefault(policy.action_key(), set()).add(acted[1].units)
    assert len(by_key) == len(ALIKE)
    assert all(len(units) == 1 for units in by_key.values())


def test_a_policy_that_ranks_or_cuts_in_its_own_way_is_like_no_other() -> None:
    class Inverted(AtEpoch):
        def scores(self, record: Record) -> Any:
            found = super().scores(record)
            return None if found is None else -found

    assert Inverted(epoch=1).action_key() == Inverted(epoch=2).action_key()
    assert Inverted(epoch=1).action_key() != AtEpoch(epoch=1).action_key()


def test_foresight_is_alike_by_its_saliency() -> None:
    at_start = AtEpoch(epoch=0, saliency="synflow")
    assert Synflow().action_key() == at_start.action_key() == Snip(saliency="synflow").action_key()
    assert len({Snip().action_key(), Grasp().action_key(), Synflow().action_key()}) == 3


def test_gradual_cuts_like_itself_only() -> None:
    assert Gradual().action_key() == Gradual(steps=4).action_key()
    assert Gradual().action_key() != Gradual(steps=3).action_key() != AtEpoch(epoch=1).action_key()


def test_by_default_a_policy_acts_like_itself_only() -> None:
    one, other = (parse({"policy": "own_code:LastUnits", "after": after}) for after in (1, 2))
    assert one.action_key() == parse({"policy": "own_code:LastUnits"}).action_key()
    assert one.action_key() != other.action_key()
    assert one.action_key() != Dense().action_key()
