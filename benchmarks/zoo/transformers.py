"""Attention, written in the ways people write it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.zoo.registry import (
    CLASSES,
    Built,
    Residual,
    network,
    pictures,
    sequences,
    words,
)

WIDTH, HEADS = 16, 4


class LibraryAttention(nn.Module):
    """torch's own."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return mixed


class Fused(nn.Module):
    """One layer for queries, keys and values; cut as views, or into chunks."""

    def __init__(self, chunked: bool = False, causal: bool = False) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.chunked, self.causal = chunked, causal

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        if self.chunked:
            parts = self.qkv(x).chunk(3, -1)
            q, k, v = (part.view(n, t, HEADS, -1).transpose(1, 2) for part in parts)
        else:
            q, k, v = self.qkv(x).reshape(n, t, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).reshape(n, t, c))


class Separate(nn.Module):
    """A layer each; fewer heads of keys and values if they are shared; a turn by place (RoPE)."""

    def __init__(self, groups: int = HEADS, rotary: bool = False) -> None:
        super().__init__()
        self.size, self.groups, self.rotary = WIDTH // HEADS, groups, rotary
        self.query, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.key, self.value = (nn.Linear(WIDTH, groups * self.size) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self._split(layer(x)) for layer in (self.query, self.key, self.value))
        if self.rotary:
            q, k = _turned(q), _turned(k)
        if self.groups < HEADS:
            k, v = (one.repeat_interleave(HEADS // self.groups, 1) for one in (k, v))
        share = (q @ k.transpose(-2, -1) / self.size**0.5).softmax(-1)
        return self.out((share @ v).transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (-1, self.size)).transpose(1, 2)


def _turned(x: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    rate = 100 ** (-torch.arange(half, dtype=x.dtype) / half)
    angle = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] * rate
    one, other = x.chunk(2, -1)
    return torch.cat(
        [one * angle.cos() - other * angle.sin(), other * angle.cos() + one * angle.sin()], -1
    )


class Relative(Fused):
    """A table of biases by distance, a row a head (Swin)."""

    index: Tensor

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(2 * steps - 1, HEADS))
        place = torch.arange(steps)
        self.register_buffer("index", place[:, None] - place[None, :] + steps - 1)

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4)
        bias = self.table[self.index.view(-1)].view(t, t, HEADS).permute(2, 0, 1)
        share = (q @ k.transpose(-2, -1) * (c // HEADS) ** -0.5 + bias).softmax(-1)
        return self.out((share @ v).transpose(1, 2).reshape(n, t, c))


class Transformer(nn.Module):
    """Two blocks, norms first or last, and a mean over the steps."""

    def __init__(self, attention: type[nn.Module], *args: object, first: bool = True) -> None:
        super().__init__()
        self.enter, self.place = nn.Linear(8, WIDTH), nn.Parameter(torch.randn(1, 6, WIDTH))
        mlp = (nn.Linear(WIDTH, 32), nn.GELU(), nn.Linear(32, WIDTH))
        layers: list[nn.Module] = []
        for part in (attention(*args), nn.Sequential(*mlp)):
            norm = nn.LayerNorm(WIDTH)
            layers += [Residual(nn.Sequential(norm, part))] if first else [Residual(part), norm]
        self.blocks = nn.Sequential(*layers)
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.enter(x) + self.place)).mean(1))


@network
def transformer_library() -> Built:
    return Transformer(LibraryAttention), sequences()


@network
def transformer_fused() -> Built:
    return Transformer(Fused), sequences()


@network
def transformer_chunked() -> Built:
    return Transformer(Fused, True), sequences()


@network
def transformer_causal() -> Built:
    return Transformer(Fused, False, True), sequences()


@network
def transformer_separate() -> Built:
    return Transformer(Separate), sequences()


@network
def transformer_shared_keys() -> Built:
    """Grouped-query attention."""
    return Transformer(Separate, 2), sequences()


@network
def transformer_rotary() -> Built:
    return Transformer(Separate, HEADS, True), sequences()


@network
def transformer_relative() -> Built:
    return Transformer(Relative, 6), sequences()


@network
def transformer_norm_last() -> Built:
    return Transformer(Fused, first=False), sequences()


@network
def transformer_encoder() -> Built:
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 32, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return nn.Sequential(nn.Linear(8, WIDTH), encoder, nn.Linear(WIDTH, CLASSES)), sequences()


class Seq2Seq(nn.Module):
    """torch's encoder and decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(20, WIDTH), nn.Embedding(20, WIDTH)
        self.body = nn.Transformer(WIDTH, HEADS, 1, 1, 32, batch_first=True)
        self.head = nn.Linear(WIDTH, 20)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.head(self.body(self.source(source), self.target(target)))


@network
def sequence_to_sequence() -> Built:
    return Seq2Seq(), (*words(), *words())


class Vit(nn.Module):
    """Patches, a class token, learned places."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.place = nn.Parameter(torch.randn(1, 17, WIDTH))
        mlp = (nn.Linear(WIDTH, 32), nn.GELU(), nn.Linear(32, WIDTH))
        parts = (Fused(), nn.Sequential(*mlp))
        self.blocks = nn.Sequential(
            *(Residual(nn.Sequential(nn.LayerNorm(WIDTH), part)) for part in parts)
        )
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place
        return self.head(self.norm(self.blocks(x))[:, 0])


@network
def vit() -> Built:
    return Vit(), pictures()


class Gpt(nn.Module):
    """Tied embeddings, learned places, causal attention."""

    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(20, WIDTH), nn.Embedding(6, WIDTH)
        mlp = (nn.Linear(WIDTH, 32), nn.GELU(), nn.Linear(32, WIDTH))
        parts = (Fused(causal=True), nn.Sequential(*mlp))
        self.blocks = nn.Sequential(
            *(Residual(nn.Sequential(nn.LayerNorm(WIDTH), part)) for part in parts)
        )
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 20, bias=False)
        if tied:
            self.head.weight = self.words.weight

    def forward(self, x: Tensor) -> Tensor:
        places = torch.arange(x.shape[1], device=x.device)
        return self.head(self.norm(self.blocks(self.words(x) + self.places(places))))


@network
def gpt_tied() -> Built:
    return Gpt(True), words()


@network
def gpt_untied() -> Built:
    return Gpt(False), words()


class CrossAttention(nn.Module):
    """Learned queries read a picture (Perceiver)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, 4)
        self.latents = nn.Parameter(torch.randn(1, 5, WIDTH))
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 24), nn.GELU(), nn.Linear(24, WIDTH))
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.patches(x).flatten(2).transpose(1, 2)
        latents = self.latents.expand(len(x), -1, -1)
        mixed = self.attention(latents, seen, seen, need_weights=False)[0]
        return self.head((mixed + self.mlp(mixed)).mean(1))


@network
def cross_attention() -> Built:
    return CrossAttention(), pictures()


class LinearAttention(nn.Module):
    """Keys times values first (EfficientViT)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Conv2d(WIDTH, 3 * WIDTH, 1), nn.Conv2d(WIDTH, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        q, k, v = self.qkv(x).view(n, 2, 3 * c // 2, h * w).chunk(3, 2)
        q, k = torch.relu(q), torch.relu(k)
        mixed = (v @ k.transpose(-2, -1)) @ q / (k.sum(-1, keepdim=True).transpose(-2, -1) @ q + 1)
        return self.out(mixed.reshape(n, c, h, w))


@network
def linear_attention() -> Built:
    enter, leave = nn.Conv2d(3, WIDTH, 4, 4), nn.Linear(WIDTH, CLASSES)
    body = (enter, Residual(LinearAttention()), nn.AdaptiveAvgPool2d(1), nn.Flatten(), leave)
    return nn.Sequential(*body), pictures()
