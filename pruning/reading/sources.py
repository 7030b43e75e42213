"""Where samples come from: each kind of source by its name in a sweep file."""

from __future__ import annotations

from collections.abc import Callable

from pruning.errors import unknown
from pruning.known import SOURCE_FORMS
from pruning.names import is_dotted
from pruning.reading import files
from pruning.reading.digits import digits
from pruning.reading.given import Arrays, Sets
from pruning.reading.own import own
from pruning.reading.spec import Augment, DataSpec


def read(spec: DataSpec, augment: Augment) -> Arrays | Sets:
    """What a source holds. Raises ValueError or OSError if it cannot be had."""
    kind, _, rest = spec.source.partition(":")
    if spec.source == "digits":
        return digits(spec)
    if kind in KINDS:
        return KINDS[kind](rest, spec, augment)
    if is_dotted(spec.source):
        return own(spec)
    raise ValueError(unknown("data", spec.source, SOURCE_FORMS))


# Torchvision takes seconds to import, so what needs it is imported where it is used.


def _torchvision(name: str, spec: DataSpec, augment: Augment) -> Arrays | Sets:
    from pruning.reading.torchvision_sets import torchvision_set

    return torchvision_set(name, spec, augment)


def _imagefolder(place: str, spec: DataSpec, augment: Augment) -> Sets:
    from pruning.reading.folders import imagefolder

    return imagefolder(place, spec, augment)


def _parquet(place: str, spec: DataSpec, augment: Augment) -> Sets:
    from pruning.reading.parquet import parquet

    return parquet(place, spec, augment)


KINDS: dict[str, Callable[[str, DataSpec, Augment], Arrays | Sets]] = {
    "npz": lambda place, spec, _: files.npz(place, spec),
    "npy": lambda place, spec, _: files.npy(place, spec),
    "torchvision": _torchvision,
    "imagefolder": _imagefolder,
    "parquet": _parquet,
}
