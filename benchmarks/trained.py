"""What a storage says of the training that filled it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it loads torch
    from sweeps.storage.store import Store


def trainings(store: Store) -> list[int]:
    """How often each stored epoch was trained, the untrained networks left out."""
    found = []
    for entry in store.files.entries("paths"):
        _, path, name = entry.name.split("/")
        kind, _, number = name.partition("-")
        if kind == "record" and int(number):
            stored = store.record(path, int(number))
            found.append(stored.trained if stored else 0)
    return found
