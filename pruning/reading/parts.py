"""Which arrays of a file or mapping are which part: by the names people give them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pruning.errors import InputError
from pruning.reading.alike import refuse_unlike
from pruning.reading.arrays import array_of, samples_of
from pruning.reading.given import Arrays, Pair
from pruning.reading.layout import arranged, layout_of, reading_of
from pruning.reading.spec import DataSpec

PARTS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""Each part, and the names that it is published under."""

SAID = {"train": "the training part", "val": "the validation part", "test": "the test part"}
"""What each is called where something is said of it."""

_SAMPLES = ("x", "images", "image", "samples", "features", "data")
_LABELS = ("y", "labels", "label", "targets", "target")


@dataclass(frozen=True)
class Names:
    """The keys of samples and labels of each part."""

    samples: dict[str, str]
    labels: dict[str, str]
    unread: tuple[str, ...]


def part_named(name: str) -> str | None:
    """train, val or test, if that is what a name means."""
    return next((part for part, names in PARTS.items() if name.lower() in names), None)


def names_of(keys: Collection[str], where: str) -> Names:
    """Which key is what: Keras's x_train, MedMNIST's train_images, or x and y alone, in any case.

    Raises ValueError where a part has no labels or no samples, or two keys mean the same.
    """
    found: dict[tuple[bool, str], str] = {}
    unread = []
    for key in keys:
        role = _role(key)
        if role is None:
            unread.append(key)
        elif role in found:
            raise ValueError(f"{where} has both {found[role]!r} and {key!r}; one is needed")
        else:
            found[role] = key
    samples = {part: key for (labels, part), key in found.items() if not labels}
    labels = {part: key for (labels, part), key in found.items() if labels}
    for kind in (samples, labels):
        if "train" in kind and "" in kind:
            unread.append(kind.pop(""))
    return _checked(samples, labels, unread, keys, where)


def _role(key: str) -> tuple[bool, str] | None:
    """Whether it holds labels, and the part; None if it is neither."""
    words = key.lower().replace("-", "_").split("_")
    parts = [part for word in words if (part := part_named(word))]
    nouns = [word for word in words if not part_named(word)]
    if len(nouns) != 1 or len(parts) > 1 or nouns[0] not in (*_SAMPLES, *_LABELS):
        return None
    return nouns[0] in _LABELS, parts[0] if parts else ""


def _checked(
    samples: dict[str, str],
    labels: dict[str, str],
    unread: list[str],
    keys: Collection[str],
    where: str,
) -> Names:
    for one, other, what in ((samples, labels, "labels"), (labels, samples, "samples")):
        for part in one:
            if part not in other:
                raise ValueError(
                    f"{where} has {one[part]!r} and no {what} for it (there: {sorted(keys)})"
                )
    if not {"train", ""} & set(samples):
        raise ValueError(f"{where} has {sorted(keys)}; x_train and y_train (or x and y) are needed")
    whole = {"train": samples.pop("")} if "" in samples else {}
    if whole:
        labels["train"] = labels.pop("")
    return Names(samples | whole, labels, tuple(unread))


def arrays_of(given: Mapping[Any, Any], where: str, spec: DataSpec) -> Arrays:
    """The parts of a mapping, all of one layout. Raises ValueError for what cannot be."""
    names = names_of([str(key) for key in given], where)
    by_name = {str(key): value for key, value in given.items()}
    raw = {key: array_of(by_name[key], key) for key in ordered(names.samples)}
    samples = {key: samples_of(array, key) for key, array in raw.items()}
    first = next(iter(raw))
    refuse_unlike(raw, samples)
    shape, in_bytes = raw[first].shape[1:], raw[first].dtype.name == "uint8"
    layout = spec.layout or layout_of(shape, in_bytes, first)

    def part(name: str) -> Pair | None:
        if name not in names.samples:
            return None
        key = names.samples[name]
        return arranged(samples[key], layout, key), by_name[names.labels[name]]

    train = part("train")
    assert train is not None
    reading = reading_of(raw[first], layout, train[0])
    notes = unread_notes(where, names.unread)
    return Arrays(train, part("val"), part("test"), notes=notes, reading=reading)


def ordered(names: Mapping[str, str]) -> list[str]:
    """The keys, that of the training part first."""
    return [names[part] for part in PARTS if part in names]


def unread_notes(where: str, unread: Collection[str]) -> tuple[str, ...]:
    """What is there and was not read, in a line; nothing where that is all."""
    if not unread:
        return ()
    shown = sorted(unread)[:5]
    more = f" and {len(unread) - 5} more" if len(unread) > 5 else ""
    return (f"not read in {where}: {', '.join(shown)}{more}",)


def refuse_settings(spec: DataSpec, *unused: str) -> None:
    """Raises InputError for a setting that this source has no use for."""
    for name in unused:
        if getattr(spec, name):
            raise InputError(f"task.data.{name}: {spec.source!r} has no use for it")
