"""What a cut would leave is what it really leaves, and looking changes nothing."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from pruning import AtEpoch, Pruner
from pruning import saliency as parse
from pruning.inspection import inspect, without_units
from pruning.structure.inspection import layers
from pruning.training.models import build

CUTS = [
    AtEpoch(epoch=0, ratio=0.5),
    AtEpoch(epoch=0, ratio=0.5, scope="layer"),
    AtEpoch(epoch=0, ratio=0.3, saliency=parse({"name": "random"}), round_to=4),
]


def started(name: str = "small_resnet") -> Pruner:
    model = build(name, {}, (1, 8, 8), 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probes = [policy.saliency for policy in CUTS]
    pruner = Pruner(model, optimizer, example_input=torch.zeros(2, 1, 8, 8), probes=probes)
    pruner.start()
    return pruner


@pytest.mark.parametrize("name", ["small_resnet", "small_cnn", "small_mlp"])
@pytest.mark.parametrize("which", range(len(CUTS)))
def test_what_a_cut_would_leave_is_what_it_leaves(name: str, which: int) -> None:
    pruner = started(name)
    said = inspect(pruner, CUTS).cuts[which]
    action = CUTS[which].decide(pruner.history)
    assert action is not None
    pruner.apply(action)
    cost = pruner.network.cost()
    assert (said.units, said.params, said.macs) == (cost.units, cost.params, cost.macs)
    assert said.parts == {row.name: row.part for row in layers(pruner.network)}
    assert said.warnings == action.warnings


def test_the_inspected_network_stays_as_it_is() -> None:
    pruner = started()
    before = copy.deepcopy(pruner.network.model.state_dict())
    inspect(pruner, CUTS)
    after = pruner.network.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert pruner.network.alive.all()


def test_json_has_a_row_a_layer_with_what_each_cut_leaves() -> None:
    found = inspect(started(), CUTS)
    data = json.loads(json.dumps(found.to_json()))
    assert [cut["scope"] for cut in data["cuts"]] == ["global", "layer", "global"]
    for number, cut in enumerate(data["cuts"]):
        for figure in ("params", "macs"):
            assert cut[figure] == sum(row["left"][number][figure] for row in data["layers"])
    for share in ("unit_share", "param_share", "mac_share"):
        assert sum(row[share] for row in data["layers"]) == pytest.approx(1)
    head = next(row for row in data["layers"] if row["name"] == "8")
    assert (head["prunable"], head["reason"]) == (False, "its units are the network's output")
    assert (head["width"], head["left"][1]["width"]) == (10, 10)
    assert head["left"][1]["params"] == 32 * 10 + 10


def test_it_can_be_asked_again_after_a_cut() -> None:
    pruner = started()
    half = CUTS[1].decide(pruner.history)
    assert half is not None
    pruner.apply(half)
    pruner.measure()
    found = inspect(pruner, [AtEpoch(epoch=1, ratio=0.75, scope="layer")])
    assert found.units == pruner.network.layout.total // 2
    assert found.cuts[0].units == found.units // 2


class Refused(nn.Module):
    """Its only layer is its output."""

    def __init__(self) -> None:
        super().__init__()
        self.only = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.only(x)


class Helped(Refused):
    """A part of it runs in training only."""

    def forward(self, x: Tensor) -> Tensor:
        return self.only(x) if self.training else x[:, :3]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Refused(), "its units are the network's output"),
        (Helped(), "the network cannot be followed as a whole"),
    ],
)
def test_one_of_which_nothing_can_go_has_its_rows(model: nn.Module, reason: str) -> None:
    found = without_units(model, torch.zeros(2, 8), "why")
    assert [str(row.reason) for row in found.layers] == [reason]
    assert (found.units, found.params, found.why) == (0, 27, "why")
    assert found.to_json()["layers"][0]["unit_share"] == 0


def test_a_pruner_says_in_short_what_it_can_cut() -> None:
    lines = repr(started()).splitlines()
    assert lines[0].startswith("Pruner(None) of Sequential: 224 of 224 units left, in 6 groups: 0,")
    assert lines[1:] == ["  stays: 8: its units are the network's output"]


def test_the_width_of_an_attention_is_its_heads() -> None:
    model = VisionTransformer(8, 4, 1, 4, 16, 24, num_classes=3)
    example = torch.zeros(2, 3, 8, 8)
    pruner = Pruner(model, torch.optim.SGD(model.parameters(), lr=0.1), example_input=example)
    pruner.watch([CUTS[1].saliency])
    pruner.start()
    rows = {row["name"]: row for row in inspect(pruner, [CUTS[1]]).to_json()["layers"]}
    attention = rows["encoder.layers.encoder_layer_0.self_attention"]
    assert (attention["width"], attention["units"], attention["left"][0]["width"]) == (4, 4, 2)
