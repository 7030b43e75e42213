"""Attention whose code takes widths off the tensors that it gets, in every order."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.zoo.registry import CLASSES, Built, Residual, network, pictures

WIDTH, HEADS = 32, 4


class Attention(nn.Module):
    """Of tokens [n, t, c]."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.out, self.heads = nn.Linear(WIDTH, WIDTH), HEADS

    def _parts(self, x: Tensor) -> tuple[Tensor, ...]:
        n, t, c = x.shape
        qkv = self.qkv(self.norm(x)).reshape(n, t, 3, self.heads, c // self.heads)
        return qkv.permute(2, 0, 3, 1, 4).unbind(0)


class Fused(Attention):
    """By torch's own function, which scales by the width of a head."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._parts(x)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(x.shape))


class HeadsLast(Attention):
    """Channel by channel, and of each all heads (NesT)."""

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        q, k, v = self._parts(x)
        share = (q @ k.transpose(-2, -1) / math.sqrt(c // self.heads)).softmax(-1)
        return self.out((share @ v).permute(0, 2, 3, 1).reshape(n, t, c))


class OverChannels(Attention):
    """Channels look at channels (XCiT, DaViT)."""

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        q, k, v = (part.transpose(-2, -1) for part in self._parts(x))
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        share = (q @ k.transpose(-2, -1)).softmax(-1)
        return self.out((share @ v).permute(0, 3, 1, 2).reshape(n, t, c))


class Biased(Attention):
    """With a bias for each head, and the width of a head as a number of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.size = WIDTH // HEADS
        self.bias = nn.Parameter(torch.zeros(HEADS, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        qkv = self.qkv(self.norm(x)).view(n, t, self.heads, 3 * self.size).transpose(1, 2)
        q, k, v = qkv.split([self.size] * 3, -1)
        share = (q @ k.transpose(-2, -1) * self.size**-0.5 + self.bias).softmax(-1)
        return self.out((share @ v).transpose(1, 2).reshape(n, t, c))


class Tokens(nn.Module):
    """[n, c, h, w] -> [n, h * w, c]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)


class Mean(nn.Module):
    """Over tokens."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def _of(attention: type[Attention]) -> Built:
    blocks = [Residual(attention()) for _ in range(2)]
    enter = (nn.Conv2d(3, WIDTH, 4, 4), Tokens())
    return nn.Sequential(*enter, *blocks, Mean(), nn.Linear(WIDTH, CLASSES)), pictures()


@network
def fused_attention() -> Built:
    return _of(Fused)


@network
def heads_last() -> Built:
    return _of(HeadsLast)


@network
def attention_over_channels() -> Built:
    return _of(OverChannels)


@network
def biased_attention() -> Built:
    return _of(Biased)


class ByBatchNorm(nn.Conv2d):
    """Its weights are standardized by a batch norm over what they read (NFNet, timm)."""

    def forward(self, x: Tensor) -> Tensor:
        flat = self.weight.reshape(1, self.out_channels, -1)
        weight = functional.batch_norm(flat, None, None, training=True, momentum=0.0)
        return functional.conv2d(x, weight.reshape_as(self.weight), self.bias, padding=1)


@network
def standardized_by_batch_norm() -> Built:
    body = (nn.Conv2d(3, 16, 3), nn.SiLU(), ByBatchNorm(16, 24, 3), nn.SiLU())
    leave = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, CLASSES))
    return nn.Sequential(*body, *leave), pictures()
