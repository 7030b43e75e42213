"""Results as a data frame, and as a Parquet file: a row a trial, in the order of the sweep."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from sweeps.results.rows import COLUMNS, METRICS, Row, describe

TEXTS = ("trial", "policy", "settings", "status", "reason")
COUNTS = ("params", "macs")


def frame(rows: Iterable[Row]) -> pd.DataFrame:
    """The columns of the results, then ``setting.ratio`` and so on, one for each setting.

    Figures are float64, NaN where there are none; ``params`` and ``macs`` Int64, ``pareto`` bool.
    ``prune_epochs`` holds lists of int, None where the trial has not finished. A setting is Int64,
    float64 or boolean if it is for all policies that have it, else text as in ``settings``.
    """
    found = list(rows)
    columns: dict[str, pd.Series] = {}
    for name in COLUMNS:
        columns[name] = _column([row[name] for row in found], _kind(name))
    settings = dict.fromkeys(key for row in found for key in row["setting"] if key != "policy")
    for name in settings:
        values = [row["setting"].get(name) for row in found]
        kind = _kind_of(values)
        shown = values if kind != "string" else [_text(value) for value in values]
        columns[f"setting.{name}"] = _column(shown, kind)
    return pd.DataFrame(columns)


def to_parquet(rows: Iterable[Row]) -> bytes:
    """``frame`` as a Parquet file; ``pandas.read_parquet`` gives it back, lists as arrays."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame(rows), preserve_index=False)
    place = table.schema.get_field_index("prune_epochs")
    epochs = table.column(place).cast(pa.list_(pa.int64()))
    out = io.BytesIO()
    pq.write_table(table.set_column(place, "prune_epochs", epochs), out)
    return out.getvalue()


def _kind(column: str) -> str:
    if column in TEXTS:
        return "string"
    if column in METRICS:
        return "Int64" if column in COUNTS else "float64"
    return {"seed": "int64", "pareto": "bool"}.get(column, "object")


def _kind_of(values: Sequence[Any]) -> str:
    """The narrowest type that holds what is there."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "Int64"
    return "float64" if kinds and kinds <= {int, float} else "string"


def _column(values: Sequence[Any], kind: str) -> pd.Series:
    if kind == "float64":
        values = [math.nan if value is None else float(value) for value in values]
    return pd.Series(values, dtype=kind)


def _text(value: Any) -> str | None:
    """A setting as the results show it: ``magnitude(normalize=none)``."""
    if value is None:
        return None
    return describe({"": value}).removeprefix("=")
