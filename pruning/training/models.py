"""Networks to train: small ones for a CPU, the CIFAR forms, torchvision's, and the user's own."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field, ValidationError, validate_call
from torch import nn

from pruning.errors import InputError, explain, nearest, unknown
from pruning.foreign import ForeignError, foreign
from pruning.known import MODEL_FORMS
from pruning.names import call, import_callable, is_dotted
from pruning.randomness import global_stream
from pruning.training.outputs import main_output

Shape = Sequence[int]
Count = Annotated[int, Field(ge=1)]
Widths = Annotated[Sequence[Count], Field(min_length=1)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
_TORCHVISION = "torchvision:"
WIDEST = 1_000_000
"""Units of a layer at most: each is followed through the network by itself, about 10 s a million
on one core, and of more than some 100,000 sight is lost."""


def small_cnn(
    shape: Shape,
    classes: int,
    widths: Widths = (16, 32, 32, 64, 64),
    pool_after: Sequence[Annotated[int, Field(ge=0)]] = (1, 3),
    batch_norm: bool = True,
    pooling: Literal["average", "flatten"] = "average",
    hidden: Sequence[Count] = (),
    dropout: Dropout = 0.0,
) -> nn.Module:
    """3x3 convolutions with ReLU, 2x2 max-pooling after some, and dense layers.

    shape: (channels, height, width) of a sample. pool_after: indices of convolutions. pooling:
    ``average`` takes the mean over positions before the dense layers, ``flatten`` keeps them.
    """
    layers: list[nn.Module] = []
    channels, height, width = shape
    for index, out in enumerate(widths):
        layers.append(nn.Conv2d(channels, out, 3, padding=1, bias=not batch_norm))
        layers += [nn.BatchNorm2d(out)] if batch_norm else []
        layers.append(nn.ReLU())
        if index in pool_after:
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        channels = out
    if pooling == "average":
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        features = channels
    else:
        layers.append(nn.Flatten())
        features = channels * height * width
    return nn.Sequential(*layers, *_dense(features, hidden, classes, dropout))


def small_mlp(
    shape: Shape, classes: int, hidden: Sequence[Count] = (256, 128), dropout: Dropout = 0.0
) -> nn.Module:
    """Dense layers with ReLU on the flattened sample."""
    features = 1
    for size in shape:
        features *= size
    return nn.Sequential(nn.Flatten(), *_dense(features, hidden, classes, dropout))


def _dense(features: int, hidden: Sequence[int], classes: int, dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for out in hidden:
        layers += [nn.Linear(features, out), nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
        features = out
    return [*layers, nn.Linear(features, classes)]


class _Block(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def small_resnet(
    shape: Shape, classes: int, widths: Widths = (16, 32, 64), blocks: Count = 1
) -> nn.Module:
    """A residual network of the CIFAR form (He et al. 2016): a stage a width, halving the size."""
    channels = widths[0]
    stem = [nn.Conv2d(shape[0], channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
    stages: list[nn.Module] = []
    for stage, out in enumerate(widths):
        for block in range(blocks):
            stages.append(_Block(channels, out, 2 if stage and not block else 1))
            channels = out
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*stem, *stages, *head)


def resnet18_cifar(shape: Shape, classes: int) -> nn.Module:
    """torchvision's ResNet-18 for small pictures: a 3x3 stem, no pooling before the blocks."""
    import torchvision  # takes seconds, which most of our networks need not

    model: nn.Module = torchvision.models.resnet18(weights=None, num_classes=classes)
    model.conv1 = nn.Conv2d(shape[0], 64, 3, 1, 1, bias=False)
    model.maxpool = nn.Identity()
    return model


def vgg16_bn_cifar(shape: Shape, classes: int) -> nn.Module:
    """VGG-16's convolutions with batch norm, and one dense layer."""
    widths = (64, 64, 128, 128, *(256,) * 3, *(512,) * 6)
    return small_cnn(shape, classes, widths=widths, pool_after=(1, 3, 6, 9, 12))


MODELS: dict[str, Callable[..., nn.Module]] = {
    "small_cnn": small_cnn,
    "small_mlp": small_mlp,
    "small_resnet": small_resnet,
    "resnet18_cifar": resnet18_cifar,
    "vgg16_bn_cifar": vgg16_bn_cifar,
}


def is_known(name: str) -> bool:
    """Whether a model is ours or torchvision's: of any other the name is code to be called."""
    return name in MODELS or name.startswith(_TORCHVISION)


def build(
    name: str,
    options: dict[str, Any],
    shape: Shape,
    classes: int,
    seed: int = 0,
    output: Shape | None = (),
) -> nn.Module:
    """The network, its weights drawn from ``seed`` alone.

    name: one of ours, ``torchvision:NAME`` (called with num_classes and the options), or
    ``package.module:callable`` (called with shape, classes and the options). Our own networks'
    convolutions are initialised with Kaiming's normal by fan-out. classes: or target columns.
    output: the shape that the main output must have for a sample, by default (classes,); None: a
    loss of one's own takes what it may be. Raises InputError for an unknown name, an import that
    fails, options that do not fit, or another output.
    """
    try:
        with (
            foreign(f"{name!r} cannot be looked at"),
            global_stream(torch.device("cpu"), seed, "init"),
            warnings.catch_warnings(),
        ):
            # About defaults of their own, and empty layers, which are refused below.
            warnings.filterwarnings("ignore", "Initializing zero-element")
            warnings.filterwarnings("ignore", module=r"torch(vision)?\.")
            model = _construct(name, options, shape, classes)
            _check_modules(model, name)
            initialise = initialisation(name)
            if initialise:
                initialise(model)
            _check_output(model, name, shape, classes, output)
            _check_parameters(model, name)
    except ForeignError as error:
        raise InputError(f"task.model: {error}") from None
    return model


def initialisation(name: str) -> Callable[[nn.Module], object] | None:
    """What gives a network its first weights, after torch's own; None where that is all."""
    return (lambda model: model.apply(_kaiming)) if name in MODELS else None


def _construct(name: str, options: dict[str, Any], shape: Shape, classes: int) -> nn.Module:
    given = f"for samples of shape {tuple(shape)} and options {options}"
    try:
        make = _maker(name, tuple(shape), classes)
        with foreign(f"{name!r} fails {given}"):
            model = call(make, **options)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"task.model: {error}") from None
    if not isinstance(model, nn.Module):
        raise InputError(f"task.model: {name!r} returned {type(model).__name__}, not an nn.Module")
    return model


def _maker(name: str, shape: tuple[int, ...], classes: int) -> Callable[..., Any]:
    if name in MODELS:
        if name != "small_mlp" and len(shape) != 3:
            raise ValueError(
                f"{name!r} is for pictures (channels, height, width); samples have shape {shape}"
            )
        return partial(_strict, name, shape, classes)
    if name.startswith(_TORCHVISION):
        import torchvision

        rest = name.removeprefix(_TORCHVISION)
        known = torchvision.models.list_models()
        if rest not in known:
            hint = nearest(rest, known)
            raise ValueError(
                f"unknown torchvision model {rest!r}{hint} (allowed: torchvision.models' names)"
            )
        takes = inspect.signature(torchvision.models.get_model_builder(rest)).parameters
        untrained = {key: None for key in ("weights", "weights_backbone") if key in takes}
        return partial(torchvision.models.get_model, rest, num_classes=classes, **untrained)
    if is_dotted(name):
        return partial(import_callable(name), shape=shape, classes=classes)
    raise ValueError(unknown("model", name, MODEL_FORMS))


def _strict(name: str, shape: tuple[int, ...], classes: int, /, **options: Any) -> nn.Module:
    """One of ours, whose options are what they say. Raises InputError."""
    known = list(inspect.signature(MODELS[name]).parameters)[2:]
    if strange := [option for option in options if option not in known]:
        raise InputError(f"task.model.options: {unknown('option', strange[0], known)}")
    make = validate_call(config=ConfigDict(strict=True))(MODELS[name])
    try:
        return make(shape, classes, **options)
    except ValidationError as error:
        raise explain(error, "task.model.options") from None


def _kaiming(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _check_modules(model: nn.Module, name: str) -> None:
    for where, module in model.named_modules():
        if not isinstance(module, torch.jit.ScriptModule) and "_modules" not in vars(module):
            place = f" ({where!r})" if where else ""
            raise InputError(
                f"task.model: {name!r}: {type(module).__name__}{place} did not call "
                f"super().__init__()"
            )
        width = getattr(module, "out_features", getattr(module, "out_channels", 0))
        if isinstance(width, int) and width > WIDEST:
            raise InputError(
                f"task.model: {name!r} has a layer of {width:,} units, {where!r} (allowed: up to "
                f"{WIDEST:,}, as units are followed one by one)"
            )


def _check_parameters(model: nn.Module, name: str) -> None:
    for where, parameter in model.named_parameters():
        if not parameter.numel():
            raise InputError(f"task.model: {name!r} has a layer without units: {where!r} is empty")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(f"task.model: {name!r} has no parameter that requires_grad")


def _check_output(
    model: nn.Module, name: str, shape: Shape, classes: int, given: Shape | None
) -> None:
    was_training, what = model.training, f"does not take samples of shape {tuple(shape)}"
    try:
        with torch.no_grad(), foreign(f"{name!r} {what}"):
            model.eval()
            output = model(torch.zeros(2, *shape))
            model.train(was_training)
    except ValueError as error:
        raise InputError(f"task.model: {error}") from None
    try:
        if (output := main_output(output)).is_complex():
            raise InputError(f"task.model: {name!r} gives outputs that are complex numbers")
        found: Any = tuple(output.shape)
    except TypeError as error:
        if given is None:
            raise InputError(f"task.model: {name!r} gives no output: {error}") from None
        found = type(output).__name__
    needed = (2, *(given or [classes]))
    if given is not None and found != needed:
        why = f"asks for {tuple(given)} a sample" if given else f"has {classes} classes"
        raise InputError(
            f"task.model: {name!r} gives an output of {found} for 2 samples; "
            f"the data {why}, so {needed} is needed"
        )
