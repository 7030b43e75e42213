"""What the tests of structure share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torchvision
from networks import Concat, Residual, Separable, Tied, cnn, mlp
from torch import Tensor, nn

from pruning.structure.layout import Bools
from pruning.structure.units import Units
from pruning.training.models import small_cnn, small_mlp, small_resnet

SMALL: dict[str, Callable[[], nn.Module]] = {
    "cnn": cnn,
    "mlp": mlp,
    "residual": Residual,
    "separable": Separable,
    "concat": Concat,
    "tied": Tied,
    "small_cnn": lambda: small_cnn((1, 8, 8), 10),
    "small_mlp": lambda: small_mlp((1, 8, 8), 10),
    "small_resnet": lambda: small_resnet((1, 8, 8), 10),
}

BIG = {
    "resnet18": 32,
    "resnet50": 32,
    "vgg19_bn": 32,
    "mobilenet_v2": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "regnet_y_400mf": 32,
    "convnext_tiny": 32,
    "vit_b_16": 32,
}


def build(name: str) -> tuple[nn.Module, Tensor]:
    """A network in eval mode with weights and statistics of all kinds, and two samples."""
    torch.manual_seed(1)
    if name in SMALL:
        model, x = SMALL[name](), torch.randn(2, 1, 8, 8)
    else:
        size = BIG[name]
        extra = {"image_size": size} if name.startswith("vit") else {}
        if name == "vgg19_bn":
            extra = {"init_weights": False}
        model = getattr(torchvision.models, name)(**extra)
        x = torch.randn(2, 3, size, size)
    randomize(model)
    return model.eval(), x


@torch.no_grad()
def randomize(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.uniform_(-0.5, 0.5)
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 1.5)
    for name, p in model.named_parameters():
        if "layer_scale" in name or "heads.head" in name or name == "scale":
            p.normal_()


def random_keep(units: Units, ratio: float, seed: int) -> Bools:
    """Which units stay when about `ratio` of each group go; one is left at least."""
    rng = np.random.default_rng(seed)
    keep = np.ones(units.layout.total, dtype=np.bool_)
    for size, start in zip(units.layout.sizes, units.layout.offsets[:-1], strict=True):
        gone = min(max(1, round(ratio * size)), size - 1)
        keep[start + rng.permutation(size)[:gone]] = False
    return keep


def assert_equal(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * float(b.detach().abs().max()))
