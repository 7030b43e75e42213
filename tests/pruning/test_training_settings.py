"""What a task can set of its training: each learns, resumes to the same bits, and is cut alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load
from small_tasks import assert_same_bits, digits_task, state_of

from pruning.errors import InputError
from pruning.export import load_network, write
from pruning.policies import Prune
from pruning.saliency import saliency
from pruning.training import snapshot
from pruning.training.loop import Training
from pruning.training.nested import decode, encode
from pruning.training.rehearsal import rehearse
from pruning.training.task import Task

PROBES = [saliency("taylor")]
UNITS = [0, 3, 8, 9, 10]
PAIR = {"name": "adamw", "lr": 0.003, "matrices": {"name": "muon", "lr": 0.02}}
SETTINGS: dict[str, dict[str, Any]] = {
    "muon and adamw": {"optimizer": PAIR},
    "a dotted path": {"optimizer": {"name": "torch.optim:RMSprop", "lr": 0.003}},
    "lists in groups": {"optimizer": {"name": "own_code:Aggregated", "lr": 0.05}},
    "clipped": {"clip_gradient": 0.5},
    "averaged": {"ema": 0.9},
    "own schedule": {"schedule": "own_code:triangle"},
    "asks": {"model": "own_code:asking_cnn", "ema": 0.8},
    "mnasnet": {
        "model": {"name": "torchvision:mnasnet0_5"},
        "data": {"source": "small_tasks:colours"},
        "optimizer": {"name": "sgd", "lr": 0.001},
        "batch_size": 8,
        "augment": {},
        "epochs": 3,
    },
}


@pytest.mark.parametrize("name", SETTINGS)
def test_it_resumes_to_the_same_bits(name: str) -> None:
    task = digits_task(**{"epochs": 3, **SETTINGS[name]})
    rehearse(task, 1)
    whole = Training(task, 1, PROBES)
    whole.begin()
    for epoch in range(3):
        if epoch == 1:
            whole.apply(Prune.of(UNITS))
        whole.epoch()
        if epoch == 1:
            taken = snapshot.take(whole)
            again = snapshot.resume(taken, task, 1, list(whole.pruner.records), tuple(PROBES))
            assert_same_bits(load(snapshot.take(again)), load(taken))
    again.epoch()
    assert_same_bits(state_of(again), state_of(whole))
    assert_same_bits(load(snapshot.take(again)), load(snapshot.take(whole)))
    assert again.pruner.records[-1].metrics == whole.pruner.records[-1].metrics
    if name == "asks":
        assert again.model[3].seen["calls"] == whole.model[3].seen["calls"] > 0
        assert again.model[3].seen["pair"] == (1, 2.5)


def test_an_average_is_evaluated_cut_and_exported(tmp_path: Any) -> None:
    task = digits_task(ema=0.9, augment={}, epochs=2)
    training = Training(task, 0)
    training.begin()
    weight = training.model[0].weight
    byhand, steps = weight.detach().clone(), 0
    step = training.step_optimizers

    def counted() -> None:
        nonlocal steps
        step()
        steps += 1
        byhand.lerp_(weight.detach(), 1 - min(0.9, (1 + steps) / (10 + steps)))

    training.step_optimizers = counted  # type: ignore[method-assign]
    training.epoch()
    assert training.average is not None
    assert torch.equal(training.average.copy[0].weight, byhand)
    live = {name: value.clone() for name, value in training.model.state_dict().items()}
    with training.averaged():
        assert torch.equal(weight, byhand)
        metrics = training._evaluate(training.data.validation, "val")
    assert metrics.items() <= training.pruner.records[-1].metrics.items()
    assert_same_bits(live, dict(training.model.state_dict()))
    training.apply(Prune.of(UNITS))
    assert training.average.copy[0].weight.shape == training.model[0].weight.shape
    write(training, tmp_path / "n.safetensors", "safetensors", {})
    assert torch.equal(
        load_network(tmp_path / "n.safetensors").model[0].weight, training.average.copy[0].weight
    )


def test_gradients_are_clipped_and_scores_are_not() -> None:
    norms: list[float] = []
    records = []
    for clip in (None, 0.01):
        training = Training(digits_task(clip_gradient=clip, epochs=1, batch_size=150), 0, PROBES)
        training.begin()
        training.optimizers[0].register_step_pre_hook(
            lambda o, *_: norms.append(
                float(torch.nn.utils.get_total_norm([p.grad for p in o.param_groups[0]["params"]]))
            )
        )
        records.append(training.epoch())
    assert norms[1] <= 0.0101 < norms[0]
    assert (records[0].probes["taylor"] == records[1].probes["taylor"]).all()


def test_an_extra_state_is_exported_with_its_network(tmp_path: Any) -> None:
    task = digits_task(model="own_code:asking_cnn", epochs=1)
    training = Training(task, 0)
    training.begin()
    training.epoch()
    write(training, tmp_path / "n.safetensors", "safetensors", {})
    found = load_network(tmp_path / "n.safetensors", trust=True).model
    assert found[3].seen["calls"] == training.model[3].seen["calls"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "state elsewhere": (
        {"optimizer": {"name": "own_code:Forgetful"}},
        "task.optimizer: 'own_code:Forgetful' keeps state where a snapshot does not find it",
    ),
    "flat history": ({"optimizer": "torch.optim:LBFGS"}, "task.optimizer: .*LBFGS"),
    "object": (
        {"model": {"name": "own_code:asking_cnn", "options": {"keep": "object"}}},
        "task.model: a snapshot of it cannot be taken .* holds a object",
    ),
    "frozen": ({"model": "small_tasks:frozen_cnn"}, "task.model: .* has no parameter that req"),
    "schedule": ({"schedule": "own_code:nothing"}, "task.schedule: .* has no 'nothing'"),
    "closure": (
        {"optimizer": "own_code:Closed"},
        "task.optimizer: .*Closed' cannot make a step",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_fail_every_trial_is_one_line_before(name: str) -> None:
    changes, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as error:
        rehearse(digits_task(**changes), 0)
    assert "\n" not in str(error.value)


def test_new_settings_change_no_old_address() -> None:
    assert digits_task().address() == digits_task(clip_gradient=None, ema=None).address()
    assert (
        "optimizer"
        not in Task.parse({"model": "small_cnn", "data": "digits", "epochs": 1}).identity()
    )


def test_containers_come_back() -> None:
    tensors: dict[str, torch.Tensor] = {}
    value = {"a": [1, (2.5, None)], 3: {"b": torch.arange(3)}, "c": b"\x00", "d": torch.float16}
    data = encode({**value, "e": [torch.ones(1)]}, "name", tensors)
    back = decode(data, tensors)
    assert list(tensors) == ["name.0", "name.1"]
    assert torch.equal(back[3]["b"], torch.arange(3))
    assert {k: back[k] for k in ("a", "c", "d")} == {k: value[k] for k in ("a", "c", "d")}
    with pytest.raises(ValueError, match="name holds a object, which cannot be stored"):
        encode([object()], "name", tensors)
