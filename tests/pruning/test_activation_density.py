"""The activation-density policy: rounds by hand, its stages, what it refuses, a real training."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from made_histories import history, record
from small_tasks import digits_task
from torch import nn

from pruning import policy as parse
from pruning.history import Record
from pruning.policies import ActivationDensityPruning, Prune
from pruning.saliency import ActivationDensity, Magnitude
from pruning.structure.layout import Layout
from pruning.structure.network import Network
from pruning.training.models import small_cnn, small_mlp
from pruning.training.trial import Trial

SMALL = Layout(("first", "second"), (4, 6))
WIDE = Layout(("first", "second"), (64, 64))
L1 = Magnitude(norm="l1", normalize="none").key
OFTEN = ActivationDensityPruning(window=1, shortest=2, longest=3)
"""A round after every second epoch that changes little, and after every third."""


def densities(*layers: float | list[float], layout: Layout = SMALL) -> npt.NDArray[np.float32]:
    """One number for a whole layer, or one per unit."""
    return np.concatenate(
        [
            np.broadcast_to(np.asarray(layer, dtype=np.float32), (size,))
            for layer, size in zip(layers, layout.sizes, strict=True)
        ]
    )


def course(
    *epochs: npt.NDArray[np.float32], norms: npt.NDArray[np.float32] | None = None
) -> list[Record]:
    """Records of these densities, the untrained network's first."""
    l1 = np.zeros(SMALL.total, dtype=np.float32) if norms is None else norms
    probes = [{"activation_density": one, L1: l1} for one in epochs]
    return [record(epoch, SMALL, one) for epoch, one in enumerate(probes)]


def walk(
    policy: ActivationDensityPruning,
    epochs: list[npt.NDArray[np.float32]],
    total: int = 100,
    layout: Layout = SMALL,
) -> list[tuple[int, tuple[int, ...]]]:
    """The units that go, by epoch, if the network measures these densities."""
    records: list[Record] = []
    gone: list[int] = []
    actions = []
    for epoch, one in enumerate(epochs):
        l1 = np.arange(layout.total, dtype=np.float32)
        records.append(record(epoch, layout, {"activation_density": one, L1: l1}, gone))
        action = policy.decide(history(records, total, layout))
        if action:
            actions.append((epoch, action.units))
            gone += action.units
    return actions


def test_a_round_by_hand() -> None:
    """AD of 0.5 and 0.8 (+0.1/6): 2 of 4 and round(4.9) of 6 stay, the densest."""
    own = densities([0.9, 0.2, 0.5, 0.4], [1.0, 0.6, 0.9, 0.8, 0.7, 0.9])
    action = OFTEN.decide(history(course(own, own, own), 100, SMALL))
    assert action == Prune((1, 3, 5))
    assert not action.reinit
    assert action.warnings == ()


def test_equal_densities_are_told_apart_by_l1_norm_and_then_by_number() -> None:
    own = densities(0.5, 0.5)
    norms = np.array([1, 3, 2, 4, 5, 5, 5, 6, 5, 5], dtype=np.float32)
    action = OFTEN.decide(history(course(own, own, own, norms=norms), 100, SMALL))
    assert action == Prune((0, 2, 6, 8, 9))


def test_half_a_unit_is_rounded_up_and_the_least_stays() -> None:
    own = densities(0.375, 0.0)  # 1.5 of 4
    records = course(own, own, own)
    action = OFTEN.decide(history(records, 100, SMALL))
    assert action is not None
    assert len(action.units) == 2 + 5
    wide = ActivationDensityPruning(window=1, shortest=2, least=5, weights="reinit")
    action = wide.decide(history(records, 100, SMALL))
    assert action is not None
    assert action.reinit
    assert len(action.units) == 0 + 1  # the narrow layer keeps all its four


def test_rounds_follow_each_other_until_the_network_is_dense() -> None:
    half, most, full = densities(0.5, 0.5), densities(0.6, 1.0), densities(0.96, 0.95)
    rounds = walk(OFTEN, [half] * 3 + [most] * 3 + [full] * 6)
    assert rounds == [(2, (0, 1, 4, 5, 6)), (4, (2,))]


def test_there_are_so_many_rounds_and_no_more() -> None:
    """Never settled: every third epoch, counted from the last round."""
    moving = [densities(0.7, value, layout=WIDE) for value in (0.7, 0.8)] * 12
    assert [at for at, _ in walk(OFTEN, moving, layout=WIDE)] == [3, 6, 9, 12]
    twice = ActivationDensityPruning(window=1, shortest=2, longest=3, rounds=2)
    assert [at for at, _ in walk(twice, moving, layout=WIDE)] == [3, 6]


def test_a_round_that_changes_no_layer_is_the_last() -> None:
    """0.9 of 4 and 0.95 of 6 are all of them; what comes later does not matter."""
    assert walk(OFTEN, [densities(0.9, 0.95)] * 4 + [densities(0.1, 0.1)] * 8) == []


def test_the_untrained_network_is_no_epoch_of_a_stage() -> None:
    records = course(*[densities(0.5, 0.5)] * 3)
    assert OFTEN.decide(history(records[:1], 100, SMALL)) is None
    assert OFTEN.decide(history(records[:2], 100, SMALL)) is None
    assert OFTEN.decide(history(records, 100, SMALL)) is not None


def test_every_layer_must_have_settled() -> None:
    steady, drift = densities(0.5, 0.5), densities(0.5, 0.52)
    assert OFTEN.decide(history(course(steady, steady, drift), 100, SMALL)) is None
    forced = OFTEN.decide(history(course(steady, steady, drift, steady), 100, SMALL))
    assert forced is not None
    assert forced.warnings == (
        "activation densities had not settled: pruned after epoch 3 because of longest=3",
    )


@pytest.mark.parametrize(
    ("settings", "epochs", "expected"),
    [
        ({}, None, (5, 10, 50)),
        ({}, 400, (5, 10, 50)),
        ({}, 500, (5, 10, 50)),
        ({}, 200, (2, 5, 25)),
        ({}, 40, (1, 2, 5)),
        ({}, 5, (1, 2, 2)),
        ({"window": 3}, 40, (3, 4, 5)),
        ({"shortest": 9}, 40, (1, 9, 9)),
        ({"longest": 4}, 400, (5, 4, 4)),
    ],
)
def test_stages_are_shorter_in_shorter_trainings(
    settings: dict[str, Any], epochs: int | None, expected: tuple[int, int, int]
) -> None:
    policy = ActivationDensityPruning(**settings)
    assert policy.stages(epochs) == expected
    if epochs:
        assert policy.first_action(epochs) == expected[1:]


def test_it_acts_first_within_its_span() -> None:
    for settings in ({}, {"window": 3}, {"shortest": 6}, {"longest": 3}):
        policy = ActivationDensityPruning(**settings)
        for drift in (0.0, 0.015):
            made = [densities(0.1 + drift * epoch, 0.5) for epoch in range(40)]
            first = walk(policy, made, 40)[0][0]
            span = policy.first_action(40)
            assert span is not None
            assert first == span[1 if drift else 0]


def test_policies_that_cut_alike() -> None:
    key = ActivationDensityPruning().action_key()
    for same in ({"window": 2}, {"tolerance": 0.1}, {"longest": 3}, {"rounds": 1}):
        assert ActivationDensityPruning(**same).action_key() == key
    for other in ({"eps": 0.1}, {"least": 2}, {"weights": "reinit"}):
        assert ActivationDensityPruning(**other).action_key() != key


def test_the_indicator_is_the_smallest_density_of_a_layer() -> None:
    assert OFTEN.indicator(history([record(0, SMALL, {})], 100, SMALL)) is None
    own = densities([0.9, 0.2, 0.5, 0.4], 0.8)
    assert OFTEN.indicator(history(course(own), 100, SMALL)) == pytest.approx(0.5)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="shortest: 5 is not allowed: longest is 4"):
        parse({"policy": "activation_density", "shortest": 5, "longest": 4})
    ActivationDensityPruning().check(3)
    with pytest.raises(ValueError, match="first stage has 2 epochs at least; the training has 2"):
        ActivationDensityPruning().check(2)
    with pytest.raises(ValueError, match="was not measured in epoch 1: the network must be called"):
        OFTEN.decide(history([record(e, SMALL, {}) for e in range(3)], 100, SMALL))


@pytest.mark.parametrize("activation", [nn.GELU(), nn.LeakyReLU()], ids=str)
def test_a_network_without_zeros_is_refused_before_anything_starts(activation: nn.Module) -> None:
    layers = (nn.Linear(4, 6), activation, nn.Linear(6, 5), activation, nn.Linear(5, 2))
    network = Network(nn.Sequential(*layers), torch.zeros(2, 4))
    name = "gelu" if isinstance(activation, nn.GELU) else "leaky_relu"
    with pytest.raises(ValueError, match=rf"behind '0' is {name}; with eps > 0 values up to eps"):
        ActivationDensity().check(network)
    ActivationDensity(eps=0.05).check(network)
    linear = Network(nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 2)), torch.zeros(2, 4))
    for eps in (0.0, 0.1):
        with pytest.raises(ValueError, match=r"makes zeros, and '0' has none$"):
            ActivationDensity(eps=eps).check(linear)


def test_networks_with_zeros_somewhere_are_not_refused() -> None:
    ActivationDensity().check(Network(small_mlp((4,), 2, hidden=(3,)), torch.zeros(2, 4)))
    mixed = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    ActivationDensity().check(Network(mixed, torch.zeros(2, 4)))
    model = small_cnn((1, 8, 8), 2, widths=(4,), pool_after=())
    ActivationDensity().check(Network(model, torch.zeros(2, 1, 8, 8)))


def test_values_up_to_eps_count_as_zeros() -> None:
    activation = torch.tensor([[[0.0, 0.1, -0.1, 0.3], [2.0, -0.2, 0.0, 0.0]]])
    assert ActivationDensity().per_channel(activation, None).tolist() == [0.75, 0.5]
    assert ActivationDensity(eps=0.15).per_channel(activation, None).tolist() == [0.25, 0.5]


@pytest.mark.parametrize("weights", ["keep", "reinit"])
def test_a_real_training(weights: str) -> None:
    """Every round leaves each layer what its densities say, and the next one goes on from there."""
    policy = ActivationDensityPruning(window=1, shortest=2, longest=3, weights=weights)
    trial = Trial(digits_task(epochs=9), policy)
    while not trial.done:
        trial.step()
    records, layout = trial.training.pruner.records, trial.training.layout
    assert len(trial.actions) >= 2
    for epoch, action in trial.actions:
        assert isinstance(action, Prune)
        assert action.reinit == (weights == "reinit")
        one, after = records[epoch], records[epoch + 1]
        density, before = one.probes["activation_density"], layout.counts(one.alive)
        for name, kept, size in zip(layout.names, layout.counts(after.alive), before, strict=True):
            here = density[layout.slice_of(name)]
            assert kept == max(1, np.floor(size * np.nanmean(here, dtype=np.float64) + 0.5))
            stay = after.alive[layout.slice_of(name)]
            if kept < size:
                assert here[stay].min() >= np.nanmax(here[~stay])
    macs = [record.costs["macs"] for record in records]
    assert sum(macs[1:]) < 0.9 * macs[0] * (len(macs) - 1)
