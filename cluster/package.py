"""What travels with a sweep to another machine: its file, and the user's own code that it names."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pruning.errors import InputError

_DOTTED = re.compile(r"([A-Za-z_]\w*)(\.[A-Za-z_]\w*)*:[A-Za-z_][\w.]*")
_RELATIVE = re.compile(r"(npz|imagefolder):(?!/)(?!.*://)(.*)")
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
    """Copy a sweep file into ``folder``, with the modules of ``here`` that it names by dotted path.

    Returns the file's place in it. A module that imports others of one's own needs a whole working
    directory instead. Raises InputError for data at a relative path, which would not travel.
    """
    for text in texts(yaml.safe_load(config.read_text())):
        if _RELATIVE.fullmatch(text):
            raise InputError(
                f"task.data: {text!r} is not allowed in a job without --working-dir: data does not "
                f"travel; give an absolute path that all machines see"
            )
    for name in sorted(own_modules(config, here)):
        module, package = here / f"{name}.py", here / name
        if package.is_dir():
            shutil.copytree(package, folder / name, ignore=_LEAVE)
        else:
            shutil.copy(module, folder)
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


def own_modules(config: Path, here: Path) -> set[str]:
    """Top-level modules and packages of ``here`` that a sweep file names."""
    heads = {
        found[1]
        for text in texts(yaml.safe_load(config.read_text()))
        if (found := _DOTTED.fullmatch(text))
    }
    return {name for name in heads if (here / f"{name}.py").is_file() or (here / name).is_dir()}


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
