"""What is found, what is refused and why, and that looking changes nothing."""

from __future__ import annotations

import copy
import time

import pytest
import torch
import torchvision
from networks import Averaged, Concat, Gated, HardView, Separable, Shuffle, Tied, cnn
from structure_cases import build
from torch import Tensor, nn

from pruning.structure.trace import trace_units
from pruning.structure.units import Units, UntraceableError

X = torch.randn(2, 1, 8, 8)


def described(units: Units) -> list[object]:
    return [
        (g.name, g.size, s.tensor, s.dim, s.role, s.unit.tolist(), s.index.tolist())
        for g in units.groups
        for s in g.slices
    ] + [units.refused]


def roles(units: Units, group: str) -> dict[tuple[str, int], str]:
    found = next(g for g in units.groups if g.name == group)
    return {(s.tensor, s.dim): s.role for s in found.slices}


def test_a_plain_network() -> None:
    units = trace_units(cnn(), X)
    assert units.layout.names == ("0.0", "1.0", "3.0", "4.0", "6.0")
    assert units.layout.sizes == (16, 32, 32, 64, 64)
    assert units.refused == {"9": "its units are the network's output"}
    assert roles(units, "1.0") == {
        ("1.0.weight", 0): "produce",
        ("1.1.weight", 0): "norm",
        ("1.1.bias", 0): "norm",
        ("1.1.running_mean", 0): "norm",
        ("1.1.running_var", 0): "norm",
        ("3.0.weight", 1): "consume",
    }


def test_residual_sum_is_one_group() -> None:
    model, x = build("resnet18")
    units = trace_units(model, x)
    produced = {t for (t, _), role in roles(units, "conv1").items() if role == "produce"}
    assert produced == {"conv1.weight", "layer1.0.conv2.weight", "layer1.1.conv2.weight"}


def test_grouped_convolutions() -> None:
    units = trace_units(Separable(), X)
    sizes = dict(zip(units.layout.names, units.layout.sizes, strict=True))
    # 4 conv-groups of 3 outputs feed 3 conv-groups of 4 inputs: only all of them can go together
    assert sizes["stem.0"] == 8
    assert sizes["mix.0"] == 1
    assert ("multi.0.weight", 0) in roles(units, "stem.0")
    assert roles(units, "stem.0")["mix.0.weight", 1] == "consume"
    model, x = build("regnet_y_400mf")
    by_name = {g.name: g for g in trace_units(model, x).groups}
    block = by_name["trunk_output.block1.block1-0.f.a.0"]
    assert block.size == model.trunk_output.block1[0].f.b[0].groups == 6
    assert all(len(s.index) % 6 == 0 and len(s.index) >= 48 for s in block.slices)


def test_concatenation_under_a_sum_is_two_groups() -> None:
    units = trace_units(Concat(), X)
    assert units.layout.names == ("sum", "sum#2")
    assert units.layout.sizes == (8, 4)
    assert roles(units, "sum")["act.weight", 0] == "produce"
    assert roles(units, "sum")["scale", 0] == "norm"


def test_tied_weights_are_tied_both_ways() -> None:
    units = trace_units(Tied(), X)
    assert dict(zip(units.layout.names, units.layout.sizes, strict=True)) == {
        "stem": 16,
        "free": 20,
    }
    found = roles(units, "stem")
    assert ("one.weight", 0) in found
    assert ("one.weight", 1) in found
    assert ("two.weight", 0) not in found


def test_transformers_lose_hidden_units_heads_and_their_stream() -> None:
    model, x = build("vit_b_16")
    units = trace_units(model, x, verify=False)
    sizes = dict(zip(units.layout.names, units.layout.sizes, strict=True))
    block = "encoder.layers.encoder_layer_0"
    assert sizes["conv_proj"] == 768
    assert sizes[f"{block}.self_attention"] == 12
    assert sizes[f"{block}.mlp.0"] == 3072
    stream = roles(units, "conv_proj")
    assert stream[f"{block}.ln_1.weight", 0] == "norm"
    assert stream["class_token", 2] == stream["encoder.pos_embedding", 2] == "norm"
    assert stream[f"{block}.self_attention.in_proj_weight", 1] == "consume"
    assert units.taken_together
    assert [(c.module, c.attribute, len(c.rows)) for c in units.counts] == [("", "hidden_dim", 768)]


def test_norms_over_channels_leave_out_what_is_gone() -> None:
    model, x = build("convnext_tiny")
    units = trace_units(model, x, verify=False)
    assert list(units.refused) == ["classifier.2"]
    assert roles(units, "features.0.0")["features.0.1.weight", 0] == "norm"


def test_hard_coded_view_is_refused() -> None:
    units = trace_units(HardView(), X)
    assert units.layout.names == ("conv.0",)
    assert "fails" in units.refused["wide.0"]
    assert "\n" not in units.refused["wide.0"]


def test_a_channel_shuffle_loses_the_same_of_each_group() -> None:
    units = trace_units(Shuffle(), X)
    sizes = dict(zip(units.layout.names, units.layout.sizes, strict=True))
    assert sizes["stem.0"] == 3
    (stem,) = (g for g in units.groups if g.name == "stem.0")
    assert stem.slices[0].unit.tolist() == [0, 1, 2] * 4
    small = torchvision.models.shufflenet_v2_x0_5()
    assert list(trace_units(small, torch.randn(1, 3, 32, 32)).refused) == ["fc"]


def test_halves_of_a_gate_go_together() -> None:
    units = trace_units(Gated(), X)
    assert units.layout.names == ("stem", "free")
    (stem,) = (g for g in units.groups if g.name == "stem")
    half = stem.size
    assert stem.slices[0].unit.tolist() == [*range(half), *range(half)]


def test_a_mean_over_channels_leaves_out_what_is_gone() -> None:
    units = trace_units(Averaged(), X)
    assert units.taken_together
    assert "stem.0" in units.layout.names


def test_protected_layers_stay() -> None:
    units = trace_units(cnn(), X, protect=["1"])
    assert units.refused["1.0"] == "protected"
    assert "1.0" not in units.layout.names
    with pytest.raises(ValueError, match=r"no module 'l\.0'; did you mean"):
        trace_units(cnn(), X, protect=["l.0"])


class Fails(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no such thing\nsecond line")


class Running(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(-1)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Linear(8, 3), "output"),
        (nn.Sequential(nn.Flatten(), nn.ReLU()), "no layer"),
        (nn.Sequential(nn.Linear(8, 4), Running(), nn.Linear(4, 2)), "cumsum"),
        (Fails(8, 3), "no such thing"),
        (nn.LSTM(8, 4, batch_first=True), "LSTM"),
    ],
)
def test_nothing_prunable(model: nn.Module, reason: str) -> None:
    x = torch.randn(2, 1, 8)
    with pytest.raises(UntraceableError, match=reason) as caught:
        trace_units(model, x)
    assert "\n" not in str(caught.value)


def test_order_counts_in_a_running_sum() -> None:
    model = nn.Sequential(nn.Linear(8, 6), Running(), nn.Linear(6, 5), nn.Linear(5, 2))
    units = trace_units(model, torch.randn(2, 8))
    assert units.layout.names == ("2",)
    assert units.refused["0"] == "a cumsum over channels in the code (1)"


def test_whole_groups_of_a_norm_go() -> None:
    model = nn.Sequential(nn.Conv1d(1, 8, 1), nn.GroupNorm(4, 8), nn.ReLU(), nn.Conv1d(8, 2, 1))
    units = trace_units(model, torch.randn(2, 1, 8))
    assert units.layout.sizes == (4,)
    assert units.groups[0].slices[0].unit.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_parametrized_weights_are_units() -> None:
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 6), nn.Linear(6, 2)
    )
    nn.utils.parametrizations.weight_norm(model[1])
    units = trace_units(model, X)
    assert units.layout.names == ("1", "3")


def test_model_and_random_state_are_untouched() -> None:
    model = cnn().train()
    model[0][1].eval()
    model[1][0].weight.requires_grad_(False)
    model(X).sum().backward()
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    before = copy.deepcopy(model.state_dict())
    grads = {n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}
    ids = {n: id(p) for n, p in model.named_parameters()}
    modes = [m.training for m in model.modules()]
    rng = torch.get_rng_state()
    trace_units(model, X)
    assert torch.equal(rng, torch.get_rng_state())
    assert modes == [m.training for m in model.modules()]
    assert ids == {n: id(p) for n, p in model.named_parameters()}
    assert not model[1][0].weight.requires_grad
    assert model[0][0].weight.requires_grad
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    for name, p in model.named_parameters():
        assert (p.grad is None) == (grads[name] is None)
        assert p.grad is None or torch.equal(p.grad, grads[name])
    assert not calls
    assert len(model._forward_hooks) == 1


def test_twice_the_same() -> None:
    for model in (Concat(), Separable(), build("efficientnet_b0")[0]):
        x = torch.randn(2, 3, 32, 32) if hasattr(model, "features") else X
        first = described(trace_units(model, x))
        assert described(trace_units(copy.deepcopy(model), x)) == first
        with torch.no_grad():
            assert described(trace_units(model.train(), x)) == first


def test_frozen_channels_last_and_half() -> None:
    expected = described(trace_units(cnn(), X))
    frozen = cnn().requires_grad_(False)
    assert described(trace_units(frozen, X)) == expected
    last = cnn().to(memory_format=torch.channels_last)
    assert described(trace_units(last, X)) == expected
    assert described(trace_units(cnn().bfloat16(), X.bfloat16())) == expected


def test_resnet50_takes_seconds() -> None:
    model, x = build("resnet50")
    start = time.perf_counter()
    trace_units(model, x)
    assert time.perf_counter() - start < 20


class TwoHeads(nn.Module):
    """As GoogLeNet's: one head is there in training only."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.head, self.aux = nn.Linear(8, 10), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.body(x)).relu().mean((2, 3))
        return self.head(x) + self.aux(x) if self.training else self.head(x)


def test_what_runs_in_training_only_is_refused_by_name() -> None:
    model = TwoHeads().train()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(UntraceableError, match="TwoHeads: 'aux' runs in training only"):
        trace_units(model, X)
    assert model.training
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())


class Spare(TwoHeads):
    """Its second head is never there."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.body(x)).relu().mean((2, 3)))


def test_a_layer_that_never_runs_is_in_nobodys_way() -> None:
    assert trace_units(Spare(), X).layout.names == ("body",)
