"""Every policy prunes every model that has what it needs, or refuses it with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from functools import partial
from itertools import product
from typing import Annotated, Any

import pytest
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision import models as vision

from pruning import POLICIES, Mask, Policy, Pruner, Sample
from pruning import policy as parse
from pruning.actions import Action
from pruning.history import History, Record
from pruning.policies import uniform
from pruning.saliency import UniformMacs
from pruning.structure.masks import weight_tensors
from pruning.training.models import MODELS, build

EPOCHS, BATCH, CLASSES = 4, 4, 10

CUT = {"policy": "at_epoch", "epoch": 1}
SETTINGS: dict[str, dict[str, Any]] = {
    "at_epoch": {"epoch": 1},
    "small_from_scratch": {"of": CUT},
    "uniform": {"of": CUT},
    "epi": {"window": 1, "threshold": 0.01},
    "early_bird": {"window": 2, "threshold": 0.99},
    "ocspruner": {"window": 1, "threshold": 0.01},
    "bep": {"penalty": 0.1},
    "synflow": {"saliency": {"name": "synflow", "rounds": 3}},
}
"""What to try instead of the defaults: what acts in so short a training, and is quick."""

OPTIONS: dict[str, dict[str, Any]] = {
    "small_cnn": {"widths": [8, 8, 12]},
    "small_mlp": {"hidden": [16, 12]},
    "small_resnet": {"widths": [8, 12, 16]},
}
"""That make our own models narrow."""

PIXELS = {"small_cnn": 8, "small_mlp": 8, "small_resnet": 8, "resnet18_cifar": 8}
"""Of our own models' pictures, where fewer than 32 will do."""

VISION: dict[str, tuple[Callable[..., nn.Module], int]] = {
    "resnet18": (vision.resnet18, 16),
    "mobilenet_v2": (partial(vision.mobilenet_v2, width_mult=0.25), 32),
    "mobilenet_v3_small": (partial(vision.mobilenet_v3_small, width_mult=0.25), 32),
    "densenet": (partial(vision.DenseNet, 8, (2, 2), 16), 16),
    "vision_transformer": (partial(vision.VisionTransformer, 8, 4, 2, 2, 16, 32), 8),
    "googlenet": (partial(vision.googlenet, aux_logits=False, init_weights=False), 32),
    "squeezenet": (vision.squeezenet1_1, 32),
}
"""torchvision's, with the size of a picture; without parts that are only there to train."""

WIDE = {"resnet18_cifar", "vgg16_bn_cifar", "resnet18", "googlenet", "squeezenet"}
"""Whose layers are made a quarter as wide: millions of weights take minutes."""

NO_NORM = "batch_norm_scale needs a batch norm after every prunable layer; {!r} has none"
NO_HESSIAN = "needs second derivatives; torch has none of Hardsigmoid"
REFUSED: dict[tuple[str, str], str] = {
    ("small_mlp", "early_bird"): NO_NORM.format("1"),
    ("mobilenet_v3_small", "early_bird"): NO_NORM.format("features.1.block.1.fc1"),
    ("vision_transformer", "early_bird"): NO_NORM.format("conv_proj"),
    ("squeezenet", "early_bird"): NO_NORM.format("features.0"),
    ("vision_transformer", "activation_density"): (
        "activation_density needs an activation function that makes zeros, and behind "
        "'encoder.layers.encoder_layer_0.mlp.0' is gelu"
    ),
    ("mobilenet_v3_small", "early_crop"): f"gradient_flow {NO_HESSIAN}",
    ("mobilenet_v3_small", "grasp"): f"grasp {NO_HESSIAN}",
    ("vision_transformer", "synflow"): (
        "synflow cannot follow 'encoder.layers.encoder_layer_0.ln_1': a LayerNorm takes its "
        "statistics from its input"
    ),
}
"""Which policy does not work on which model, and what it says."""


class CoarseMacs(UniformMacs):
    """At four widths, not 64: each takes a fifth of a second in a deep network."""

    steps: Annotated[int, Field(ge=1)] = 4


class Study:
    """One model: the records of a dense training, measured for all policies, and what they do.

    refused: why a probe cannot be measured, by its key.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        model, pixels = made(name)
        self.x = torch.randn(BATCH, 3, pixels, pixels, generator=torch.Generator().manual_seed(0))
        self.fresh = Pruner(
            model.train(),
            torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9),
            example_input=self.x[:2],
            epochs=EPOCHS,
            sample=Sample(lambda: [self.x], loss_of),
        )
        self.refused: dict[str, str] = {}
        self.records = self._dense(list(POLICIES))
        self.trained = self.step(self.fresh)  # and its optimizer has a state, which cuts must keep
        self._proven: set[Action] = set()

    def _dense(self, names: list[str]) -> list[Record]:
        """Each probe is measured while a policy asks for it that has not acted."""
        pruner = deepcopy(self.fresh)
        policies: list[Policy] = []
        for name in names:
            with suppress(ValueError):  # for its own test to show
                policies.append(parsed(name))
        policies += [other for policy in policies if (other := policy.reference())]
        asked = {probe.key: probe for policy in policies for probe in policy.probes()}
        for probe in asked.values():
            try:
                with torch.no_grad():
                    probe.check(pruner.network)
            except ValueError as error:
                self.refused[probe.key] = str(error)
        for epoch in range(EPOCHS):
            asking = [policy for policy in policies if policy.asks(epoch, EPOCHS, False)]
            probes = [probe for policy in asking for probe in policy.probes()]
            pruner.watch(probe for probe in probes if probe.key not in self.refused)
            if epoch:
                self.step(pruner)
                self.step(pruner)
                pruner.end_epoch()
            else:
                pruner.start()
            policies = [policy for policy in policies if not acts(policy, pruner.history)]
        return pruner.records

    def step(self, pruner: Pruner) -> set[str]:
        """Train one. Returns the names of the parameters that had a gradient."""
        model, optimizer = pruner.network.model, pruner.network.optimizers[0]
        assert optimizer is not None
        loss = loss_of(model, self.x)
        loss.backward()
        gradients = {name: value.grad for name, value in model.named_parameters()}
        assert all(grad is None or torch.isfinite(grad).all() for grad in gradients.values())
        pruner.after_backward()
        optimizer.step()
        optimizer.zero_grad()
        assert torch.isfinite(loss)
        return {name for name, grad in gradients.items() if grad is not None}

    def first_action(self, policy: Policy) -> Action | None:
        """What it does first, in the course of the dense training."""
        other = policy.reference()
        reference = self.after(self.expected(other)).measure() if other else None
        layout = self.fresh.network.layout
        for count in range(1, len(self.records) + 1):
            history = History.of(layout, self.records[:count], EPOCHS, 0, reference)
            if action := policy.decide(history):
                return action
        return None

    def expected(self, policy: Policy) -> Action:
        """The same of one that acts."""
        action = self.first_action(policy)
        assert action, f"{policy!r} has done nothing after {EPOCHS - 1} of {EPOCHS} epochs"
        return action

    def after(self, action: Action) -> Pruner:
        """A network equal to the dense one, as the action has left it."""
        pruner = deepcopy(self.fresh)
        pruner.apply(action)
        return pruner

    def prove(self, action: Action) -> None:
        """Raises AssertionError unless the action leaves a smaller network that can be trained."""
        if action in self._proven:
            return
        pruner = self.after(action)
        model, alive = pruner.network.model, pruner.network.alive
        if isinstance(action, Mask):
            self.prove_masked(model, action)
        else:
            assert [*(~alive).nonzero()[0]] == [*action.units]
            assert size(model) < size(self.fresh.network.model)
        before = [weight.detach().clone() for _, weight in weight_tensors(model)]
        assert self.step(pruner) == self.trained
        now = [weight for _, weight in weight_tensors(model)]
        assert not all(torch.equal(a, b) for a, b in zip(before, now, strict=True))
        if isinstance(action, Mask) and action.hold:
            self.prove_masked(model, action)
        self._proven.add(action)

    def prove_masked(self, model: nn.Module, action: Mask) -> None:
        """Its share of each weight tensor is zero; more only where more was to begin with."""
        for (name, weight), (_, dense) in zip(
            weight_tensors(model), weight_tensors(self.fresh.network.model), strict=True
        ):
            zeros, wanted = int((weight == 0).sum()), round(action.sparsity * weight.numel())
            assert wanted <= zeros <= max(wanted, int((dense == 0).sum())), name


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def made(name: str) -> tuple[nn.Module, int]:
    """A model, and the size of its pictures."""
    torch.manual_seed(0)
    if name in VISION:
        make, pixels = VISION[name]
        model = make(num_classes=CLASSES)
    else:
        pixels = PIXELS.get(name, 32)
        model = build(name, OPTIONS.get(name, {}), (3, pixels, pixels), CLASSES)
    if name in WIDE:
        narrow(model)
    return model, pixels


def narrow(model: nn.Module, by: int = 4) -> None:
    """Divide all numbers of channels that are multiples of ``by``: not the colours, the classes."""

    def less(channels: int) -> int:
        return channels // by if channels % by == 0 else channels

    for parent in [*model.modules()]:
        for name, child in [*parent.named_children()]:
            if isinstance(child, nn.Conv2d):
                channels = less(child.in_channels), less(child.out_channels)
                options: dict[str, Any] = {
                    key: getattr(child, key) for key in ("kernel_size", "stride", "padding")
                }
                options["bias"] = child.bias is not None
                setattr(parent, name, nn.Conv2d(*channels, **options))
            elif isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.BatchNorm2d(less(child.num_features)))
            elif isinstance(child, nn.Linear):
                setattr(parent, name, nn.Linear(less(child.in_features), less(child.out_features)))


def loss_of(model: nn.Module, x: Tensor) -> Tensor:
    return cross_entropy(model(x), torch.arange(len(x)))


def parsed(name: str) -> Policy:
    """With the settings of the table. Raises ValueError if they do not fit."""
    policy = parse({"policy": name, **SETTINGS.get(name, {})})
    policy.check(EPOCHS)
    return policy


def acts(policy: Policy, history: History) -> bool:
    try:
        return policy.decide(history) is not None
    except Exception:  # of what was refused, of a control, or for its own test to show
        return False


@pytest.fixture(scope="module", params=[*MODELS, *VISION])
def study(request: pytest.FixtureRequest) -> Iterator[Study]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uniform, "UniformMacs", CoarseMacs)
        yield Study(request.param)


@pytest.mark.parametrize("name", POLICIES)
def test_prunes_or_refuses(study: Study, name: str) -> None:
    try:
        policy = parsed(name)
    except ValueError as error:
        pytest.fail(f"{name} cannot be tried: add an entry to SETTINGS in {__file__} ({error})")
    case = study.name, name
    reasons = [study.refused[p.key] for p in policy.probes() if p.key in study.refused]
    if case in REFUSED:
        assert any(REFUSED[case] in reason for reason in reasons)
        assert not any("\n" in reason for reason in reasons)
        return
    assert not reasons, f"add it to REFUSED in {__file__}, if it must be"
    if policy.first_action(EPOCHS) is None:
        assert study.first_action(policy) is None
    else:
        study.prove(study.expected(policy))


def test_the_tables_name_what_there_is() -> None:
    known = set(product([*MODELS, *VISION], POLICIES))
    assert {*REFUSED} <= known
    assert SETTINGS.keys() <= POLICIES.keys()
    assert {*OPTIONS, *PIXELS} <= MODELS.keys()
    assert {*MODELS, *VISION} >= WIDE
    assert not MODELS.keys() & VISION.keys()
