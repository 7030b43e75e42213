"""Layers that mix places, and norms that mix channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.zoo.registry import CLASSES, Built, Residual, between, conv, head, network, pictures


class Transposed(nn.Module):
    """A module along the last but one dimension."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.transpose(1, 2)).transpose(1, 2)


class Mixer(nn.Module):
    """MLP-Mixer of two blocks."""

    def __init__(self, width: int = 16, places: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        along = nn.Sequential(nn.Linear(places, 24), nn.GELU(), nn.Linear(24, places))
        across = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))
        self.blocks = nn.Sequential(
            Residual(nn.Sequential(nn.LayerNorm(width), Transposed(along))),
            Residual(nn.Sequential(nn.LayerNorm(width), across)),
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(x)).mean(1))


@network
def mlp_mixer() -> Built:
    return Mixer(), pictures()


@network
def conv_mixer() -> Built:
    depth = Residual(conv(16, 16, 5, groups=16))
    return nn.Sequential(conv(3, 16, 3, 2), depth, conv(16, 16, 1), head(16)), pictures()


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of maps, in code (ConvNeXt)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        normed = (x - mean) / torch.sqrt(variance + 1e-6)
        return self.weight[:, None, None] * normed + self.bias[:, None, None]


class ResponseNorm(nn.Module):
    """Global response norm: every channel's size among all (ConvNeXt V2), channels last."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma, self.beta = (nn.Parameter(torch.zeros(1, 1, 1, width)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        size = x.norm(dim=(1, 2), keepdim=True)
        share = size / (size.mean(-1, keepdim=True) + 1e-6)
        return x + self.gamma * (x * share) + self.beta


class ConvNeXt(nn.Module):
    """Its block, with a scale a channel, or a response norm."""

    def __init__(self, width: int = 16, response: bool = False) -> None:
        super().__init__()
        self.depth = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm, self.up = nn.LayerNorm(width), nn.Linear(width, 4 * width)
        self.response = ResponseNorm(4 * width) if response else nn.Identity()
        self.down, self.gamma = nn.Linear(4 * width, width), nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = self.gamma * self.down(self.response(nn.functional.gelu(self.up(y))))
        return x + y.permute(0, 3, 1, 2)


@network
def convnext() -> Built:
    stem = nn.Sequential(nn.Conv2d(3, 16, 4, 4), ChannelNorm(16))
    return nn.Sequential(stem, ConvNeXt(), ConvNeXt(), head(16)), pictures()


@network
def convnext_response_norm() -> Built:
    stem = nn.Sequential(nn.Conv2d(3, 16, 4, 4), ChannelNorm(16))
    return nn.Sequential(stem, ConvNeXt(response=True), head(16)), pictures()


@network
def group_norm() -> Built:
    return between(nn.Conv2d(16, 24, 3), nn.GroupNorm(4, 24), nn.ReLU(), out=24), pictures()


@network
def group_norm_residual() -> Built:
    body = nn.Sequential(nn.GroupNorm(4, 16), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1))
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), Residual(body), nn.GroupNorm(4, 16), head(16)
    ), pictures()


@network
def one_group() -> Built:
    """LayerNorm over channels and places as a GroupNorm (PoolFormer)."""
    body = nn.Sequential(nn.GroupNorm(1, 16), nn.Conv2d(16, 32, 1), nn.GELU(), nn.Conv2d(32, 16, 1))
    return nn.Sequential(conv(3, 16), Residual(body), head(16)), pictures()


@network
def instance_norm() -> Built:
    norms = (
        nn.InstanceNorm2d(24, affine=True),
        nn.ReLU(),
        nn.Conv2d(24, 16, 3),
        nn.InstanceNorm2d(16),
    )
    return between(nn.Conv2d(16, 24, 3), *norms), pictures()


class RootMeanSquare(nn.Module):
    """RMSNorm in code (LLaMA)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def rows(norm: nn.Module) -> nn.Sequential:
    """An MLP with a residual stream and a norm before its branch and its head."""
    body = nn.Sequential(norm, nn.Linear(16, 32), nn.SiLU(), nn.Linear(32, 16))
    flat = (nn.Flatten(), nn.Linear(3 * 256, 16))
    return nn.Sequential(*flat, Residual(body), nn.LayerNorm(16), nn.Linear(16, CLASSES))


@network
def rms_norm() -> Built:
    return rows(nn.RMSNorm(16)), pictures()


@network
def rms_norm_in_code() -> Built:
    return rows(RootMeanSquare(16)), pictures()


@network
def norm_without_weights() -> Built:
    return rows(nn.LayerNorm(16, elementwise_affine=False)), pictures()


@network
def norm_over_places() -> Built:
    return between(nn.LayerNorm([16, 16, 16])), pictures()


@network
def local_response() -> Built:
    """A norm over neighbouring channels (AlexNet): which are neighbours counts."""
    return between(nn.LocalResponseNorm(3)), pictures()


class UnitLength(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(x, dim=1)


@network
def unit_length() -> Built:
    """Embeddings on a sphere."""
    body = (conv(3, 16), conv(16, 24), nn.AdaptiveAvgPool2d(1), nn.Flatten(), UnitLength())
    return nn.Sequential(*body, nn.Linear(24, CLASSES)), pictures()
