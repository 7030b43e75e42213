"""Aims as settings: which policies take them, what is refused, what is said."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_tasks import digits_task
from torch import nn

from pruning import POLICIES, OneShot, Pruner, testing
from pruning import policy as parse
from pruning.actions import Prune
from pruning.policies.aim import NEAR
from pruning.structure.layout import Layout
from pruning.training.trial import Trial

SCOPES = ("global", "layer", "price")
ONE_SHOT = {
    name: {"at_epoch": {"epoch": 3}, "epi": {"window": 2, "threshold": 0.5}}.get(name, {})
    for name, kind in POLICIES.items()
    if issubclass(kind, OneShot)
}


def cut(**settings: Any) -> OneShot:
    found = parse({"policy": "at_epoch", "epoch": 0, **settings})
    assert isinstance(found, OneShot)
    return found


def test_few_costly_units_are_said_to_be_the_reason() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 10))
    policy = cut(aim={"params": 0.5}, scope="price", floor=0)
    pruner = Pruner(
        model, None, policy, example_input=torch.randn(2, 4), probes=policy.probes(), epochs=2
    )
    action = pruner.start()
    assert isinstance(action, Prune)
    assert action.warnings == (
        "missed the aim params:0.5: 0.455 of the dense network's parameters are left: units cost "
        "too much for a nearer choice",
    )
    assert sum(p.numel() for p in model.parameters()) == 25


@pytest.mark.parametrize("name", ONE_SHOT)
@pytest.mark.parametrize("scope", SCOPES)
def test_every_policy_that_takes_a_ratio_takes_an_aim(name: str, scope: str) -> None:
    given = {"policy": name, "aim": {"macs": 0.5}, "scope": scope, **ONE_SHOT[name]}
    for check in ("settings", "pure", "budget", "planning"):
        testing.CHECKS[check](parse(given))


@pytest.mark.parametrize("name", sorted(POLICIES.keys() - ONE_SHOT))
def test_the_others_refuse_it(name: str) -> None:
    with pytest.raises(ValueError, match=r"unknown field 'aim'"):
        parse({"policy": name, "aim": {"macs": 0.5}})


def test_gradual_goes_down_in_macs() -> None:
    given = {"policy": "gradual", "aim": {"macs": 0.4}, "begin": 0.0, "end": 0.7, "steps": 3}
    given["scope"] = "layer"  # by rank, the narrow layers of this network would leave few choices
    trial = Trial(digits_task(epochs=6), parse(given), seed=1)
    trial.run()
    dense = trial.records[0].costs["macs"]
    found = [trial.records[epoch + 1].costs["macs"] / dense for epoch, _ in trial.actions]
    way = [1 - 0.6 * (1 - (1 - step / 3) ** 3) for step in (1, 2, 3)]
    assert found == pytest.approx(way, rel=NEAR)


REFUSED = [
    ({"aim": {"macs": 0.5}, "ratio": 0.5}, "aim, ratio: both say how much goes; give one of them"),
    (
        {"aim": {"mcas": 0.5}},
        "aim: unknown price 'mcas'; did you mean 'macs'? (allowed: macs, params); your own is "
        "given as package.module:attribute",
    ),
    (
        {"aim": {"macs": 1.5}},
        "aim: {'macs': 1.5} is not allowed: the share of the dense network's that is left, such as "
        "{macs: 0.5}, is between 0 and 1",
    ),
    (
        {"aim": 0.5},
        "aim: 0.5 is not allowed: one price is aimed at, the share of the dense network's that is "
        "left, such as {macs: 0.5}",
    ),
    (
        {"aim": {"macs": 0.5, "params": 0.5}},
        "aim: {'macs': 0.5, 'params': 0.5} is not allowed: one price is aimed at, the share of the "
        "dense network's that is left, such as {macs: 0.5}",
    ),
    ({"scope": "price"}, "scope: price needs an aim, such as {macs: 0.5}, and no ratio"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        parse({"policy": "epi", **given})
    assert str(error.value) == message


def test_a_price_of_ones_own() -> None:
    policy = cut(aim={"own_code:Units": 0.5})
    assert policy.identity()["aim"] == {"own_code:Units": 0.5}
    layout = Layout(("a", "b"), (10, 30))
    model = nn.Sequential(
        nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 30), nn.ReLU(), nn.Linear(30, 2)
    )
    pruner = Pruner(model, None, policy, example_input=torch.randn(2, 4), epochs=2)
    pruner.start()
    assert pruner.network.layout.sizes == layout.sizes
    assert pruner.network.alive.sum() == 20


def test_what_it_is_known_by_is_the_aim() -> None:
    one, same, other = (cut(aim={"macs": share}) for share in (0.5, 0.5, 0.6))
    assert one.action_key() == same.action_key() != other.action_key()
    assert one.action_key() != cut(aim={"params": 0.5}).action_key() != cut().action_key()
    assert cut(**{k: v for k, v in one.identity().items() if k != "epoch"}) == one
