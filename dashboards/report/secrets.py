"""What must not stand on a page that is passed on: passwords, in addresses and by their names."""

from __future__ import annotations

import re
from typing import Any

_NAME = r"passw|token|secret|credential|api_?key|access_?key"
_TELLING = re.compile(_NAME, re.IGNORECASE)
# up to the last @: passwords hold some themselves
_USER = re.compile(r"(?<=://)[^\s?#]*@")
_QUERY = re.compile(rf"([?&;][^=&;\s]*(?:{_NAME})[^=&;\s]*=)[^&;\s]*", re.IGNORECASE)


def without_secrets(value: Any) -> Any:
    """A sweep file, or a part of it, with ``***`` in place of what looks like a secret."""
    if isinstance(value, dict):
        return {
            key: "***" if part and _TELLING.search(str(key)) else without_secrets(part)
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(part) for part in value]
    if not isinstance(value, str):
        return value
    return _QUERY.sub(r"\1***", _USER.sub("***@", value))
