"""Arrays as numpy keeps them: an npz archive, or a folder of npy files. Nothing is unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from pruning.errors import one_line
from pruning.reading.arrays import Array
from pruning.reading.given import Arrays
from pruning.reading.parts import arrays_of, refuse_settings
from pruning.reading.places import instead_of_file, instead_of_folder
from pruning.reading.spec import DataSpec

_PICKLED = (
    "holds Python objects, which only unpickling could read, and that runs whatever code is in "
    "them; save plain arrays (numbers, text) in their place"
)


def npz(place: str, spec: DataSpec) -> Arrays:
    """The arrays of an npz file; of a folder those of its npy files. Raises ValueError."""
    path = Path(place).expanduser()
    if path.is_dir():
        return npy(place, spec)
    refuse_settings(spec, "options", "channels", "annotations")
    if not path.is_file():
        raise ValueError(f"file {str(path)!r} {instead_of_file(path)}")
    if not zipfile.is_zipfile(path):
        why = "it is an npy file: give npy:FOLDER" if _is_npy(path) else "it is no archive"
        raise ValueError(f"{str(path)!r} is no npz file of plain arrays ({why})")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # numpy and zipfile raise many kinds
        raise ValueError(f"{str(path)!r} is no npz file of plain arrays ({_why(error)})") from None
    return arrays_of(arrays, str(path), spec)


def npy(place: str, spec: DataSpec) -> Arrays:
    """The arrays of the files NAME.npy in a folder: x_train.npy, y_train.npy, ...

    Raises ValueError.
    """
    refuse_settings(spec, "options", "channels", "annotations")
    path = Path(place).expanduser()
    if not path.is_dir():
        hint = "; give its folder" if path.is_file() else ""
        raise ValueError(f"folder {str(path)!r} {instead_of_folder(path)}{hint}")
    files = sorted(path.glob("*.npy"))
    if not files:
        raise ValueError(
            f"{str(path)!r} is a folder without npy files (x_train.npy, y_train.npy, ...)"
        )
    return arrays_of({file.stem: _read(file) for file in files}, str(path), spec)


def _read(file: Path) -> Array:
    if not file.is_file():
        raise ValueError(f"file {str(file)!r} {instead_of_file(file)}")
    try:
        found: Array = np.load(file, allow_pickle=False)
    except Exception as error:
        raise ValueError(f"{str(file)!r} is no npy file of a plain array ({_why(error)})") from None
    return found


def _is_npy(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) == b"\x93NUMPY"


def _why(error: Exception) -> str:
    """What numpy says, but for its advice to unpickle."""
    text = one_line(error)
    return _PICKLED if "pickle" in text else text
