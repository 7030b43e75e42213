"""The saliencies by name. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, PlainSerializer

from pruning.names import dotted_name, lookup
from pruning.saliency.activation_density import ActivationDensity
from pruning.saliency.base import Probe, Saliency
from pruning.saliency.batch_norm_scale import BatchNormScale
from pruning.saliency.feature_taylor import FeatureTaylor
from pruning.saliency.gradient_flow import GradientFlow
from pruning.saliency.grasp import Grasp
from pruning.saliency.log_posterior import LogPosterior
from pruning.saliency.magnitude import Magnitude
from pruning.saliency.price import Macs, Params, Price
from pruning.saliency.random import Random
from pruning.saliency.snip import Snip
from pruning.saliency.synflow import Synflow
from pruning.saliency.taylor import Taylor
from pruning.saliency.uniform_macs import UniformMacs
from pruning.saliency.weight_change import WeightChange

P = TypeVar("P", bound=Probe)

SALIENCIES: dict[str, type[Saliency]] = {
    "magnitude": Magnitude,
    "taylor": Taylor,
    "batch_norm_scale": BatchNormScale,
    "random": Random,
    "activation_density": ActivationDensity,
    "feature_taylor": FeatureTaylor,
    "snip": Snip,
    "grasp": Grasp,
    "gradient_flow": GradientFlow,
    "synflow": Synflow,
}

PRICES: dict[str, type[Price]] = {"macs": Macs, "params": Params}
"""What an aim can be in, by the names that a sweep file gives them."""

PROBES: dict[str, type[Probe]] = {
    **SALIENCIES,
    **{price.name: price for price in PRICES.values()},
    "weight_change": WeightChange,
    "log_posterior": LogPosterior,
    "uniform_macs": UniformMacs,
}
"""Everything that is measured for some policy: saliencies, and what is no score per unit."""


def saliency(given: Any) -> Saliency:
    """A saliency from its name, its mapping, or itself. Raises ValueError for anything else."""
    return _parse(given, "saliency", SALIENCIES, Saliency)


def probe(given: Any) -> Probe:
    """As ``saliency``, for any probe."""
    return _parse(given, "probe", PROBES, Probe)


def _parse(given: Any, kind: str, known: Mapping[str, type[P]], base: type[P]) -> P:
    if isinstance(given, base):
        return given
    if isinstance(given, str):
        given = {"name": given}
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise ValueError(f"a {kind} is a name or a mapping with a name, not {given!r}")
    found = lookup(kind, given["name"], known, base)
    return found.parse({key: value for key, value in given.items() if key != "name"})


def specify(chosen: Probe) -> Any:
    """How a probe is written in a sweep file; the inverse of ``probe``."""
    name = dotted_name(type(chosen), PROBES)
    changed = chosen.identity()
    return {"name": name, **changed} if changed else name


AnySaliency = Annotated[Saliency, BeforeValidator(saliency), PlainSerializer(specify)]
