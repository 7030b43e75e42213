"""A trial: its summary, and that its result depends on nothing but itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_tasks import ADAMW, assert_same_bits, digits_task, state_of

from pruning import EPI, AtEpoch, Dense, InputError, Policy
from pruning.history import Record
from pruning.training import snapshot
from pruning.training.trial import Trial

COLUMNS = {
    "prune_epochs",
    "sparsity",
    "unit_sparsity",
    "weight_sparsity",
    "params",
    "macs",
    "train_flops",
    "val_accuracy",
    "test_accuracy",
    "train_seconds",
    "probe_seconds",
    "chance",
    "decide_seconds",
    "total_seconds",
    "warnings",
}
TIMES = {name for name in COLUMNS if name.endswith("seconds")}


def but_for_times(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name not in TIMES}


def results(trial: Trial) -> list[Any]:
    """All that a record says but the seconds, NaN made comparable."""
    return [
        (
            record.epoch,
            record.alive.tolist(),
            {name: np.nan_to_num(v, nan=-9).tolist() for name, v in record.probes.items()},
            record.metrics,
            record.test,
            record.costs,
        )
        for record in trial.records
    ]


def test_the_summary_of_a_dense_trial() -> None:
    trial = Trial(digits_task(epochs=2), Dense())
    summary = trial.run()
    assert set(summary) == COLUMNS
    assert (summary["prune_epochs"], summary["sparsity"], summary["unit_sparsity"]) == ([], 0, 0)
    assert summary["params"] == sum(p.numel() for p in trial.training.model.parameters())
    assert summary["macs"] == 8 * 9 * 64 + 8 * 8 * 9 * 16 + 16 * 8 * 9 * 4 + 16 * 32 + 32 * 10
    assert summary["train_flops"] == 6 * summary["macs"] * 6 * 32 * 2
    assert summary["val_accuracy"] == trial.records[-1].metrics["val_accuracy"]
    assert summary["test_accuracy"] == trial.records[-1].test["test_accuracy"]
    assert 0 < summary["train_seconds"] < summary["total_seconds"]
    assert (summary["probe_seconds"], summary["warnings"]) == (0, [])
    assert summary["chance"]["val_samples"] == len(trial.training.data.validation)
    assert trial.done


def test_the_summary_of_a_pruned_trial() -> None:
    dense = Trial(digits_task(epochs=3), Dense()).run()
    trial = Trial(digits_task(epochs=3), AtEpoch(epoch=1, ratio=0.5, saliency="taylor"))
    summary = trial.run()
    assert summary["prune_epochs"] == [1]
    assert summary["unit_sparsity"] == 0.5
    assert summary["params"] < dense["params"]
    assert summary["macs"] < dense["macs"]
    assert summary["sparsity"] == 1 - summary["params"] / dense["params"]
    assert summary["train_flops"] == 6 * 192 * (dense["macs"] + 2 * summary["macs"])
    assert summary["probe_seconds"] > 0
    assert summary["decide_seconds"] > 0


def test_every_epoch_is_judged_on_both_splits() -> None:
    trial = Trial(digits_task(epochs=1), Dense())
    record = trial.step()
    assert set(record.metrics) == {"train_loss", "train_accuracy", "val_loss", "val_accuracy"}
    assert set(record.test) == {"test_loss", "test_accuracy"}
    assert all(0 <= value <= 1 for name, value in record.metrics.items() if "accuracy" in name)
    assert trial.history.last.test == {}


def test_it_learns() -> None:
    plain = {"name": "small_cnn", "options": {"widths": [8, 16, 16], "pool_after": [0, 1]}}
    task = digits_task(model=plain, augment={}, data="digits", epochs=6)
    summary = Trial(task, AtEpoch(epoch=2, ratio=0.3)).run()
    assert summary["test_accuracy"] > 0.8
    assert summary["val_accuracy"] > 0.8


@pytest.mark.parametrize("optimizer", [{"name": "sgd", "lr": 0.1}, ADAMW], ids=["sgd", "adamw"])
def test_two_runs_have_the_same_bits_whatever_ran_before(optimizer: dict[str, Any]) -> None:
    task = digits_task(optimizer=optimizer, epochs=3)
    policy = AtEpoch(epoch=1, saliency="taylor")
    first = Trial(task, policy, seed=2)
    first.run()
    torch.manual_seed(77)
    Trial(digits_task(epochs=1, augment={}), Dense(), seed=9).run()
    np.random.default_rng(0).random(10)
    torch.rand(10)
    second = Trial(task, policy, seed=2)
    second.run()
    assert results(first) == results(second)
    assert_same_bits(state_of(first.training), state_of(second.training))
    other = Trial(task, policy, seed=3)
    other.run()
    assert results(other) != results(first)


def test_trials_side_by_side_do_not_disturb_each_other() -> None:
    task = digits_task(epochs=2)
    alone = Trial(task, AtEpoch(epoch=1), seed=1)
    alone.run()
    one, other = Trial(task, AtEpoch(epoch=1), seed=1), Trial(task, Dense(), seed=2)
    while not one.done:
        one.step()
        other.step()
    assert results(one) == results(alone)
    assert_same_bits(state_of(one.training), state_of(alone.training))


def test_the_dense_part_is_the_same_for_every_policy() -> None:
    """Why the epochs before a cut can be shared."""
    task = digits_task(epochs=3)
    dense, early, late = (
        Trial(task, policy) for policy in (Dense(), AtEpoch(epoch=1), AtEpoch(epoch=2))
    )
    for trial in (dense, early, late):
        trial.run()
    assert [r.metrics for r in early.records[:2]] == [r.metrics for r in dense.records[:2]]
    assert [r.metrics for r in late.records[:3]] == [r.metrics for r in dense.records[:3]]
    assert early.records[2].metrics != dense.records[2].metrics


@pytest.mark.parametrize("stop", [1, 2, 3])
@pytest.mark.parametrize(
    "policy",
    [
        AtEpoch(epoch=2, saliency="taylor"),
        EPI(window=1, threshold=1.0, latest=0.5, saliency={"name": "random"}),
    ],
    ids=["at_epoch", "epi"],
)
def test_interrupted_and_resumed(policy: Policy, stop: int) -> None:
    if isinstance(policy, EPI):
        policy = EPI(window=2, threshold=1.0, latest=0.5, ratio=0.4)
    task = digits_task()
    whole = Trial(task, policy, seed=4)
    summary = whole.run()
    begun = Trial(task, policy, seed=4)
    for _ in range(stop):
        begun.step()
    data = snapshot.take(begun.training)
    records = tuple(Record.from_bytes(record.to_bytes()) for record in begun.records)
    resumed = Trial(task, policy, 4, snapshot_data=data, records=records)
    assert but_for_times(resumed.run()) == but_for_times(summary)
    assert len(summary["prune_epochs"]) == 1
    assert results(resumed) == results(whole)
    assert_same_bits(state_of(resumed.training), state_of(whole.training))


def test_a_forced_cut_warns_in_the_summary() -> None:
    policy = EPI(window=3, threshold=1.0, latest=0.5)
    summary = Trial(digits_task(), policy).run()
    assert summary["prune_epochs"] == [2]
    assert summary["warnings"][0].startswith("EPI never reached 1: pruned after epoch 2")


def test_global_states_are_left_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    numpy_state = np.random.get_state()[1].tolist()
    deterministic = torch.are_deterministic_algorithms_enabled()
    Trial(digits_task(epochs=2), AtEpoch(epoch=1, saliency="random")).run()
    assert torch.equal(state, torch.get_rng_state())
    assert np.random.get_state()[1].tolist() == numpy_state
    assert torch.are_deterministic_algorithms_enabled() == deterministic


def test_a_task_is_known_by_what_differs_from_the_defaults() -> None:
    plain = digits_task()
    assert digits_task(precision="float32").address() == plain.address()
    assert digits_task(epochs=5).address() != plain.address()
    with pytest.raises(InputError, match="unknown field 'epoch'; did you mean 'epochs'"):
        digits_task(epoch=5)
    with pytest.raises(InputError, match="epochs: 0 is not allowed"):
        digits_task(epochs=0)
