"""Settings: typed fields that are their own documentation, YAML and identity."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    model_validator,
)

from pruning.errors import explain, unknown


def _plain(given: Any, place: str = "") -> Any:
    """What JSON can hold; raises ValueError naming what it cannot, and where."""
    if isinstance(given, dict):
        for key, value in given.items():
            _plain(value, f"{place}.{key}".lstrip("."))
    elif isinstance(given, (list, tuple)):
        for number, value in enumerate(given):
            _plain(value, f"{place}.{number}".lstrip("."))
    elif not (given is None or isinstance(given, (str, bool, int, float))):
        kind = type(given).__name__
        raise ValueError(
            f"{place}: {kind} is not allowed (allowed: text, numbers, lists, mappings)"
        )
    elif isinstance(given, float) and not math.isfinite(given):
        raise ValueError(f"{place}: {given} is not allowed (allowed: finite numbers)")
    return given


Options = Annotated[dict[str, Any], BeforeValidator(_plain)]
"""Options of a user's own: what a file can hold and a digest is made of."""


class Settings(BaseModel):
    """Base of everything a sweep file can set: frozen, typed, and strict about names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    @model_validator(mode="before")
    @classmethod
    def _only_known_fields(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    raise ValueError(unknown("field", key, cls.model_fields))
        return data

    @classmethod
    def parse(cls, data: Any, prefix: str = "") -> Self:
        """Validate ``data``. Raises InputError: one line under the field's dotted name."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise explain(error, prefix) from None

    def identity(self) -> dict[str, Any]:
        """The settings that differ from their defaults: a new option breaks no old name."""
        return self.model_dump(mode="json", exclude_defaults=True)


def canonical(data: Any) -> str:
    """JSON that is the same text for the same content."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(data: Any, length: int = 16) -> str:
    """The address of some content: the first ``length`` hexadecimal digits of its SHA-256."""
    return hashlib.sha256(canonical(data).encode()).hexdigest()[:length]
