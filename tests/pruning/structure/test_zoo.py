"""Every network of the zoo is cut exactly, or refused in one line.

The check shares no code with the proof.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from structure_cases import random_keep
from torch import Tensor, nn

from benchmarks.reach.exact import Verdict, compare, mark
from benchmarks.reach.values import copied
from benchmarks.zoo import NETWORKS
from pruning.errors import InputError
from pruning.structure.network import Network

KNOWN: dict[str, str] = {}
"""What fails today, and why: whoever mends it takes its line away."""


def case(name: str) -> Any:
    marks = [pytest.mark.xfail(reason=KNOWN[name], strict=True)] if name in KNOWN else []
    return pytest.param(name, marks=marks)


VISION = {
    "resnet18": 32,
    "mobilenet_v3_small": 32,
    "squeezenet1_1": 32,
    "efficientnet_b0": 32,
    "regnet_y_400mf": 32,
    "mnasnet0_5": 32,
}
"""torchvision's smallest, with the size of a picture."""


def verdict(model: nn.Module, args: tuple[Any, ...], ratio: float = 0.5) -> Verdict:
    """Of a cut of random units; raises InputError if the network is refused."""
    marked, dense = mark(copied(model)), copied(model)
    network = Network(model, args)
    network.follow(marked)
    network.remove(np.flatnonzero(~random_keep(network.units, ratio, seed=0)))
    return compare(dense, args, marked)


@pytest.mark.parametrize("name", map(case, NETWORKS))
def test_exact_or_refused(name: str) -> None:
    model, args = NETWORKS[name].build()
    said = ""
    try:
        found = verdict(model, args)
    except InputError as error:
        said = str(error)
    if said:
        assert "\n" not in said
        assert re.search(NETWORKS[name].refused, said)
    else:
        assert found.exact, found.where


@pytest.mark.parametrize(("name", "pixels"), VISION.items())
def test_torchvision_is_exact(name: str, pixels: int) -> None:
    model = torchvision.models.get_model(name, weights=None, num_classes=10)
    x: Tensor = torch.randn(2, 3, pixels, pixels)
    found = verdict(model, (x,))
    assert found.exact, found.where
