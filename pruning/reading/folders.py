"""A folder of pictures by class, and the forms in which such folders are published.

``train``, ``val`` and ``test`` under any of their usual names; the folders of classes alone; a part
of pictures without folders of classes, with a file that says their classes (ImageNet,
TinyImageNet). What is hidden is passed over, what else is not read is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

import numpy as np
from torchvision.datasets.folder import IMG_EXTENSIONS

from pruning.reading.annotations import annotated, numbered
from pruning.reading.given import Sets
from pruning.reading.labels import Classes
from pruning.reading.parts import part_named, refuse_settings, unread_notes
from pruning.reading.picture_sets import picture_sets
from pruning.reading.pictures import Picture, read_alike
from pruning.reading.places import instead_of_folder
from pruning.reading.spec import Augment, DataSpec

_OF_SYSTEMS = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "lost+found"}

Listed = tuple[list[Picture], list[int]]


def imagefolder(place: str, spec: DataSpec, augment: Augment) -> Sets:
    """The pictures of a folder. Raises ValueError, naming the file or folder that is wrong."""
    refuse_settings(spec, "options", "layout")
    root = Path(place).expanduser()
    if not root.is_dir():
        raise ValueError(f"folder {str(root)!r} {instead_of_folder(root)}")
    folders = _parts(root)
    train = folders.pop("train", root)
    names, listed, read = _training(train, root, spec)
    parts, notes = {"train": listed}, list[str]()
    for part, folder in folders.items():
        found, more, note = _judging(part, folder, root, names, spec)
        parts |= {part: found} if found else {}
        read, notes = [*read, folder, *more], [*notes, *note]
    rest = [entry.name for entry in _visible(root) if entry not in read]
    notes = [*unread_notes(str(root), rest), *_no_pictures({*read} - {root}), *notes]
    sets = read_alike(parts, spec.channels)

    def check() -> None:
        for one in sets.values():
            one.check()

    classes, channels = Classes(np.arange(len(names)), tuple(names)), sets["train"].channels
    return picture_sets(sets, channels, spec.image_size, classes, augment, tuple(notes), check)


def _parts(root: Path) -> dict[str, Path]:
    """The folders of parts by what they are; none where folders of classes stand alone."""
    found: dict[str, Path] = {}
    for folder in filter(Path.is_dir, _visible(root)):
        part = part_named(folder.name)
        if part in found:
            raise ValueError(
                f"folder {str(root)!r} has both {found[part].name!r} and {folder.name!r}, which "
                f"mean the same; one is needed"
            )
        if part:
            found[part] = folder
    if found and "train" not in found:
        there = ", ".join(sorted(repr(folder.name) for folder in found.values()))
        raise ValueError(f"folder {str(root)!r} has {there} and no 'train'")
    return found


def _training(train: Path, root: Path, spec: DataSpec) -> tuple[list[str], Listed, list[Path]]:
    """The names of classes, the training part, and what was read of the root."""
    folders = [entry for entry in _visible(train) if entry.is_dir()]
    if len(folders) < 2 and (found := annotated(train, root, _pictures(train), spec)):
        names = sorted(set(found[0]))
        return names, (_pictures(train), [names.index(one) for one in found[0]]), [train, found[1]]
    if len(folders) < 2:
        what = f"one class, {folders[0].name!r}" if folders else "no folders of classes"
        raise ValueError(f"folder {str(train)!r} has {what}; two or more are needed")
    for folder in folders:
        _refuse_empty(folder)
    names = [folder.name for folder in folders]
    return names, _by_folder(train, names), [train, *folders]


def _judging(
    part: str, folder: Path, root: Path, names: Sequence[str], spec: DataSpec
) -> tuple[Listed | None, list[Path], list[str]]:
    """A part with the classes of the training part; what was read of the root, and notes.

    A test part without classes, as it is published for contests, is none. Raises ValueError.
    """
    inside, pictures = (
        [entry.name for entry in _visible(folder) if entry.is_dir()],
        _pictures(folder),
    )
    by_folder = bool(set(inside) & set(names))
    found = None if by_folder else annotated(folder, root, pictures, spec)
    if not by_folder and not found and part == "test" and len(inside) < 2:
        why = "whose pictures have no classes" if pictures or inside else "which has no pictures"
        return None, [], [f"not read: {str(folder)!r}, {why}"]
    if not pictures:
        raise ValueError(f"folder {str(folder)!r} has no pictures")
    if found:
        return (pictures, numbered(found[0], names, found[1])), [found[1]], []
    strange = [name for name in inside if name not in names]
    if by_folder and strange:
        raise ValueError(f"{str(folder)!r} has class {strange[0]!r}, which 'train' has not")
    if by_folder:
        return _by_folder(folder, inside, names), [], []
    raise ValueError(
        f"{str(folder)!r} has none of the classes of 'train', and no text there names all of its "
        f"{len(pictures)} pictures with their classes (task.data.annotations)"
    )


def _by_folder(part: Path, inside: Sequence[str], names: Sequence[str] | None = None) -> Listed:
    """The pictures of each folder of a class, in torchvision's order."""
    pictures, labels = [], []
    for name in inside:
        found = _pictures(part / name)
        pictures += found
        labels += [(names or inside).index(name)] * len(found)
    return pictures, labels


def _pictures(folder: Path) -> list[Picture]:
    """All below a folder, in torchvision's order."""
    return [Picture(str(path), path) for path in _files(folder) if _is_picture(path)]


def _no_pictures(read: Set[Path]) -> tuple[str, ...]:
    """How many files among the pictures are none, and the first, in a line."""
    folders = [one for one in sorted(read) if one.is_dir() and not read & {*one.parents}]
    below = (file for folder in folders for file in _files(folder))
    others = [file for file in below if not _is_picture(file) and file not in read]
    if not others:
        return ()
    more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
    endings = ", ".join(IMG_EXTENSIONS)
    return (f"not read, as none of {endings}: {str(others[0])!r}{more}",)


def _is_picture(path: Path) -> bool:
    return path.name.lower().endswith(IMG_EXTENSIONS)


def _files(folder: Path) -> Iterator[Path]:
    """All below a folder but what is hidden, in torchvision's order."""
    for place, files in sorted(_walked(folder)):
        if any(_hidden(step) for step in Path(place).relative_to(folder).parts):
            continue
        yield from (Path(place) / name for name in sorted(files) if not _hidden(name))


def _walked(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Every folder below, links followed. Raises ValueError for one that leads back up."""
    for place, _, files in os.walk(folder, followlinks=True):
        here, around = os.path.realpath(place), os.path.realpath(os.path.dirname(place))
        if place != str(folder) and f"{around}{os.sep}".startswith(f"{here}{os.sep}"):
            raise ValueError(f"{place!r} is a link to a folder that it lies in")
        yield place, files


def _refuse_empty(folder: Path) -> None:
    if not _pictures(folder):
        files = [entry.name for entry in _visible(folder)]
        what = f"has no pictures, but {files[0]!r} and the like" if files else "is empty"
        raise ValueError(
            f"class folder {str(folder)!r} {what} (allowed: {', '.join(IMG_EXTENSIONS)})"
        )


def _visible(folder: Path) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if not _hidden(entry.name)]


def _hidden(name: str) -> bool:
    return name.startswith((".", "~")) or name.lower() in _OF_SYSTEMS
