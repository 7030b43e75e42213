"""Where pictures lie channels last, if a task leaves it to us."""

from __future__ import annotations

import pytest
import torch
from small_tasks import digits_task
from torch import Tensor, nn

from pruning.training.loop import Training
from pruning.training.memory_format import channels_last


class Views(nn.Module):
    """Its code takes what a convolution makes as it lies in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(144, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).view(len(x), -1))


def flat() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def wide() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10))


@pytest.mark.parametrize(("model", "last"), [(Views(), False), (flat(), False), (wide(), True)])
def test_the_network_says_it(model: nn.Module, last: bool) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert channels_last(model, (1, 8, 8)) == last
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not channels_last(model, (64,))


def test_auto_is_what_it_stands_for() -> None:
    losses = []
    for given in ("auto", True):
        training = Training(digits_task(channels_last=given, epochs=1), 0)
        training.begin()
        losses.append(training.epoch().metrics["train_loss"])
        weights = [p for p in training.model.parameters() if p.ndim == 4 and p.shape[1] > 1]
        assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)
    assert losses[0] == losses[1]
