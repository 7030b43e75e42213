"""Calls from one process to another: JSON, and bytes beside it. Nothing is pickled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any


@dataclass(frozen=True)
class Call:
    """name: of what is to be done. content: plain values that JSON knows. data: if it has any."""

    name: str
    content: dict[str, Any] = field(default_factory=dict)
    data: Sequence[bytes] | None = None

    def send(self, connection: Connection) -> None:
        """Raises OSError if nobody listens."""
        parts = None if self.data is None else len(self.data)
        head = {"name": self.name, "content": self.content, "parts": parts}
        for part in (json.dumps(head).encode(), *(self.data or ())):
            connection.send_bytes(part)

    @classmethod
    def receive(cls, connection: Connection) -> Call:
        """Waits for one. Raises EOFError or OSError if none can come any more."""
        head = json.loads(connection.recv_bytes())
        data = [connection.recv_bytes() for _ in range(head["parts"] or 0)]
        return cls(head["name"], head["content"], data if head["parts"] is not None else None)
