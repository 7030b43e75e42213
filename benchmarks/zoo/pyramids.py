"""Down and up again."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.zoo.registry import Built, between, conv, head, network, pictures


class UNet(nn.Module):
    """Two levels; up by a transposed convolution or by interpolation."""

    def __init__(self, transposed: bool) -> None:
        super().__init__()
        self.one, self.two, self.deep = conv(3, 8), conv(8, 16), conv(16, 24)
        self.up_two: nn.Module = nn.Upsample(scale_factor=2)
        self.up_one: nn.Module = nn.Upsample(scale_factor=2)
        wide = (24, 16)
        if transposed:
            self.up_two, self.up_one = (nn.ConvTranspose2d(w, w, 2, 2) for w in wide)
        self.back_two, self.back_one = conv(40, 16), conv(24, 8)
        self.out = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.one(x)
        two = self.two(functional.max_pool2d(one, 2))
        deep = self.deep(functional.max_pool2d(two, 2))
        two = self.back_two(torch.cat([self.up_two(deep), two], 1))
        return self.out(self.back_one(torch.cat([self.up_one(two), one], 1)))


@network
def unet_transposed() -> Built:
    return UNet(True), pictures()


@network
def unet_interpolated() -> Built:
    return UNet(False), pictures()


class FeaturePyramid(nn.Module):
    """Maps of all levels, summed from above, with a head that all share."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList([conv(a, b, stride=2) for a, b in ((3, 8), (8, 16), (16, 24))])
        self.lateral = nn.ModuleList([nn.Conv2d(width, 12, 1) for width in (8, 16, 24)])
        self.smooth, self.head = conv(12, 12), nn.Conv2d(12, 4, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        sums = [self.lateral[-1](maps[-1])]
        for layer, below in zip(self.lateral[-2::-1], maps[-2::-1], strict=True):
            sums.append(layer(below) + functional.interpolate(sums[-1], scale_factor=2))
        return [self.head(self.smooth(one)) for one in sums]


@network
def feature_pyramid() -> Built:
    return FeaturePyramid(), pictures()


@network
def pixel_shuffle() -> Built:
    """Channels become places, four of them one."""
    return between(nn.Conv2d(16, 32, 3, padding=1), nn.PixelShuffle(2), out=8), pictures()


@network
def pixel_unshuffle() -> Built:
    return between(nn.PixelUnshuffle(2), out=64), pictures()


@network
def super_resolution() -> Built:
    """Ends in a PixelShuffle."""
    body = (conv(3, 16), conv(16, 16), nn.Conv2d(16, 12, 3, padding=1), nn.PixelShuffle(2))
    return nn.Sequential(*body), pictures()


@network
def transposed_grouped() -> Built:
    up = nn.ConvTranspose2d(16, 24, 2, 2, groups=4)
    return between(up, nn.BatchNorm2d(24), nn.ReLU(), out=24), pictures()


@network
def autoencoder() -> Built:
    down = (conv(3, 16, stride=2), conv(16, 8, stride=2))
    up = (nn.ConvTranspose2d(8, 16, 2, 2), nn.ReLU(), nn.ConvTranspose2d(16, 3, 2, 2))
    return nn.Sequential(*down, *up), pictures()


class Variational(nn.Module):
    """Draws around the mean while it trains, and takes the mean in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            conv(3, 16, stride=4), nn.Flatten(), nn.Linear(256, 24), nn.ReLU()
        )
        self.mean, self.log_variance = nn.Linear(24, 6), nn.Linear(24, 6)
        self.decoder = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 3 * 16 * 16))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen = self.encoder(x)
        mean, log_variance = self.mean(seen), self.log_variance(seen)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        drawn = mean + noise * (0.5 * log_variance).exp()
        return self.decoder(drawn).view_as(x), mean, log_variance


@network
def variational() -> Built:
    return Variational(), pictures()


class SpatialTransformer(nn.Module):
    """Turns and scales the picture as it thinks fit."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(conv(3, 8, stride=4), nn.Flatten(), nn.Linear(128, 16), nn.ReLU())
        self.theta = nn.Linear(16, 6)
        self.body = nn.Sequential(conv(3, 16), conv(16, 24), head(24))

    def forward(self, x: Tensor) -> Tensor:
        theta = self.theta(self.look(x)).view(-1, 2, 3)
        grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
        return self.body(functional.grid_sample(x, grid, align_corners=False))


@network
def spatial_transformer() -> Built:
    return SpatialTransformer(), pictures()
