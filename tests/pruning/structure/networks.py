"""Small networks for the tests: one a difficulty."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv_bn(inp: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU())


def cnn() -> nn.Module:
    pool = nn.MaxPool2d(2)
    return nn.Sequential(
        *(conv_bn(1, 16), conv_bn(16, 32), pool, conv_bn(32, 32), conv_bn(32, 64), pool),
        *(conv_bn(64, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )


def mlp() -> nn.Module:
    layers = (nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 10))
    return nn.Sequential(nn.Flatten(), *layers)


class Residual(nn.Module):
    """Two blocks with a sum, one of them with a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(1, 16)
        self.a = nn.Sequential(conv_bn(16, 12), nn.Conv2d(12, 16, 3, padding=1))
        self.b = nn.Sequential(conv_bn(16, 24, stride=2), nn.Conv2d(24, 32, 3, padding=1))
        self.down = nn.Conv2d(16, 32, 1, stride=2)
        self.head = nn.Linear(32 * 4 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.relu(x + self.a(x))
        x = torch.relu(self.down(x) + self.b(x))
        return self.head(x.flatten(1))


class Separable(nn.Module):
    """Depthwise with and without a multiplier, and a real grouped convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(1, 8)
        self.depth = conv_bn(8, 8, groups=8)
        self.multi = conv_bn(8, 16, groups=8)
        self.mix = conv_bn(16, 24, 1)
        self.group = conv_bn(24, 12, groups=4)
        self.up = nn.ConvTranspose2d(12, 6, 2, stride=2, groups=3)
        self.head = nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.group(self.mix(self.multi(self.depth(self.stem(x)))))
        return self.head(self.up(x).mean((2, 3)))


class Concat(nn.Module):
    """A concatenation that is summed with another layer, behind PReLU and a transposed conv."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = nn.Conv2d(1, 12, 3, padding=1)
        self.a = nn.Conv2d(1, 8, 3, padding=1)
        self.b = nn.ConvTranspose2d(1, 4, 3, padding=1)
        self.act = nn.PReLU(12)
        self.scale = nn.Parameter(torch.ones(12, 1, 1))
        self.head = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.a(x), self.b(x)], 1) + self.sum(x)
        return self.head((self.act(y) * self.scale).mean((2, 3)))


class Tied(nn.Module):
    """One weight under two names, one layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(64, 16)
        self.one = nn.Linear(16, 16)
        self.two = nn.Linear(16, 16)
        self.two.weight = self.one.weight
        self.free = nn.Linear(16, 20)
        self.head = nn.Linear(20, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x.flatten(1)))
        x = torch.relu(self.two(torch.relu(self.one(x))))
        x = torch.relu(self.two(x))
        return self.head(torch.relu(self.free(x)))


class HardView(nn.Module):
    """Flattens to a number written in the code."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv_bn(1, 8)
        self.wide = conv_bn(8, 6)
        self.fc = nn.Linear(6 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.avg_pool2d(self.wide(self.conv(x)), 2)
        return self.fc(x.view(-1, 96))


class Shuffle(nn.Module):
    """Shuffles and splits channels in between."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(1, 12)
        self.left = conv_bn(6, 6)
        self.free = conv_bn(12, 10)
        self.head = nn.Linear(10, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        a, b = x.chunk(2, 1)
        x = torch.cat([self.left(a), b], 1)
        return self.head(self.free(x).mean((2, 3)))


class Gated(nn.Module):
    """A gate made of the other half of the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(64, 24)
        self.free = nn.Linear(12, 16)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.free(nn.functional.glu(self.stem(x.flatten(1))))))


class Averaged(nn.Module):
    """Averages over the channels of one layer and reads them besides."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(1, 8)
        self.conv = conv_bn(8, 8)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head((self.conv(x) + x.mean(1, keepdim=True)).mean((2, 3)))
