"""What is kept on disk: sweeps, and for every trial its records, a snapshot and its result.

Everything is written whole (temporary name, fsync, rename) and carries its digest; a damaged file
counts as missing and is reported once.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

from pruning.errors import InputError
from pruning.history import Record
from pruning.settings import digest


class Store:
    """A storage folder.

    ``sweeps/NAME.json`` lists a sweep's trials, ``trials/ADDRESS/`` holds what a trial left; the
    address is that of the trial's content, so sweeps of one storage share equal trials.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def check(self) -> None:
        """Create the folder and write to it. Raises InputError if that fails."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise InputError(
                f"storage: {str(self.root)!r} cannot be written ({error.strerror}); "
                f"give a folder of your own with --storage"
            ) from None

    def trial(self, address: str) -> TrialStore:
        """The part of one trial."""
        return TrialStore(self.root / "trials" / address)

    def write_sweep(self, name: str, content: dict[str, Any]) -> None:
        """Remember a sweep by its name."""
        write(self._sweep(name), json.dumps(content, indent=1).encode())

    def read_sweep(self, name: str) -> dict[str, Any]:
        """A sweep's content. Raises InputError, naming the sweeps there are."""
        data = read(self._sweep(name))
        if data is None:
            known = [json.loads(found)["name"] for found in self._sweeps()]
            listed = ", ".join(sorted(known)) or "none"
            raise InputError(f"sweep: {name!r} is not in {str(self.root)!r} (there: {listed})")
        content: dict[str, Any] = json.loads(data)
        return content

    def _sweeps(self) -> list[bytes]:
        found = [read(path) for path in sorted((self.root / "sweeps").glob("*.json"))]
        return [data for data in found if data is not None]

    def _sweep(self, name: str) -> Path:
        return self.root / "sweeps" / f"{folder_name(name)}.json"


class TrialStore:
    """What one trial left: a record an epoch, the newest snapshot, the result."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write_record(self, record: Record) -> None:
        """Keep the record of an epoch."""
        write(self.folder / f"record-{record.epoch:04d}", record.to_bytes())

    def write_snapshot(self, epoch: int, data: bytes) -> None:
        """Keep a snapshot in place of the one before."""
        write(self.folder / "snapshot", epoch.to_bytes(8, "little") + data)

    def resume_point(self) -> tuple[bytes, tuple[Record, ...]] | None:
        """The snapshot and the records up to it; None to begin from the start."""
        data = read(self.folder / "snapshot")
        if data is None:
            return None
        epoch = int.from_bytes(data[:8], "little")
        found = [read(self.folder / f"record-{number:04d}") for number in range(epoch + 1)]
        records = tuple(Record.from_bytes(part) for part in found if part is not None)
        return (data[8:], records) if len(records) == epoch + 1 else None

    def records(self) -> list[Record]:
        """All records that are there, in order."""
        found = [read(path) for path in sorted(self.folder.glob("record-????"))]
        return [Record.from_bytes(data) for data in found if data is not None]

    def write_result(self, result: dict[str, Any]) -> None:
        """Keep the trial's outcome."""
        write(self.folder / "result.json", json.dumps(result).encode())

    def result(self) -> dict[str, Any] | None:
        """The trial's outcome, None while there is none."""
        data = read(self.folder / "result.json")
        return None if data is None else json.loads(data)


def folder_name(name: str) -> str:
    """A name as a file name: unchanged where that is safe, else told apart by a digest."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-")[:60]
    return safe if safe == name else f"{safe}-{digest(name, 8)}"


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, with its SHA-256 in front."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(data).digest() + data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read(path: Path) -> bytes | None:
    """The content of a file; None if it is missing or damaged (which is warned of)."""
    try:
        sealed = path.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(sealed[32:]).digest() != sealed[:32]:
        warnings.warn(f"{path} is damaged and will be made again", stacklevel=2)
        return None
    return sealed[32:]
