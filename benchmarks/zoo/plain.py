"""Layers in a row."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.zoo.registry import CLASSES, Apply, Built, conv, head, network, pictures, vectors


@network
def plain() -> Built:
    return nn.Sequential(
        conv(3, 16), conv(16, 24), nn.MaxPool2d(2), conv(24, 32), head(32)
    ), pictures()


@network
def mlp() -> Built:
    layers = (nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 24), nn.Tanh(), nn.Linear(24, CLASSES))
    return nn.Sequential(*layers), vectors()


@network
def lenet() -> Built:
    features = (nn.Conv2d(3, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 3), nn.Tanh())
    dense = (nn.Flatten(), nn.Linear(16 * 16, 32), nn.Tanh(), nn.Linear(32, CLASSES))
    return nn.Sequential(*features, *dense), pictures()


@network
def all_convolutional() -> Built:
    body = (conv(3, 16), conv(16, 16, stride=2), conv(16, 32), nn.Conv2d(32, CLASSES, 1))
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten()), pictures()


@network
def network_in_network() -> Built:
    body = [conv(3, 16, 5), conv(16, 16, 1), conv(16, 12, 1), nn.MaxPool2d(2), nn.Dropout(0.3)]
    body += [conv(12, 24), conv(24, 24, 1), nn.Conv2d(24, CLASSES, 1)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten()), pictures()


@network
def dropped_and_pooled() -> Built:
    """Dropout of whole channels, and pooling of all kinds."""
    body = (conv(3, 16), nn.Dropout2d(0.2), nn.AvgPool2d(2), conv(16, 24), nn.AdaptiveMaxPool2d(3))
    dense = (nn.Flatten(), nn.Linear(24 * 9, 20), nn.ReLU(), nn.Linear(20, CLASSES))
    return nn.Sequential(*body, *dense), pictures()


@network
def odd_activations() -> Built:
    """PReLU, and functions that are not zero at zero."""
    acts = (nn.PReLU(16), nn.Sigmoid(), nn.Softplus(), nn.Hardswish())
    body = [layer for act in acts for layer in (nn.Conv2d(16, 16, 3, padding=1), act)]
    return nn.Sequential(conv(3, 16), *body, head(16)), pictures()


@network
def dilated() -> Built:
    body = [nn.Conv2d(16, 16, 3, padding=d, dilation=d) for d in (1, 2, 4)]
    layers = [layer for one in body for layer in (one, nn.ReLU())]
    return nn.Sequential(conv(3, 16), *layers, head(16)), pictures()


@network
def reflected_padding() -> Built:
    padded = nn.Conv2d(16, 24, 3, padding=1, padding_mode="reflect")
    return nn.Sequential(
        conv(3, 16), padded, nn.ReLU(), nn.ZeroPad2d(1), conv(24, 16), head(16)
    ), pictures()


@network
def channels_last() -> Built:
    model = nn.Sequential(conv(3, 16), conv(16, 24), head(24))
    return model.to(memory_format=torch.channels_last), pictures()


@network
def norm_before() -> Built:
    """Batch norm in front of the convolution that reads it."""
    body = (nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 24, 3))
    return nn.Sequential(*body, nn.BatchNorm2d(24), nn.ReLU(), head(24)), pictures()


@network
def functional_flatten() -> Built:
    flat = Apply(lambda x: x.view(x.size(0), -1))
    return nn.Sequential(
        conv(3, 16), conv(16, 8, stride=4), flat, nn.Linear(8 * 16, CLASSES)
    ), pictures()
