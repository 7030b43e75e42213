"""Networks that something was done to, and such as no trace can follow."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune
from torch.nn.utils import weight_norm as old_weight_norm

from benchmarks.zoo.registry import CLASSES, Apply, Built, conv, head, network, pictures, vectors


def body() -> nn.Sequential:
    convolutions = (nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 24, 3), nn.ReLU())
    return nn.Sequential(*convolutions, nn.Conv2d(24, 12, 3), nn.ReLU(), head(12))


@network
def compiled() -> Built:
    model: nn.Module = torch.compile(body(), backend="eager")  # type: ignore[assignment]
    return model, pictures()


@network(refused="[Ss]cript")
def scripted() -> Built:
    return torch.jit.script(body()), pictures()


@network
def data_parallel() -> Built:
    return nn.DataParallel(body()), pictures()


@network
def weight_norm() -> Built:
    model = body()
    parametrizations.weight_norm(model[2])
    return model, pictures()


@network
def weight_norm_everywhere() -> Built:
    layers = [nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, CLASSES)]
    for layer in layers[::2]:
        parametrizations.weight_norm(layer)
    return nn.Sequential(*layers), vectors()


@network
def weight_norm_of_old() -> Built:
    model = body()
    old_weight_norm(model[2])
    model(*pictures())
    return model, pictures()


@network
def spectral_norm() -> Built:
    model = body()
    parametrizations.spectral_norm(model[2])
    return model, pictures()


@network
def spectral_norm_of_old() -> Built:
    model = body()
    torch.nn.utils.spectral_norm(model[2])
    return model, pictures()


@network
def orthogonal() -> Built:
    """Every weight of the layer depends on all others; the layers around it do not."""
    model = body()
    parametrizations.orthogonal(model[2])
    return model, pictures()


@network
def masked_weights() -> Built:
    model = body()
    prune.l1_unstructured(model[2], "weight", 0.3)
    return model, pictures()


@network
def lazy() -> Built:
    model = nn.Sequential(
        nn.LazyConv2d(16, 3), nn.ReLU(), nn.LazyConv2d(24, 3), nn.ReLU(), head(24)
    )
    model(*pictures())
    return model, pictures()


@network
def half_of_it_named() -> Built:
    """A width in a reshape behind one layer; the other layer is free."""

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.head = conv(3, 16), conv(16, 8), nn.Linear(8, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            seen = self.two(self.one(x))
            return self.head(seen.reshape(len(x), 8, -1).mean(2))

    return Named(), pictures()


@network(refused=r"fixed in its code|wrapped\.py")
def width_in_a_view() -> Built:
    flat = Apply(lambda x: functional.adaptive_avg_pool2d(x, 2).view(-1, 64))
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), flat, nn.Linear(64, CLASSES)), pictures()


@network(refused="random|same input")
def random_in_evaluation() -> Built:
    noise = Apply(lambda x: functional.dropout(x, 0.3))
    return nn.Sequential(conv(3, 16), noise, conv(16, 24), head(24)), pictures()


@network(refused="order|shuffle|reshape")
def shuffled_and_clamped() -> Built:
    """A shuffle of four groups in front of a mean, and an output that saturates."""

    def shuffle(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.view(n, 4, round(c / 4), h, w).transpose(1, 2).reshape(n, c, h, w)

    grouped = (nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3, groups=4), nn.ReLU())
    leave = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 1), nn.Hardtanh(0, 1))
    return nn.Sequential(*grouped, Apply(shuffle), *leave), pictures()


@network(refused="network's output")
def logistic() -> Built:
    """Nothing but its output."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 256, CLASSES)), pictures()
