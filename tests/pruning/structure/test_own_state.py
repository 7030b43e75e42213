"""Tensors that modules keep of their last forward pass, and weights that are computed in one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from structure_cases import assert_equal, random_keep
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from pruning.structure.change import ignore
from pruning.structure.copies import copy_model, tensors_in
from pruning.structure.network import Network
from pruning.structure.shrink import shrink
from pruning.structure.trace import trace_units
from pruning.structure.units import UntraceableError

X = torch.randn(4, 3, 8, 8)


@dataclass
class Trail:
    loss: Tensor | None = None
    maps: list[Tensor] = field(default_factory=list)


class Keeping(nn.Module):
    """Keeps what it computes, by `keep`, in an attribute ``kept``."""

    def __init__(self, keep: Callable[[Any, Tensor], Any], start: Any = None) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3), nn.Linear(12, 4)
        self.keep, self.kept = keep, start

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.two(torch.relu(self.one(x))))
        self.kept = self.keep(self.kept, x)
        out: Tensor = self.head(x.mean((2, 3)))
        return out


def on_trail(kept: Trail, x: Tensor) -> Trail:
    return Trail(x.square().mean(), [*kept.maps[-1:], x])


KEEPING: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: Keeping(lambda _, x: x),
    "auxiliary loss": lambda: Keeping(lambda _, x: x.square().mean()),
    "list": lambda: Keeping(lambda kept, x: [*kept[-2:], x], []),
    "mapping of tuples": lambda: Keeping(lambda _, x: {"maps": (x, {"more": x.flatten(1)})}),
    "data class": lambda: Keeping(on_trail, Trail()),
}


def cut_alike(model: nn.Module, x: Any = X) -> tuple[str, ...]:
    """Cut half of a copy in double, exactly; the names of the groups."""
    model.eval()
    units = trace_units(model, x)
    keep = random_keep(units, 0.5, 0)
    reference = copy_model(model, lambda t: t.double() if t.is_floating_point() else t.clone())
    small = copy_model(reference, torch.clone)
    ignore(reference, units, ~keep)
    shrink(small, None, units, keep | True, keep)
    for expected, found in zip(
        tensors_in(reference(x.double())), tensors_in(small(x.double())), strict=True
    ):
        assert expected.abs().max() > 0
        assert_equal(found, expected)
    return units.layout.names


def trained_through_a_cut(model: nn.Module, x: Any = X) -> Network:
    """Two steps, a cut of half of everything, two more, and all weights move."""
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)

    def steps() -> None:
        for _ in range(2):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()

    steps()
    network = Network(model, x, optimizer)
    network.remove((~random_keep(network.units, 0.5, 0)).nonzero()[0])
    weights = {name: p for name, p in network.model.named_parameters() if "weight" in name}
    before = {name: p.detach().clone() for name, p in weights.items()}
    steps()
    assert not [name for name, p in weights.items() if torch.equal(p, before[name])]
    return network


@pytest.mark.parametrize("name", KEEPING)
def test_what_a_module_keeps_is_copied_detached(name: str) -> None:
    model = KEEPING[name]()
    model(X)
    kept = list(tensors_in(model.kept))
    assert kept
    assert all(not t.is_leaf for t in kept)
    twin = copy_model(model, torch.clone)
    for old, new in zip(kept, tensors_in(twin.kept), strict=True):
        assert not new.requires_grad
        assert torch.equal(old, new)
    assert cut_alike(model) == ("one", "two")
    trained_through_a_cut(model)


def test_what_is_kept_twice_is_one_tensor_in_the_copy() -> None:
    model = KEEPING["mapping of tuples"]()
    model(X)
    model.again = model.kept["maps"][0]
    twin = copy_model(model, torch.clone)
    assert twin.again is twin.kept["maps"][0]


def test_what_cannot_be_copied_is_said() -> None:
    model = KEEPING["plain"]()
    model.lock = threading.Lock()
    with pytest.raises(UntraceableError, match=r"^Keeping cannot be copied: TypeError: .*lock"):
        trace_units(model, X)


class Biased(nn.Module):
    """Attention that keeps its biases for evaluation, by its heads, as LeViT and TinyViT do."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = 4
        self.stem = nn.Linear(3, 16)
        self.q, self.k, self.v = (nn.Linear(16, 12) for _ in range(3))
        self.out, self.head = nn.Linear(12, 16), nn.Linear(16, 5)
        self.bias = nn.Parameter(torch.randn(4, 6))
        self.register_buffer("places", torch.arange(36).reshape(6, 6) % 6, persistent=False)
        self.cache: dict[str, Tensor] = {}

    def train(self, mode: bool = True) -> Biased:
        if mode:
            self.cache = {}
        return super().train(mode)

    def biases(self) -> Tensor:
        if self.training:
            return self.bias[:, self.places]
        if "here" not in self.cache:
            self.cache["here"] = self.bias[:, self.places]
        return self.cache["here"]

    def split(self, x: Tensor) -> Tensor:
        return x.view(len(x), 6, self.heads, -1).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        q, k, v = (self.split(layer(x)) for layer in (self.q, self.k, self.v))
        weights = (q @ k.transpose(-2, -1) + self.biases()).softmax(-1)
        seen = (weights @ v).transpose(1, 2).reshape(len(x), 6, -1)
        out: Tensor = self.head(torch.relu(self.out(seen)).mean(1))
        return out


@pytest.mark.parametrize("evaluated", [False, True])
def test_a_cache_of_attention_biases(evaluated: bool) -> None:
    model, x = Biased().eval(), torch.randn(2, 6, 3)
    if evaluated:
        model(x)
    network = Network(model, x)
    heads = {s.tensor for group in network.units.groups for s in group.slices}
    assert "bias" in heads
    network.remove((~random_keep(network.units, 0.5, 0)).nonzero()[0])
    assert not model.training
    here = model(x)
    model.cache = {}
    assert_equal(model(x), here)
    trained_through_a_cut(Biased(), x)


def body() -> nn.Sequential:
    first = (nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
    return nn.Sequential(
        *first, nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4)
    )


def masked(layer: nn.Module) -> None:
    prune.l1_unstructured(layer, "weight", 0.3)


def masked_twice(layer: nn.Module) -> None:
    prune.l1_unstructured(layer, "weight", 0.3)
    prune.random_unstructured(layer, "bias", 0.2)
    prune.random_unstructured(layer, "weight", 0.2)


def normed(layer: nn.Module) -> None:
    with pytest.warns(FutureWarning, match="weight_norm"):
        weight_norm(layer)


COMPUTED = [
    masked,
    masked_twice,
    normed,
    spectral_norm,
    parametrizations.weight_norm,
    parametrizations.spectral_norm,
    parametrizations.orthogonal,
]


@pytest.mark.parametrize("run_before", [False, True])
@pytest.mark.parametrize("compute", COMPUTED)
@pytest.mark.parametrize("layer", [0, 2, 4])
def test_computed_weights(
    compute: Callable[[nn.Module], Any], layer: int, run_before: bool
) -> None:
    model = body()
    compute(model[layer])
    if run_before:
        model(X)
    names = cut_alike(model)
    # the layer itself and what it reads stay, or all of it is exact
    assert set(names) >= {"0", "2", "4"} - {str(layer), str(max(0, layer - 2))}
    refused = trace_units(model, X).refused
    for name in {"0", "2", "4"} & set(refused):
        assert refused[name].startswith("its weights are computed from other parameters")
    trained_through_a_cut(model)


def test_masked_weights_are_cut_with_their_masks() -> None:
    model = body()
    masked(model[2])
    assert cut_alike(model) == ("0", "2", "4")
    network = trained_through_a_cut(model)
    assert network.model[2].weight_mask.shape == network.model[2].weight.shape == (4, 4, 3, 3)
    assert network.model[2].out_channels == 4


def test_masked_depthwise_convolution_keeps_its_groups_right() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1))
    model.append(nn.Flatten()).append(nn.Linear(64, 3))
    masked(model[1])
    assert "0" in cut_alike(model)
    trained_through_a_cut(model)
    assert model[1].groups == model[1].in_channels == model[1].weight.shape[0] == 4


def test_a_users_hooks_are_left_behind_and_the_modules_own_stay() -> None:
    model, seen = body(), []
    masked(model[0])
    model[0].register_forward_pre_hook(lambda *_: seen.append(1))
    twin = copy_model(model, torch.clone)
    twin[0].weight_mask.zero_()
    bare = twin(X)
    twin[0].weight_orig.fill_(7)
    assert torch.equal(twin(X), bare)
    assert not seen
