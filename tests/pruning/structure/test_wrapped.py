"""Models inside others: unwrapped, or refused in a line that says what to give instead."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from structure_cases import random_keep
from torch import Tensor, nn

from pruning import AtEpoch, Pruner
from pruning.structure.network import Network
from pruning.structure.trace import find_units
from pruning.structure.units import UntraceableError

X = torch.randn(4, 3, 8, 8)


def body() -> nn.Sequential:
    first = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3))
    return nn.Sequential(*first, nn.Flatten(), nn.Linear(128, 4))


@torch.compile(backend="eager")
def squared(x: Tensor) -> Tensor:
    return torch.relu(x).square()


class Squared(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return squared(x)


def compiled(backend: str = "eager", **options: Any) -> Callable[[nn.Module], nn.Module]:
    return lambda model: torch.compile(model, backend=backend, **options)  # type: ignore[return-value]


def compiled_in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="eager")
    return model


def first_layer_compiled(model: nn.Module) -> nn.Module:
    model[0] = torch.compile(model[0], backend="eager")
    return model


def with_a_compiled_function(model: nn.Module) -> nn.Module:
    model[2] = Squared()
    return model


WRAPPERS = {
    "eager": compiled(),
    "aot": compiled("aot_eager"),
    "dynamic": compiled(dynamic=True),
    "static": compiled(dynamic=False),
    "in place": compiled_in_place,
    "first layer": first_layer_compiled,
    "function": with_a_compiled_function,
    "data parallel": nn.DataParallel,
    "both": lambda model: nn.DataParallel(compiled()(model)),
    "symbolic trace": torch.fx.symbolic_trace,
}


@pytest.fixture(autouse=True)
def _quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing of a compiler comes to the terminal."""
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "The .grad attribute")  # the compiler's own
        yield
    said = capfd.readouterr()
    assert not re.search(r"^W\d", said.err, re.MULTILINE)
    assert "graph break" not in said.err.lower()


@pytest.mark.parametrize("run_before", [False, True])
@pytest.mark.parametrize("wrap", WRAPPERS)
def test_what_is_wrapped_is_cut_and_the_wrapper_runs_on(wrap: str, run_before: bool) -> None:
    inner = body()
    model = WRAPPERS[wrap](inner)
    if run_before:
        model(X).sum().backward()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    network = Network(model, X, optimizer)
    assert len(network.layout.names) == 2
    for share in (0.3, 0.3):
        left = network.alive_ids
        gone = left[~random_keep(network.units, share, 1)[left]]
        network.remove(gone if len(gone) else left[:1])
        model.train()
        weights = [p for p in model.parameters() if p.dim() > 1]
        before = [p.detach().clone() for p in weights]
        optimizer.zero_grad()
        out = model(X)
        out.square().mean().backward()
        optimizer.step()
        assert not any(map(torch.equal, before, weights))
        model.eval()
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            expected = network.model(X)
        with torch.no_grad():
            torch.testing.assert_close(model(X), expected)
    assert network.model.get_submodule("0").weight.shape[0] < 8


def test_names_are_those_of_the_model_within() -> None:
    model = body()
    bare = find_units(model, X)
    for wrap in ("eager", "data parallel", "both"):
        units = find_units(WRAPPERS[wrap](model), X, protect=["0"])
        assert units.layout.names == bare.layout.names[1:]
        assert units.refused["0"] == "protected"


@pytest.mark.parametrize("wrap", ["eager", "in place", "data parallel"])
def test_feature_maps_that_cannot_be_seen_are_refused(wrap: str) -> None:
    model = WRAPPERS[wrap](body())
    policy = AtEpoch(epoch=1, ratio=0.5, saliency="feature_taylor")
    with pytest.raises(ValueError, match="no feature maps of a model that is compiled"):
        Pruner(model, None, policy, example_input=X, epochs=2)


@pytest.mark.parametrize("saliency", ["magnitude", "taylor"])
def test_a_pruner_of_a_compiled_model(saliency: str) -> None:
    torch.manual_seed(0)
    inner = body()
    twin = body()
    twin.load_state_dict(inner.state_dict())
    cuts = []
    for model in (compiled()(inner), twin):
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        policy = AtEpoch(epoch=1, ratio=0.5, scope="layer", saliency=saliency)
        pruner = Pruner(model, optimizer, policy, example_input=X, epochs=2)
        for _ in range(2):
            for _ in range(2):
                model(X).square().mean().backward()
                pruner.after_backward()
                optimizer.step()
                optimizer.zero_grad()
            pruner.end_epoch()
        cuts.append(pruner.network.alive.tolist())
    assert sum(cuts[0]) == 8
    assert cuts[0] == cuts[1]


class Fused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part, self.rest = torch.jit.script(nn.Conv2d(3, 3, 1)), body()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.rest(self.part(x))
        return out


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "script": (lambda: torch.jit.script(body()), "the model is scripted (torch.jit)"),
    "trace": (lambda: torch.jit.trace(body().eval(), X), "the model is scripted (torch.jit)"),
    "part": (Fused, "'part' of Fused is scripted (torch.jit)"),
    "program": (lambda: torch.export.export(body().eval(), (X,)), "give the model before torch"),
    "its module": (
        lambda: torch.export.export(body().eval(), (X,)).module(),
        "give the model before torch.export",
    ),
    "function": (lambda: squared, "a model is wanted (torch.nn.Module), not a function"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("entrance", [find_units, Network])
def test_what_cannot_be_cut_is_refused_in_a_line(name: str, entrance: Any) -> None:
    make, why = REFUSED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make()
    with pytest.raises(UntraceableError, match=re.escape(why)) as caught:
        entrance(model, X)
    assert "\n" not in str(caught.value)


def test_models_of_many_processes_are_refused(tmp_path: Any) -> None:
    from torch import distributed

    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1
    )
    try:
        model = nn.parallel.DistributedDataParallel(body())
        with pytest.raises(UntraceableError, match=r"give the model within \(\.module\)"):
            Network(model, X)
        assert Network(model.module, X).layout.total == 16
    finally:
        distributed.destroy_process_group()
