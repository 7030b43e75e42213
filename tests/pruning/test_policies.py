"""The contract of every policy, built in or a user's, and how policies are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_histories import LAYOUT, history, noise, record, settling
from small_tasks import digits_task

from pruning import EPI, POLICIES, AtEpoch, Dense, InputError, Magnitude, Policy, Prune, Taylor
from pruning import policy as parse
from pruning.history import Record
from pruning.policies import Gradual, Triggered
from pruning.policies.foresight import Foresight
from pruning.policies.registry import specify
from pruning.training.trial import Trial

EPOCHS = 12
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "at_epoch": [
        {"epoch": 0},
        {"epoch": 3, "ratio": 0.3, "saliency": "taylor"},
        {"epoch": 5, "saliency": {"name": "magnitude", "normalize": "none"}, "scope": "layer"},
        {"epoch": 11, "ratio": 0.97, "floor": 0.1, "round_to": 4},
        {"epoch": 2, "saliency": "own_code:ByNumber"},
    ],
    "epi": [
        {"threshold": 0.9, "window": 3, "latest": None},
        {"saliency": {"name": "taylor", "form": "weights"}, "earliest": 2, "ratio": 0.7},
        {"saliency": {"name": "random", "seed": 3}, "threshold": 0.5, "window": 2},
    ],
    "early_bird": [{}, {"threshold": 0.02, "window": 2, "saliency": "magnitude", "latest": 0.5}],
    "early_crop": [{}, {"threshold": 0.1, "window": 3, "saliency": "taylor", "earliest": 5}],
    "ocspruner": [{}, {"threshold": 0.9, "window": 2, "scope": "layer", "latest": 1.0}],
    "gradual": [
        {},
        {"begin": 0.0, "end": 0.9, "steps": 9, "ratio": 0.9},
        {"steps": 1, "scope": "layer", "floor": 0.2},
        {"round_to": 4, "ratio": 0.7},
    ],
    "activation_density": [
        {},
        {"window": 3, "tolerance": 0.2, "longest": 5, "rounds": 2, "weights": "reinit"},
        {"eps": 0.1, "shortest": 4, "least": 3, "target": 0.5},
    ],
    "snip": [{}, {"ratio": 0.75, "scope": "layer"}],
    "synflow": [{}, {"saliency": {"name": "synflow", "rounds": 5}, "round_to": 8}],
    "own_code:LastUnits": [{}, {"after": 4}],
}
"""Settings to try beside the defaults; a policy without an entry is tried as it comes."""

NOT_BY_HISTORY_ALONE = {"small_from_scratch", "uniform", "bayes_factor"}
"""They take a reference, or mask single weights: tried on real trainings, in test_contract."""

CASES = [
    {"policy": name} | settings
    for name in [*POLICIES, "own_code:LastUnits"]
    if name not in NOT_BY_HISTORY_ALONE
    for settings in SETTINGS.get(name, [{}])
]


def walk(policy: Policy, epochs: int = EPOCHS) -> tuple[list[tuple[int, Prune]], list[Record]]:
    """A policy's whole life on a made-up training: its actions by epoch, and the records."""
    records: list[Record] = []
    actions: list[tuple[int, Prune]] = []
    gone: set[int] = set()
    for epoch, scores in enumerate(settling(policy, epochs - 1)):
        records.append(record(epoch, LAYOUT, scores, sorted(gone)))
        action = policy.decide(history(records, epochs))
        if action:
            actions.append((epoch, action))
            assert not gone & set(action.units)
            gone |= set(action.units)
    return actions, records


@pytest.fixture(params=CASES, ids=lambda case: "-".join(map(str, case.values())))
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    given: dict[str, Any] = request.param
    return given


def test_pure_and_deterministic(case: dict[str, Any]) -> None:
    policy = parse(case)
    actions, records = walk(policy)
    assert walk(parse(case))[0] == actions
    before = [one.to_bytes() for one in records]
    state = np.random.get_state()[1].tolist()
    for seen in range(1, len(records) + 1):
        view = history(records[:seen], EPOCHS)
        assert policy.decide(view) == policy.decide(view)
        assert policy.indicator(view) == policy.indicator(view)
    assert [one.to_bytes() for one in records] == before
    assert np.random.get_state()[1].tolist() == state


def test_survives_a_restart(case: dict[str, Any]) -> None:
    policy = parse(case)
    actions, records = walk(policy)
    by_epoch = dict(actions)
    for seen in range(1, len(records) + 1):
        again = [Record.from_bytes(one.to_bytes()) for one in records[:seen]]
        assert parse(case).decide(history(again, EPOCHS)) == by_epoch.get(seen - 1)


def test_settings_round_trip_through_yaml(case: dict[str, Any]) -> None:
    yaml = pytest.importorskip("yaml")
    policy = parse(case)
    written = yaml.safe_dump(specify(policy))
    again = parse(yaml.safe_load(written))
    assert again == policy
    assert type(again) is type(policy)
    assert yaml.safe_dump(specify(again)) == written
    assert written.startswith(f"policy: {case['policy']}") or f"policy: {case['policy']}" in written


def test_respects_its_ratio_and_leaves_every_layer_alive(case: dict[str, Any]) -> None:
    policy = parse(case)
    actions, _ = walk(policy)
    gone = [unit for _, action in actions for unit in action.units]
    alive = np.ones(LAYOUT.total, dtype=bool)
    alive[gone] = False
    counts = LAYOUT.counts(alive)
    assert (counts >= 1).all()
    assert all(action.units == tuple(sorted(action.units)) for _, action in actions)
    if not isinstance(policy, AtEpoch | Triggered | Foresight | Gradual):
        return
    assert len(actions) == 1 or isinstance(policy, Gradual)
    assert (counts >= np.floor(policy.floor * np.asarray(LAYOUT.sizes))).all()
    asked = round(policy.ratio * LAYOUT.total)
    if policy.round_to > 1:
        assert len(gone) <= asked
        assert all(c % policy.round_to == 0 for c in counts)
    else:
        assert len(gone) == asked


def test_random_histories_never_empty_a_layer(case: dict[str, Any]) -> None:
    for seed in range(5):
        draw = np.random.default_rng(seed)
        policy = parse(case)
        records = []
        for epoch in range(EPOCHS):
            records.append(record(epoch, LAYOUT, noise(policy, draw)))
            action = policy.decide(history(records, EPOCHS))
            if action:
                alive = np.ones(LAYOUT.total, dtype=bool)
                alive[list(action.units)] = False
                assert (LAYOUT.counts(alive) >= 1).all()


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_at_epoch_prunes_at_its_epoch_only(epoch: int) -> None:
    actions, _ = walk(AtEpoch(epoch=epoch))
    assert [at for at, _ in actions] == [epoch]


def test_dense_never_prunes() -> None:
    assert walk(Dense())[0] == []
    assert list(Dense().probes()) == []


def test_a_layer_on_its_floor_is_a_warning() -> None:
    policy = AtEpoch(epoch=0, ratio=0.4, floor=0.25)
    scores = np.concatenate([np.zeros(8), np.ones(24), np.ones(40)]).astype(np.float32)
    action = policy.decide(history([record(0, LAYOUT, {"magnitude": scores})]))
    assert action is not None
    (warning,) = action.warnings
    assert warning.startswith("layer 'first' stands on its floor: 2 of 8 units are left (")
    assert "scope: layer" in warning
    assert "earlyprune inspect" in warning


def test_a_saliency_that_was_not_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="saliency taylor was not measured in epoch 0; in a loop"):
        AtEpoch(epoch=0, saliency="taylor").decide(history([record(0, LAYOUT, {})]))


def test_a_saliency_is_a_name_or_a_mapping() -> None:
    by_name = parse({"policy": "at_epoch", "epoch": 1, "saliency": "taylor"})
    assert isinstance(by_name, AtEpoch)
    assert by_name.saliency == Taylor()
    given = {"name": "magnitude", "normalize": "none"}
    by_mapping = parse({"policy": "epi", "saliency": given})
    assert isinstance(by_mapping, EPI)
    assert by_mapping.saliency == Magnitude(normalize="none")
    assert specify(by_mapping) == {"policy": "epi", "saliency": given}


def test_own_code_by_dotted_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code in a package of the user's prunes a real training."""
    source = (Path(__file__).parent / "own_code.py").read_text()
    (tmp_path / "the_package").mkdir()
    (tmp_path / "the_package" / "policies_of_mine.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    module = "the_package.policies_of_mine"
    own = parse({"policy": f"{module}:LastUnits", "after": 0})
    assert specify(own) == {"policy": f"{module}:LastUnits", "after": 0}
    trial = Trial(digits_task(epochs=1), own)
    trial.step()
    assert trial.actions == [(0, Prune((7, 15, 31, 63)))]

    saliency = {"name": f"{module}:ByNumber", "factor": 2.0}
    ours = parse(
        {"policy": "at_epoch", "epoch": 0, "saliency": saliency, "floor": 0, "ratio": 0.25}
    )
    assert specify(ours)["saliency"] == saliency
    trial = Trial(digits_task(epochs=1), ours)
    trial.step()
    assert trial.actions == [(0, Prune((*range(7), *range(8, 15), 16, 17)))]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"policy": "at_epoch", "epoch": 1, "ratoi": 0.5},
            "unknown field 'ratoi'; did you mean 'ratio'? (allowed: ",
        ),
        (
            {"policy": "at_epoch", "epoch": 1, "ratio": 1.5},
            "ratio: 1.5 is not allowed: input should be less than 1",
        ),
        (
            {"policy": "at_epoch", "epoch": 1, "ratio": 0},
            "ratio: 0 is not allowed: input should be greater than 0",
        ),
        (
            {"policy": "at_epoch", "epoch": "soon"},
            "epoch: 'soon' is not allowed: input should be a valid integer",
        ),
        ({"policy": "at_epoch"}, "epoch: missing; this field must be given"),
        ({"policy": "epi", "saliency": "random"}, "threshold: must be given for saliency 'random'"),
        (
            {"policy": "epi", "saliency": "taylr"},
            "saliency: unknown saliency 'taylr'; did you mean 'taylor'? ",
        ),
        (
            {"policy": "epi", "saliency": {"name": "taylor", "from": "auto"}},
            "saliency: unknown field 'from'; did you mean 'form'?",
        ),
        (
            {"policy": "epi", "saliency": 3},
            "saliency: a saliency is a name or a mapping with a name, not 3",
        ),
        (
            {"policy": "epi", "scope": "glob"},
            "scope: 'glob' is not allowed: input should be 'global', 'layer' or 'price'",
        ),
        (
            {"policy": "at_epok"},
            "unknown policy 'at_epok'; did you mean 'at_epoch'? (allowed: ",
        ),
        (
            {"policy": "no_such_package:Mine"},
            "'no_such_package:Mine' does not import (ModuleNotFoundError: ",
        ),
        ({"policy": "own_code:Nothing"}, "module 'own_code' has no 'Nothing'"),
        (
            {"policy": "own_code:not_a_policy"},
            "'own_code:not_a_policy' is not a pruning.policies.base.Policy",
        ),
        ({"ratio": 0.5}, "a policy is a name or a mapping with 'policy: name', not {'ratio': 0.5}"),
    ],
)
def test_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        parse(given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    if "policy" in given and given["policy"] in POLICIES:
        assert isinstance(error.value, InputError)


def test_an_epoch_beyond_the_training_is_refused() -> None:
    AtEpoch(epoch=4).check(5)
    with pytest.raises(ValueError, match=r"epoch: 5 is not allowed: .* 5 epochs \(allowed: 0 to 4"):
        AtEpoch(epoch=5).check(5)


def test_equal_scores_throughout_are_a_warning() -> None:
    scores = np.ones(LAYOUT.total, dtype=np.float32)
    action = AtEpoch(epoch=0).decide(history([record(0, LAYOUT, {"magnitude": scores})]))
    assert action is not None
    assert "saliency magnitude was the same for all units: which went is chance" in action.warnings
