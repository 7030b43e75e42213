"""A file that says the class of each picture of a part that has no folders of classes.

A line a picture: its name, then its class, by name or by number, with blanks, tabs or commas
between them. So are TinyImageNet's val_annotations.txt, ImageNet's LOC_val_solution.csv and Caffe's
val.txt. A file counts if it names every picture of the part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pruning.errors import InputError
from pruning.reading.pictures import Picture
from pruning.reading.places import instead_of_file
from pruning.reading.spec import DataSpec

_ENDINGS = {".txt", ".csv", ".tsv"}
_LARGEST = 2**28


def annotated(
    folder: Path, root: Path, pictures: Sequence[Picture], spec: DataSpec
) -> tuple[list[str], Path] | None:
    """The class of each picture as the file has it, and the file; None if none names them all.

    Looked at are the texts in the part's folder and in the root, or ``task.data.annotations``
    alone. Raises InputError where two say different things.
    """
    found: tuple[list[str], Path] | None = None
    for file in _candidates(folder, root, spec):
        classes = _read(file)
        keys = [picture.file.name for picture in pictures if isinstance(picture.file, Path)]
        given = [classes.get(key) or classes.get(Path(key).stem) for key in keys]
        whole = [one for one in given if one is not None]
        if not pictures or len(whole) < len(pictures):
            continue
        if found and found[0] != whole:
            raise InputError(
                f"task.data.annotations: missing; {str(found[1])!r} and {str(file)!r} say other "
                f"classes of the pictures in {str(folder)!r}"
            )
        found = found or (whole, file)
    return found


def numbered(classes: Sequence[str], names: Sequence[str], file: Path) -> list[int]:
    """The numbers of classes: that of their name, or of a number that counts names from 0.

    Raises ValueError for others; numbers from 1, as ILSVRC's own, are in an order not known here.
    """
    places = {name: number for number, name in enumerate(names)}
    strange = sorted({one for one in classes if one not in places})
    if not strange:
        return [places[one] for one in classes]
    if all(one.isdecimal() for one in classes):
        numbers = [int(one) for one in classes]
        if min(numbers) == 0 and max(numbers) < len(names):
            return numbers
        raise ValueError(
            f"{str(file)!r} has classes by number, from {min(numbers)} to {max(numbers)}; names of "
            f"the training part's folders are needed, or their numbers in order, from 0"
        )
    raise ValueError(f"{str(file)!r} has class {strange[0]!r}, which the training part has not")


def _candidates(folder: Path, root: Path, spec: DataSpec) -> Iterator[Path]:
    if spec.annotations:
        file = Path(spec.annotations).expanduser()
        file = file if file.is_file() else root / file
        if not file.is_file():
            why = instead_of_file(file)
            raise InputError(f"task.data.annotations: file {spec.annotations!r} {why}")
        yield file
        return
    for place in dict.fromkeys((folder, root)):
        for file in sorted(place.iterdir()):
            text = file.suffix.lower() in _ENDINGS and not file.name.startswith(".")
            if text and file.is_file() and file.stat().st_size < _LARGEST:
                yield file


def _read(file: Path) -> dict[str, str]:
    """Classes by the names of pictures, with and without what stands before and after them."""
    found = {}
    for line in file.read_text(errors="replace").splitlines():
        name, *rest = re.split(r"[\t,]" if re.search(r"[\t,]", line) else r"\s+", line, maxsplit=1)
        classes = re.split(r"[\s,]+", rest[0].strip()) if rest else []
        if classes and classes[0]:
            found[Path(name.strip().strip('"')).name] = classes[0].strip('"')
    return found
