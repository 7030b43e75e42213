"""What torch's functions do to feature maps: which make them, and which only pass them on.

By their names, so that ``nn.ReLU()``, ``F.relu(x)``, ``torch.relu(x)``, ``x.relu_()`` are all one.
A function that is not listed here may move channels about: behind it they are unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

Kind = Literal["rectified", "nonlinear", "norm", "layer"]
"""What a feature map comes out of: an activation function that makes exact zeros, any other
activation function, a normalisation, a convolution or dense layer."""

KINDS: tuple[Kind, ...] = ("rectified", "nonlinear", "norm", "layer")
"""The best first: what is nearest to that which the next layer reads."""

Effect = Kind | Literal["none"]
"""``none`` leaves channels alone."""

_BY_EFFECT: dict[Effect | Literal["bounded"], str] = {
    "rectified": "relu relu6 hardswish hardsigmoid hardshrink softshrink",
    # rectified if they stop at zero, else nonlinear
    "bounded": "hardtanh threshold clamp clamp_min clamp_max clip",
    "nonlinear": "gelu silu mish elu selu celu leaky_relu rrelu prelu tanh sigmoid softplus "
    "softsign log_sigmoid tanhshrink",
    "norm": "batch_norm instance_norm group_norm layer_norm rms_norm",
    "layer": "linear embedding conv1d conv2d conv3d "
    "conv_transpose1d conv_transpose2d conv_transpose3d",
    "none": "add radd iadd sub rsub isub mul rmul imul multiply "
    "div rdiv idiv truediv rtruediv true_divide "
    "neg abs square sqrt pow exp "
    "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d "
    "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d "
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
    "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout "
    "pad interpolate upsample local_response_norm normalize "
    "clone contiguous to float half bfloat16 double type_as",
}
_EFFECTS = {name: effect for effect, names in _BY_EFFECT.items() for name in names.split()}


@cache
def plain_name(function: Callable[..., Any]) -> str:
    """``relu`` of ``relu_``, ``add`` of ``__add__``; empty for what has no name."""
    name: str = getattr(function, "__name__", "")
    return name.strip("_")


def effect_of(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Effect | None:
    """What a call does; None if that is not known."""
    effect = _EFFECTS.get(name)
    if effect == "bounded":
        return "rectified" if _stops_at_zero(name, args, kwargs) else "nonlinear"
    return effect


def changes_in_place(function: Callable[..., Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call writes into one of the tensors it is given."""
    return (
        _in_place_by_name(function)
        or kwargs.get("inplace") is True
        or kwargs.get("out") is not None
    )


@cache
def _in_place_by_name(function: Callable[..., Any]) -> bool:
    name: str = getattr(function, "__name__", "")
    return (name.endswith("_") and not name.endswith("__")) or name.startswith(("__i", "__set"))


def _stops_at_zero(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a bound is 0; of ``threshold``, what stands for all that is below it."""
    if name == "threshold":
        value = kwargs["value"] if "value" in kwargs else args[2]
        return bool(value == 0)
    named = (kwargs.get(bound) for bound in ("min", "max", "min_val", "max_val"))
    return any(type(bound) in (int, float) and bound == 0 for bound in (*args[1:], *named))
