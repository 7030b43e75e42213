"""Densities of feature maps, as they are watched, against plain hooks on the modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pruning.meter import Meter
from pruning.saliency import ActivationDensity, FeatureTaylor
from pruning.saliency.watching import Watcher
from pruning.structure.network import Network
from pruning.structure.survey import survey
from pruning.training.models import small_cnn, small_mlp

DENSITY = ActivationDensity()


def watched(network: Network, x: Tensor) -> Tensor | None:
    """Densities [alive units] of one step of training."""
    watcher = Watcher(network, [DENSITY], Meter())
    network.model.train()
    network.model(x).sum().backward()
    watcher.close()
    return watcher.take(DENSITY.key)


def densities_behind(
    model: nn.Module, kinds: type[nn.Module] | tuple[type[nn.Module], ...]
) -> list[tuple[str, Tensor]]:
    """By a hook on each of these modules: its name and densities, at every call."""
    found: list[tuple[str, Tensor]] = []

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def add(_: nn.Module, __: Any, out: Tensor) -> None:
            others = [d for d in range(out.dim()) if d != 1]
            found.append((name, (out.detach() != 0).double().mean(others)))

        return add

    for name, module in model.named_modules():
        if isinstance(module, kinds):
            module.register_forward_hook(hook(name))
    return found


def group(network: Network, values: Tensor, name: str) -> list[float]:
    scattered = network.scatter(values)[network.layout.slice_of(name)]
    return scattered[np.isfinite(scattered)].tolist()


def mean(parts: Iterable[Tensor]) -> list[float]:
    return pytest.approx(torch.stack(list(parts)).mean(0).tolist())  # type: ignore[return-value]


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_plain_cnn_before_and_after_units_go(batch_norm: bool) -> None:
    options: dict[str, Any] = {"widths": (6, 8), "pool_after": (0,), "hidden": (10,)}
    model = small_cnn((3, 8, 8), 4, batch_norm=batch_norm, dropout=0.5, **options)
    network = Network(model, torch.zeros(2, 3, 8, 8))
    by_hook = densities_behind(model, nn.ReLU)
    for gone in ([], [0, 4, 7, 20], [1, 23]):
        network.remove(gone)
        by_hook.clear()
        found = watched(network, torch.randn(5, 3, 8, 8))
        assert found is not None
        assert found.tolist() == pytest.approx(torch.cat([one for _, one in by_hook]).tolist())
        assert found.min() < found.max()


def test_a_watcher_goes_on_when_units_go() -> None:
    model = small_mlp((4,), 3, hidden=(6, 5))
    network = Network(model, torch.zeros(2, 4))
    watcher = Watcher(network, [DENSITY], Meter())
    by_hook = densities_behind(model, nn.ReLU)
    model(torch.randn(7, 4))
    network.remove([2, 8])
    assert watcher.take(DENSITY.key) is None  # those were of other units
    by_hook.clear()
    model(torch.randn(7, 4))
    found = watcher.take(DENSITY.key)
    assert found is not None
    assert found.tolist() == pytest.approx(torch.cat([one for _, one in by_hook]).tolist())


def test_the_stages_of_a_resnet_are_means_over_their_blocks() -> None:
    """torchvision uses one ReLU module twice a block, and in place."""
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.resnet18(num_classes=3)
    network = Network(model, torch.zeros(2, 3, 32, 32))
    for gone in ([], [3, 5, 70, 300, 301]):
        network.remove(gone)
        by_hook = densities_behind(model, nn.ReLU)
        found = watched(network, torch.randn(4, 3, 32, 32))
        assert found is not None
        stem, *blocks = [one for _, one in by_hook]
        names = [name for name, _ in by_hook]
        assert names[:5] == ["relu", *["layer1.0.relu"] * 2, *["layer1.1.relu"] * 2]
        for stage in range(4):
            inner, outer = blocks[4 * stage : 4 * stage + 4 : 2], blocks[4 * stage + 1 :: 2][:2]
            for block in range(2):
                name = f"layer{stage + 1}.{block}.conv1"
                assert group(network, found, name) == mean([inner[block]])
            tied = "conv1" if stage == 0 else f"layer{stage + 1}.0.conv2"
            assert group(network, found, tied) == mean([*([stem] if stage == 0 else []), *outer])


def test_depthwise_layers_count_with_those_they_are_tied_to() -> None:
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.mobilenet_v2(num_classes=3, width_mult=0.25)
    network = Network(model, torch.zeros(2, 3, 32, 32))
    by_hook = densities_behind(model, nn.ReLU6)
    found = watched(network, torch.randn(4, 3, 32, 32))
    assert found is not None
    bent = dict(by_hook)
    for one in network.units.groups:
        convs = {s.tensor.removesuffix(".weight") for s in one.slices if s.role == "produce"}
        sites = [bent[relu] for conv in convs if (relu := conv[:-1] + "2") in bent]
        expected = mean(sites) if sites else [1.0] * one.size  # a linear bottleneck
        assert group(network, found, one.name) == expected
    assert group(network, found, "features.2.conv.2") == [1.0] * 8


def test_concatenations_are_known_again_behind_their_norm() -> None:
    models = pytest.importorskip("torchvision").models
    model = models.DenseNet(4, (3, 2), num_init_features=8, bn_size=2, num_classes=3)
    network = Network(model, torch.zeros(2, 3, 32, 32))
    network.remove([1, 9, 17, 22])
    by_hook = densities_behind(model, nn.ReLU)
    ends: list[Tensor] = []
    model.features.norm5.register_forward_hook(
        lambda _, __, out: ends.append((out.detach() > 0).double().mean((0, 2, 3)))
    )
    found = watched(network, torch.randn(6, 3, 32, 32))
    assert found is not None
    behind = dict(by_hook)
    block = "features.denseblock1.denselayer"
    readers = [behind[f"{block}{k}.relu1"] for k in (1, 2, 3)] + [
        behind["features.transition1.relu"]
    ]
    widths = dict(zip(network.layout.names, network.layout.counts(network.alive), strict=True))
    start = 0
    for number, name in enumerate(["features.conv0", *(f"{block}{k}.conv2" for k in (1, 2, 3))]):
        here = slice(start, start := start + widths[name])
        sites = [density[here] for density in readers[number:]]
        sites += [] if number else [behind["features.relu0"]]
        assert group(network, found, name) == mean(sites)
    last = ends[0][-widths["features.denseblock2.denselayer2.conv2"] :]
    assert group(network, found, "features.denseblock2.denselayer2.conv2") == mean([last])


def test_a_transformer_has_its_channels_last() -> None:
    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.1, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.block(x).mean(1))  # type: ignore[no-any-return]

    model = Small()
    network = Network(model, torch.zeros(2, 5, 8))
    assert network.layout.names == ("block.self_attn", "block.linear1")
    network.remove([2 + 3])  # behind both heads
    seen: list[Tensor] = []
    model.block.linear1.register_forward_hook(lambda _, __, out: seen.append(out.detach()))
    found = watched(network, torch.randn(4, 5, 8))
    assert found is not None
    assert found[2:].tolist() == pytest.approx((seen[0] > 0).double().mean((0, 1)).tolist())


class Functional(nn.Module):
    """Everything by functions, some in place, and a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 8, 3, groups=2)
        self.gate, self.up = nn.Conv2d(8, 8, 1), nn.ConvTranspose2d(8, 5, 2)
        self.norm, self.head = nn.BatchNorm2d(8, affine=False), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = first = self.a(x).relu_()
        x = second = torch.clamp(self.norm(self.b(F.max_pool2d(x, 2))), 0, 6)
        self.seen = [first.detach().clone(), second.detach().clone()]
        x = F.dropout(x, 0.2, self.training, inplace=True)
        x = x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        x = F.hardtanh(self.up(x), 0.0, 1.0)
        self.seen.append(x.detach())
        x = x + 1
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


def test_functions_are_followed_like_modules() -> None:
    network = Network(Functional(), torch.zeros(2, 1, 12, 12))
    best = dict(zip(network.layout.names, survey(network).best, strict=True))
    made_by = {name: site.function for name, site in best.items() if site}
    assert made_by == {"a": "relu", "up": "hardtanh"}  # b is grouped, so a's and b's units are one
    assert {site.function for site in survey(network).gates} == {"sigmoid"}
    network.remove([3])  # of up
    found = watched(network, torch.randn(4, 1, 12, 12))
    assert found is not None
    first, second, up = ((one > 0).double() for one in network.model.seen)
    for unit in (0, 1):  # conv-groups of 3 and 4 channels
        of_a, of_b = first[:, 3 * unit :][:, :3], second[:, 4 * unit :][:, :4]
        assert found[unit].item() == pytest.approx(((of_a.mean() + of_b.mean()) / 2).item())
    assert found[2:].tolist() == pytest.approx(up.mean((0, 2, 3)).tolist())


def test_channels_that_are_moved_about_are_lost_rather_than_mistaken() -> None:
    class Flipped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6)
            self.head = nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(self.conv(x))
            return self.head(torch.relu(x.flip(1)).mean((2, 3)))  # type: ignore[no-any-return]

    network = Network(nn.Sequential(Flipped(), nn.Linear(2, 2)), torch.zeros(2, 1, 5, 5))
    kinds = {site.kind for site in survey(network).best if site}
    assert "rectified" not in kinds


@pytest.mark.parametrize(
    ("activation", "kind"),
    [
        (nn.ReLU(inplace=True), "rectified"),
        (nn.ReLU6(), "rectified"),
        (nn.Hardswish(), "rectified"),
        (nn.Hardtanh(0, 2), "rectified"),
        (nn.Threshold(0.1, 0.0), "rectified"),
        (nn.Softshrink(), "rectified"),
        (nn.Hardtanh(), "nonlinear"),
        (nn.Threshold(0, 5.0), "nonlinear"),
        (nn.GELU(), "nonlinear"),
        (nn.SiLU(inplace=True), "nonlinear"),
        (nn.LeakyReLU(inplace=True), "nonlinear"),
        (nn.PReLU(), "nonlinear"),
        (nn.ELU(inplace=True), "nonlinear"),
        (nn.Sigmoid(), "nonlinear"),
        (nn.LogSigmoid(), "nonlinear"),
        (nn.Identity(), "norm"),
    ],
    ids=str,
)
def test_kinds(activation: nn.Module, kind: str) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), activation, nn.AvgPool2d(2), nn.Flatten()
    )
    network = Network(nn.Sequential(model, nn.Linear(4, 2)), torch.randn(2, 1, 4, 4))
    best = survey(network).best[0]
    assert best is not None
    assert best.kind == kind
    watcher = Watcher(network, [DENSITY, FeatureTaylor()], Meter())
    network.model(torch.randn(3, 1, 4, 4)).square().sum().backward()
    density, taylor = watcher.take("activation_density"), watcher.take("feature_taylor")
    assert taylor is not None
    assert (taylor > 0).any()
    assert (density is None) == (kind == "norm")
