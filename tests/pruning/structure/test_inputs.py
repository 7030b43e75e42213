"""What goes into a network and comes out of it: mappings, tuples, data classes, all in place."""

from __future__ import annotations

from collections import OrderedDict, UserDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from test_own_state import cut_alike
from torch import Tensor, nn

from pruning import AtEpoch, Pruner
from pruning.structure.copies import copy_model, first_samples, map_tensors, tensors_in
from pruning.structure.trace import trace_units
from pruning.structure.units import UntraceableError

X = torch.randn(4, 6)


class Named(NamedTuple):
    logits: Tensor
    hidden: Tensor


@dataclass(frozen=True)
class Output:
    logits: Tensor
    hidden: list[Tensor]
    name: str = "out"


class Takes(nn.Module):
    """read: its input from what it is given. tell: what it returns of logits and hidden."""

    def __init__(self, read: Callable[..., Tensor], tell: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(6, 8), nn.Linear(8, 12), nn.Linear(12, 4)
        self.read, self.tell = read, tell

    def forward(self, *given: Any) -> Any:
        hidden = torch.relu(self.two(torch.relu(self.one(self.read(*given)))))
        return self.tell(self.head(hidden), hidden)


def logits(out: Tensor, _: Tensor) -> Tensor:
    return out


INPUTS: dict[str, tuple[Callable[..., Tensor], Any]] = {
    "mapping": (lambda batch: batch["x"], {"x": X, "name": "a"}),
    "ordered": (lambda batch: batch["x"], OrderedDict(y=torch.arange(4), x=X)),
    "batch encoding": (lambda batch: batch["x"], UserDict(x=X)),
    "tuple with a mapping": (lambda x, more: x + more["y"][0], (X, {"y": [X, 3]})),
    "tuple with a data class": (lambda more: more.logits, (Output(X, [X]),)),
    "tuple with a named tuple": (lambda more: more.hidden, (Named(X, X),)),
    "in place": (lambda x: x.mul_(0.5).add_(1), X.clone()),
    "in place in a mapping": (lambda batch: batch["x"].mul_(3).sub_(1), {"x": X.clone()}),
}
OUTPUTS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "mapping": lambda out, hidden: {"logits": out, "losses": {"hidden": hidden}},
    "tuple": lambda out, hidden: (out, None, [hidden]),
    "named tuple": Named,
    "data class": lambda out, hidden: Output(out, [hidden]),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_of_all_kinds(name: str) -> None:
    read, example = INPUTS[name]
    model = Takes(read, logits).eval()
    before = [t.clone() for t in tensors_in(example)]
    assert before
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    policy = AtEpoch(epoch=0, ratio=0.5, scope="layer", saliency="synflow")
    pruner = Pruner(model, optimizer, policy, example_input=example, epochs=1)
    assert pruner.network.layout.names == ("one", "two")
    dense = pruner.network.cost()
    assert dense.macs == 6 * 8 + 8 * 12 + 12 * 4
    pruner.start()
    assert pruner.network.cost().macs == 6 * 4 + 4 * 6 + 6 * 4
    assert all(map(torch.equal, before, tensors_in(example)))
    given = example if isinstance(example, tuple) else (example,)
    assert model(*given).shape == (4, 4)


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_of_all_kinds(name: str) -> None:
    model = Takes(lambda x: x, OUTPUTS[name])
    assert trace_units(model, X).refused["two"] == "its units are the network's output"
    assert cut_alike(model, X) == ("one",)


def test_tensors_are_mapped_in_place_of_the_old() -> None:
    given = (X, {"a": [X, 3], "b": Named(X, X)}, Output(X, [X]), UserDict(c=X), "word")
    found = map_tensors(given, lambda t: t + 1)
    assert [type(part) for part in found] == [type(part) for part in given]
    assert all(torch.equal(t, X + 1) for t in tensors_in(found[:3]))
    assert torch.equal(found[3]["c"], X + 1)
    assert torch.equal(given[1]["b"].hidden, X)
    assert torch.equal(given[3]["c"], X)
    assert found[2].name == "out"


def test_the_first_samples_of_what_is_nested() -> None:
    given = ({"x": X, "scale": torch.ones(6)}, [torch.zeros(4, 3)])
    batch, (other,) = first_samples(given, 2)
    assert (batch["x"].shape, batch["scale"].shape, other.shape) == ((2, 6), (6,), (2, 3))


def test_a_copy_leaves_what_it_is_given_as_it_is() -> None:
    model = Takes(lambda x: x.zero_(), logits)
    twin = copy_model(copy_model(model, torch.clone), torch.clone)
    twin(given := X.clone())
    assert torch.equal(given, X)


class Chain(nn.Sequential):
    """In-place activations, and sums into what was there; `also` in place at the end."""

    also: Callable[[Tensor], object] = staticmethod(Tensor.relu_)

    def forward(self, x: Tensor) -> Tensor:
        a = self[0](x)
        a.relu_()
        b = self[1](a)
        b += a
        self.also(b)
        out: Tensor = self[2](b)
        return out


def test_networks_that_work_in_place() -> None:
    model = Chain(nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 4))
    assert cut_alike(model, X) == ("0",)
    model.also = lambda b: b[:, 0].mul_(0.5)
    with pytest.raises(UntraceableError, match="no unit of Chain"):
        trace_units(model, X)
    chain = nn.Sequential(nn.Linear(6, 8), nn.ReLU(True), nn.Linear(8, 5), nn.SiLU(True))
    assert cut_alike(chain.append(nn.Linear(5, 4)), X) == ("0", "2")
