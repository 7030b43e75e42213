"""What the proof must find, whatever hides it, and what it must leave alone."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch
import torchvision
from networks import conv_bn
from torch import Tensor, nn

from pruning.structure.dry import NormShapes
from pruning.structure.layer_outputs import LayerOutputs, Place
from pruning.structure.network import Network
from pruning.structure.scramble import drawn_copy, scrambled_copy
from pruning.structure.trace import find_units, trace_units
from pruning.structure.units import UntraceableError

EVERY = int(os.environ.get("EARLYPRUNE_EVERY", "40"))
"""1 to try all seeds and networks."""

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Shuffle(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.view(n, 4, c // 4, h, w).transpose(1, 2).reshape(n, c, h, w)


class Sharp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(100 * x, 1)


def shuffled(outputs: int, *last: nn.Module) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(32, 32, 3, padding=1, groups=4), nn.ReLU(), Shuffle()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, outputs), *last),
    )


@pytest.mark.parametrize("seed", range(0, 50, EVERY))
@pytest.mark.parametrize("outputs", [1, 5])
@pytest.mark.parametrize(
    "last", [nn.Identity(), nn.Hardtanh(0, 1), nn.Tanh(), nn.Sigmoid(), Sharp()], ids=type
)
def test_no_saturation_hides_a_shuffle(last: nn.Module, outputs: int, seed: int) -> None:
    torch.manual_seed(seed)
    model, x = shuffled(outputs, last), torch.randn(2, 3, 16, 16)
    with pytest.raises(UntraceableError, match="a shuffle"):
        trace_units(model, x)


class Flat(nn.Module):
    """Takes a mean over channels, and lets nothing of it through."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(1, keepdim=True) + 1e3).clamp(0, 1)


def test_where_nothing_is_seen_nothing_is_proven() -> None:
    model = nn.Sequential(
        *(conv_bn(3, 8), nn.Conv2d(8, 16, 3), Flat(), nn.Conv2d(16, 12, 3), nn.Flatten()),
        *(nn.Linear(12 * 144, 6), nn.ReLU(), nn.Linear(6, 4)),
    )
    units = trace_units(model, X)
    assert "no disturbance of its units is seen" in units.refused["1"]
    assert units.layout.names == ("0.0", "3", "5")


class Table(nn.Module):
    """As Swin V2's: one layer reads a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("places", torch.randn(1, 5, 2))
        self.read, self.bias, self.head = nn.Linear(2, 16), nn.Linear(16, 1), nn.Linear(768, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1)) + self.bias(torch.relu(self.read(self.places))).mean()


def test_a_layer_may_read_a_buffer() -> None:
    assert trace_units(Table(), X).layout.names == ("read",)


class Centre(nn.Module):
    """Keeps a running centre, in training only."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(16))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.centre.mul_(0.9).add_(x.detach().mean((0, 2, 3)), alpha=0.1)
        return x


class Noise(nn.Module):
    """Adds noise of a fixed width, in training only."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn(16, 1, 1, dtype=x.dtype) if self.training else x


class Pull(torch.autograd.Function):
    """Its backward pass knows how wide it was."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient * torch.ones(16, 1, 1, dtype=gradient.dtype)


class Pulled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = Pull.apply(x)
        return out


def body(middle: nn.Module) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3), middle, nn.ReLU(), nn.Conv2d(16, 24, 3), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10)),
    )


@pytest.mark.parametrize(("make", "at"), [(Centre, "'1'"), (Noise, "'1'"), (Pulled, "(16)")])
def test_what_training_alone_needs_stays(make: Callable[[], nn.Module], at: str) -> None:
    network = Network(body(make()), X)
    why = network.units.refused["0"]
    assert "training fails without some of its units (RuntimeError: The size of tensor" in why
    assert at in why
    assert network.layout.names == ("3",)
    network.remove(range(12))
    network.model.train()(X).sum().backward()


class Fails(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            raise RuntimeError("wants targets")
        return x


def test_what_does_not_train_as_it_is_is_no_fault_of_a_cut() -> None:
    assert find_units(body(Fails()), X).layout.names == ("0", "3")


class Deep(nn.Module):
    """Without a norm its activations would grow."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(3 * 256, 16), nn.Linear(16, 4)
        self.blocks = nn.ModuleList(nn.Linear(16, 16) for _ in range(100))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.flatten(1))
        for block in self.blocks:
            x = x + block(torch.relu(x))
        return self.head(x)


def test_activations_stay_of_order_one() -> None:
    for model in (Deep(), torchvision.models.efficientnet_b4()):
        sizes: list[float] = []

        def see(place: Place, out: Tensor, sizes: list[float] = sizes) -> Tensor:
            sizes.append(float(out.abs().max()))
            return out

        x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
        copy = scrambled_copy(model, (x,), torch.float64)
        with torch.no_grad(), LayerOutputs(copy, see):
            copy(x)
        assert len(sizes) > 100
        assert min(sizes) > 0.01
        assert max(sizes) < 100


def test_no_two_channels_are_drawn_alike() -> None:
    weight = next(drawn_copy(nn.Linear(300, 1000), torch.float64).parameters())
    assert weight.unique().numel() < weight.numel()
    assert weight.unique(dim=0).shape == weight.unique(dim=1).shape == weight.shape


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.LayerNorm])
def test_norms_without_numbers_say_what_does_not_fit(norm: Callable[[int], nn.Module]) -> None:
    layer, given = norm(8).eval().to("meta"), torch.empty(2, 8, device="meta")
    with torch.no_grad(), NormShapes():  # type: ignore[no-untyped-call]
        assert layer(given).shape == given.shape
        with pytest.raises(RuntimeError):
            layer(given[:, :7])


@pytest.mark.parametrize(
    "name", [f"efficientnet_{k}" for k in "v2_m b7 v2_l v2_s b6 b5 b4 b3 b2 b1 b0".split()][::EVERY]
)
def test_nothing_right_is_refused(name: str) -> None:
    units = find_units(getattr(torchvision.models, name)(), torch.randn(2, 3, 32, 32))
    assert units.refused == {"classifier.1": "its units are the network's output"}
