"""What `earlyprune inspect` is asked: a model by its name, a task, a sweep file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from pruning import InputError
from pruning.training.sizes import Size, usual_size
from pruning.training.task import ModelSpec, Task
from sweeps.file.sweep import read
from sweeps.planning.inspecting import cuts, of_model, of_sweep, of_task

DIGITS = Size((1, 8, 8), 10)
SMALL = {"name": "small_cnn", "options": {"widths": [8, 12], "pool_after": [0]}}
TASK = {"model": SMALL, "data": {"source": "digits", "train_limit": 128}, "epochs": 2}


class Single(nn.Module):
    """Nothing of it can be cut."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.only = nn.Linear(shape[0] * shape[1] * shape[2], classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.only(x.flatten(1))


def test_a_model_with_both_scopes() -> None:
    found = of_model(ModelSpec(name="small_mlp"), DIGITS, cuts(0.5, "magnitude", None))
    assert [cut.policy.scope for cut in found.found.cuts] == ["global", "layer"]
    by_layer = {name: part.width for name, part in found.found.cuts[1].parts.items()}
    assert by_layer == {"1": 128, "3": 64, "5": 10}
    data = found.to_json()
    assert (data["model"], data["shape"], data["classes"]) == ("small_mlp", [1, 8, 8], 10)


def test_a_model_of_which_nothing_can_go() -> None:
    found = of_model(ModelSpec(name="test_inspecting:Single"), DIGITS, cuts(0.5, "magnitude", None))
    assert found.found.why == (
        "no unit of Single can be removed: its units are the network's output"
    )
    assert [layer.name for layer in found.found.layers] == ["only"]


def test_what_is_measured_on_data_needs_data() -> None:
    taylor = cuts(0.5, "taylor", "layer")
    with pytest.raises(InputError, match=r"--data: missing; saliency taylor is measured on data"):
        of_model(ModelSpec(**SMALL), DIGITS, taylor)
    found = of_task(Task.parse(TASK), taylor).found
    assert found.cuts[0].units == 10
    with pytest.raises(InputError, match=r"batch_norm_scale needs a batch norm"):
        of_model(ModelSpec(name="small_mlp"), DIGITS, cuts(0.5, "batch_norm_scale", None))


@pytest.mark.parametrize(
    ("ratio", "saliency", "message"),
    [
        (1.5, "magnitude", "ratio: 1.5 is not allowed"),
        (0.5, "magnitud", "did you mean 'magnitude'"),
    ],
)
def test_a_cut_that_does_not_fit_is_refused(ratio: float, saliency: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cuts(ratio, saliency, None)


def test_a_sweep_has_the_cuts_of_its_policies(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    policies = [
        "dense",
        {"policy": "at_epoch", "epoch": {"grid": [0, 1]}, "ratio": {"grid": [0.25, 0.5]}},
        {"policy": "epi", "window": 1, "ratio": 0.5, "scope": "layer", "saliency": "taylor"},
    ]
    file.write_text(yaml.safe_dump({"name": "a", "task": TASK, "policies": policies}))
    found = of_sweep(read(file)).found
    assert [(cut.policy.ratio, cut.policy.scope, cut.units) for cut in found.cuts] == [
        (0.25, "global", 15),
        (0.5, "global", 10),
        (0.5, "layer", 10),
    ]
    given = of_sweep(read(file), cuts(0.3, "magnitude", "layer")).found
    assert [cut.policy.ratio for cut in given.cuts] == [0.3]


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("small_cnn", (1, 8, 8), 10),
        ("resnet18_cifar", (3, 32, 32), 10),
        ("torchvision:resnet18", (3, 224, 224), 1000),
        ("torchvision:inception_v3", (3, 299, 299), 1000),
        ("torchvision:vit_h_14", (3, 224, 224), 1000),
        ("torchvision:r3d_18", (3, 16, 112, 112), 400),
        ("torchvision:mvit_v2_s", (3, 16, 224, 224), 400),
        ("torchvision:no_such", (3, 224, 224), 1000),
        ("mine:net", (3, 224, 224), 1000),
    ],
)
def test_the_size_that_a_model_is_made_for(name: str, shape: tuple[int, ...], classes: int) -> None:
    assert usual_size(name) == Size(shape, classes)


@pytest.mark.parametrize(
    ("columns", "loss", "told"),
    [(1, "mse", "6, 1 target"), (4, "bce_with_logits", "6, 4 targets"), (1, None, "6, 2 classes")],
)
def test_what_the_data_have_is_told(
    tmp_path: Path, columns: int, loss: str | None, told: str
) -> None:
    x = np.random.default_rng(0).normal(size=(80, 6))
    y = x[:, :columns] > 0
    np.savez(tmp_path / "set.npz", x=x, y=y[:, 0].astype(int) if loss is None else y.astype(float))
    task = {"model": "small_mlp", "data": f"npz:{tmp_path / 'set.npz'}", "epochs": 1}
    found = of_task(Task.parse(task | ({"loss": loss} if loss else {})), cuts(0.5, None, "layer"))
    assert str(found.size) == told
    assert found.to_json()["targets"] == (columns if loss else 0)


def test_a_network_is_left_in_its_mode_and_no_random_state_is_touched() -> None:
    state = torch.get_rng_state()
    of_model(ModelSpec(**SMALL), DIGITS, cuts(0.5, "random", None))
    assert torch.equal(state, torch.get_rng_state())
