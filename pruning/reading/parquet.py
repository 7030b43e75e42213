"""Parquet files as hubs of pictures ship them: a column of pictures' bytes, and one of labels.

The parts stand in the files' names (train-00000-of-00001.parquet) or in those of their folders. All
is held in memory as it is compressed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pruning.errors import InputError, unknown
from pruning.foreign import told
from pruning.reading.given import Sets
from pruning.reading.labels import classes_of
from pruning.reading.parts import SAID, part_named, refuse_settings
from pruning.reading.picture_sets import picture_sets
from pruning.reading.pictures import Picture, read_alike
from pruning.reading.places import SPECIAL, instead_of_folder, is_special
from pruning.reading.spec import Augment, DataSpec

_OPTIONS = {"image", "label"}


def parquet(place: str, spec: DataSpec, augment: Augment) -> Sets:
    """The pictures of a folder of Parquet files, or of one. Raises ValueError.

    Which columns they are is seen where only two can be meant; else ``options`` says it:
    ``{image: NAME, label: NAME}``.
    """
    refuse_settings(spec, "layout", "annotations")
    for option in spec.options:
        if option not in _OPTIONS:
            raise InputError(f"task.data.options: {unknown('option', option, _OPTIONS)}")
    path = Path(place).expanduser()
    parts = {part: _Part.read(files, spec) for part, files in _files(path).items()}
    if all(one == -1 for one in parts["test"].labels) if "test" in parts else False:
        del parts["test"]  # kept secret, as for contests
    names = parts["train"].names
    labels = {SAID[part]: one.labels for part, one in parts.items()}
    _, classes, notes = classes_of(labels, names, spec.targets == "classes")
    listed = {part: (one.pictures, one.labels) for part, one in parts.items()}
    sets = read_alike(listed, spec.channels)

    def check() -> None:
        for one in sets.values():
            one.check()

    channels = sets["train"].channels
    return picture_sets(sets, channels, spec.image_size, classes, augment, notes, check)


def _files(path: Path) -> dict[str, list[Path]]:
    """The files of each part, in order."""
    if path.is_file():
        return {"train": [path]}
    if not path.is_dir():
        raise ValueError(f"folder {str(path)!r} {instead_of_folder(path)}")
    files = sorted(one for one in path.rglob("*.parquet") if not one.name.startswith("."))
    if special := next(filter(is_special, files), None):
        raise ValueError(f"{str(special)!r} {SPECIAL}")
    found: dict[str, list[Path]] = {}
    for file in files:
        part = _part(file, path)
        if part is None:
            raise ValueError(
                f"{str(file)!r} is of no part: neither its name nor its folder begins with train, "
                f"validation or test"
            )
        found.setdefault(part, []).append(file)
    if "train" not in found:
        there = f"has {sorted(found)} and no" if found else "has no"
        raise ValueError(f"folder {str(path)!r} {there} training part (train-*.parquet)")
    return {part: found[part] for part in ("train", "val", "test") if part in found}


def _part(file: Path, root: Path) -> str | None:
    names = [file.stem, *reversed(file.relative_to(root).parent.parts)]
    starts = [name.replace("_", "-").replace(".", "-").partition("-")[0] for name in names]
    return next((part for start in starts if (part := part_named(start))), None)


@dataclass(frozen=True)
class _Part:
    """names: of the classes by number, where the file says them."""

    pictures: list[Picture]
    labels: list[Any]
    names: Sequence[str] | None

    @classmethod
    def read(cls, files: Sequence[Path], spec: DataSpec) -> _Part:
        """The rows of files, one after the other. Raises ValueError."""
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise ValueError("parquet files need the package 'pyarrow': pip install it") from None
        pictures: list[Picture] = []
        labels: list[Any] = []
        names = None
        for file in files:
            try:
                schema = pq.read_schema(file)
                image, label = _columns(schema, str(file), spec.options)
                table = pq.read_table(file, columns=[image, label])
            except pa.ArrowException as error:
                raise ValueError(f"{str(file)!r} cannot be read ({told(error)})") from None
            names = names or _names(schema, label)
            column = table.column(image)
            for row in range(len(table)):
                place = f"{file}, row {row}"
                pictures.append(Picture(place, partial(_bytes, column, row)))
            labels += table.column(label).to_pylist()
        return cls(pictures, labels, names)


def _bytes(column: Any, row: int) -> bytes:
    value = column[row].as_py()
    found = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(found, bytes):
        raise ValueError("the row has no bytes of a picture")
    return found


def _columns(schema: Any, file: str, options: dict[str, Any]) -> tuple[str, str]:
    """The column of pictures and that of labels."""
    import pyarrow as pa

    def holds_pictures(kind: Any) -> bool:
        inner = kind.field("bytes").type if _has_bytes(kind) else kind
        return bool(pa.types.is_binary(inner) or pa.types.is_large_binary(inner))

    def holds_labels(kind: Any) -> bool:
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        return bool(text or pa.types.is_integer(kind) or pa.types.is_boolean(kind))

    pictures = [field.name for field in schema if holds_pictures(field.type)]
    labels = [field.name for field in schema if holds_labels(field.type)]
    labels = [name for name in labels if name == "label"] or labels
    return _one("image", pictures, file, options), _one("label", labels, file, options)


def _one(what: str, there: list[str], file: str, options: dict[str, Any]) -> str:
    asked = options.get(what)
    if asked is None and len(there) == 1:
        return there[0]
    if asked in there:
        return str(asked)
    listed = ", ".join(there) or f"none; {file!r} has no column of them"
    missing = "is missing" if asked is None else f"{asked!r} is not allowed"
    raise InputError(
        f"task.data.options: {what} {missing}; the column of {what}s (allowed: {listed})"
    )


def _has_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind)) and kind.get_field_index("bytes") >= 0


def _names(schema: Any, label: str) -> Sequence[str] | None:
    """Names of classes as Hugging Face's datasets write them beside the columns."""
    try:
        about = json.loads((schema.metadata or {})[b"huggingface"])
        names = about["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None
