"""Labels as people write them down: as text, or as whole numbers from 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pruning.reading.arrays import Array, array_of

_LARGEST = 2.0**62
_ALLOWED = "labels are whole numbers or words"


def column_of(values: Any, name: str) -> Array:
    """Labels as text, or as whole numbers from 0; [n], [n, columns] or [n, height, width].

    Raises ValueError for what are neither.
    """
    labels = _simple(array_of(values, name), name)
    kind = labels.dtype.kind
    if kind in "cMmV" or (labels.dtype.itemsize > 8 and kind != "U"):
        raise ValueError(f"{name} holds {labels.dtype.name}; labels are whole numbers or words")
    if kind == "f":
        labels = _whole(labels, name)
    if kind == "b":
        labels = labels.astype(np.int64)
    while labels.ndim > 1 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim not in (1, 2, 3):
        raise ValueError(f"{name} has the shape {labels.shape}; a label a sample is needed: [n]")
    if labels.dtype.kind == "i" and labels.size and int(labels.min()) < 0:
        raise ValueError(f"{name} has label {int(labels.min())} (allowed: from 0, or words)")
    return labels


def _simple(labels: Array, name: str) -> Array:
    """Bytes as text, and Python's objects as what they are if they are all of a kind."""
    if labels.dtype.kind == "O":
        items = labels.ravel().tolist()
        kinds = {_kind(item) for item in items}
        if len(kinds) != 1 or None in kinds:
            raise ValueError(f"{name} holds objects of several kinds, or with gaps; {_ALLOWED}")
        labels = np.array(items).reshape(labels.shape)
    if labels.dtype.kind == "S":
        try:
            labels = np.char.decode(labels, "utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{name} holds bytes that are no text (UTF-8); {_ALLOWED}") from None
    if labels.dtype.kind == "U" and (empty := np.flatnonzero(np.char.strip(labels) == "")).size:
        raise ValueError(f"{name} has {len(empty)} empty labels, the first at {int(empty[0])}")
    return labels


def _kind(item: Any) -> str | None:
    if isinstance(item, (str, np.str_)):
        return "text"
    if isinstance(item, bytes):
        return "bytes"
    if isinstance(item, (bool, int, np.integer)):
        return "number"
    return "float" if isinstance(item, (float, np.floating)) and item == item else None


def _whole(labels: Array, name: str) -> Array:
    if missing := int((~np.isfinite(labels)).sum()):
        raise ValueError(f"{name} has {missing} values that are not finite; {_ALLOWED}")
    wrong = (labels != np.round(labels)) | (np.abs(labels) > _LARGEST)
    if wrong.any():
        first = float(labels[wrong][0])
        raise ValueError(
            f"{name} has {int(wrong.sum())} labels that are fractions, such as {first:.4g}; "
            f"classes are whole numbers or words"
        )
    return labels.astype(np.int64)


def one_hot(rows: Mapping[str, Array]) -> dict[str, Array]:
    """The class of each row [n, columns] that holds a one and zeros. Raises ValueError."""
    widths = {labels.shape[1] for labels in rows.values()}
    for name, labels in rows.items():
        if labels.dtype.kind == "U" or len(widths) > 1:
            raise ValueError(f"{name} has the shape {labels.shape}; a label a sample is needed")
        ones = (labels == 1).sum(1), (labels != 0).sum(1)
        if not all((count == 1).all() for count in ones):
            raise ValueError(
                f"{name} has the shape {labels.shape}, and rows that are not a single 1 among "
                f"zeros; a label a sample is needed, or a column a class with one 1 a sample"
            )
    return {name: labels.argmax(1) for name, labels in rows.items()}
