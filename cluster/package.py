"""What travels with a sweep to another machine: its file, and the user's own code that it names."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pruning.errors import InputError

_DOTTED = re.compile(r"([A-Za-z_]\w*)(\.[A-Za-z_]\w*)*:[A-Za-z_][\w.]*")
_RELATIVE = re.compile(r"(npz|npy|imagefolder|parquet):(?!/)(?!.*://)(.*)")
_CONFIG_MAP = 900_000  # of 1 MiB, and the sweep file is in it too
_LEAVE = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", ".venv*")


@contextmanager
def packed(config: Path, working_dir: Path | None) -> Iterator[tuple[Path, Path]]:
    """A folder to be sent, and the sweep file's place in it: ``working_dir``, or one made to hold
    what the file names. Raises InputError."""
    if working_dir:
        yield working_dir, within(config, working_dir)
        return
    with tempfile.TemporaryDirectory(prefix="earlyprune-job-") as made:
        yield Path(made), pack(config, Path(made), Path.cwd())


def pack(config: Path, folder: Path, here: Path) -> Path:
    """Copy a sweep file into ``folder``, with the modules that it names by dotted path.

    They lie beside it, or in ``here``. Returns the file's place in the folder. A module that
    imports others of one's own needs a whole working directory instead. Raises InputError for data
    at a relative path, which would not travel.
    """
    for text in texts(yaml.safe_load(config.read_text())):
        if _RELATIVE.fullmatch(text):
            raise InputError(
                f"task.data: {text!r} is not allowed in a job without --working-dir: data does not "
                f"travel; give an absolute path that all machines see"
            )
    for name, found in own_modules(config, here).items():
        if found.is_dir():
            shutil.copytree(found, folder / name, ignore=_LEAVE)
        else:
            shutil.copy(found, folder)
    place = folder / config.name
    shutil.copy(config, place)
    return place.relative_to(folder)


def within(config: Path, folder: Path) -> Path:
    """A sweep file's place in a working directory. Raises InputError if it lies outside."""
    if not folder.is_dir():
        raise InputError(f"--working-dir: {str(folder)!r} is no folder")
    try:
        return config.resolve().relative_to(folder.resolve())
    except ValueError:
        raise InputError(
            f"--working-dir: {str(folder)!r} does not hold the sweep file {str(config)!r}, "
            f"and must, as nothing else travels"
        ) from None


def own_modules(config: Path, here: Path) -> dict[str, Path]:
    """Top-level modules and packages that a sweep file names: beside it, or else in ``here``."""
    heads = {
        found[1]
        for text in texts(yaml.safe_load(config.read_text()))
        if (found := _DOTTED.fullmatch(text))
    }
    folders = (config.resolve().parent, here)
    found_at = {name: _module(name, folders) for name in sorted(heads)}
    return {name: place for name, place in found_at.items() if place}


def _module(name: str, folders: Iterable[Path]) -> Path | None:
    places = (place for folder in folders for place in (folder / name, folder / f"{name}.py"))
    return next((p for p in places if (p.is_dir() if not p.suffix else p.is_file())), None)


def modules_beside(config: Path) -> dict[str, str]:
    """The text of the modules beside a sweep file that it names, by file; for a ConfigMap.

    Raises InputError for a package, or more than a ConfigMap holds: they need a --working-dir.
    """
    found = own_modules(config, config.resolve().parent)
    for name, place in found.items():
        if place.is_dir():
            raise InputError(
                f"--working-dir: missing; the package {name!r} beside {str(config)!r} does not fit "
                f"into a ConfigMap: give the address of a .zip that holds it"
            )
    texts_of = {place.name: place.read_text() for place in found.values()}
    if sum(map(len, texts_of.values())) > _CONFIG_MAP:
        raise InputError(
            f"--working-dir: missing; {', '.join(texts_of)} are more than a ConfigMap holds: give "
            f"the address of a .zip that holds them"
        )
    return texts_of


def texts(data: Any) -> Iterator[str]:
    """Every text in what a YAML file holds, keys left out."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from texts(value)
