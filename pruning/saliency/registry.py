"""The saliencies by name. A new one is a file and a line here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from pruning.names import dotted_name, lookup
from pruning.saliency.base import Saliency
from pruning.saliency.batch_norm_scale import BatchNormScale
from pruning.saliency.magnitude import Magnitude
from pruning.saliency.random import Random
from pruning.saliency.taylor import Taylor

SALIENCIES: dict[str, type[Saliency]] = {
    "magnitude": Magnitude,
    "taylor": Taylor,
    "batch_norm_scale": BatchNormScale,
    "random": Random,
}


def saliency(given: Any) -> Saliency:
    """A saliency from its name, its mapping, or itself. Raises ValueError for anything else."""
    if isinstance(given, Saliency):
        return given
    if isinstance(given, str):
        given = {"name": given}
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise ValueError(f"a saliency is a name or a mapping with a name, not {given!r}")
    kind = lookup("saliency", given["name"], SALIENCIES, Saliency)
    return kind.parse({key: value for key, value in given.items() if key != "name"})


def specify(chosen: Saliency) -> Any:
    """How a saliency is written in a sweep file; the inverse of ``saliency``."""
    name = dotted_name(type(chosen), SALIENCIES)
    changed = chosen.identity()
    return {"name": name, **changed} if changed else name


AnySaliency = Annotated[Saliency, BeforeValidator(saliency), PlainSerializer(specify)]
