"""Settings: typed fields that are their own documentation, YAML and identity."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from pruning.errors import explain, unknown


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
