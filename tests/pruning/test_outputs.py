"""What models return: the main output of every kind is found."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from pruning.training.outputs import Main, main_output

MAIN, OTHER = torch.zeros(2, 3), torch.ones(2, 5)


class Pair(NamedTuple):
    aux: Tensor
    logits: Tensor


class Plain(NamedTuple):
    first: Tensor
    second: Tensor


@dataclass
class Answer:
    loss: Tensor | None
    logits: Tensor


@dataclass
class Unnamed:
    first: Tensor
    second: Tensor


class Held:
    """As Hugging Face's outputs were once: no mapping, but with attributes."""

    def __init__(self) -> None:
        self.hidden, self.out = OTHER, MAIN


@pytest.mark.parametrize(
    "output",
    [
        MAIN,
        (MAIN, OTHER),
        [MAIN, OTHER],
        (None, MAIN, OTHER),
        ((MAIN, OTHER), OTHER),
        {"aux": OTHER, "out": MAIN},
        {"out": OTHER, "logits": MAIN},
        OrderedDict(first=MAIN, aux=OTHER),
        {"loss": None, "logits": {"fine": MAIN}},
        Pair(OTHER, MAIN),
        Plain(MAIN, OTHER),
        Answer(None, MAIN),
        Unnamed(MAIN, OTHER),
        Held(),
    ],
    ids=str,
)
def test_the_main_output(output: Any) -> None:
    assert main_output(output) is MAIN


@pytest.mark.parametrize("output", [None, (), {}, "text", [None], {"out": 3}])
def test_no_tensor(output: Any) -> None:
    with pytest.raises(TypeError, match="holds no tensor"):
        main_output(output)


def test_a_network_with_its_main_output_alone() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"aux": x, "out": x + 1}

    assert torch.equal(Main(Two())(MAIN), MAIN + 1)
