"""Who imports whom, and whether rooms look only down.

A room is what lies directly in a package: a folder, or a module of its own. Rooms stand in storeys,
named from the ground up; those of one storey, between spaces, do not know one another. A package's
own ``__init__``, its face, stands above them all. Imports are read and not run, so that none hides
in a function or under TYPE_CHECKING; what is imported by a string is not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from itertools import pairwise
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One module imports another, at ``file:line``."""

    where: str
    importer: str
    imported: str

    def __str__(self) -> str:
        return f"{self.where} imports {self.imported}"


def modules(root: Path) -> dict[str, Path]:
    """The modules in a folder by name: of its packages, and those beside them."""
    packages = sorted(init.parent for init in root.glob("*/__init__.py"))
    files = [*root.glob("*.py"), *(file for package in packages for file in package.rglob("*.py"))]
    return {_name(file.relative_to(root)): file for file in sorted(files)}


def imports(root: Path) -> list[Import]:
    """Every import in those modules, of one another and of strangers."""
    known = modules(root)
    found = {
        Import(f"{path.relative_to(root)}:{line}", importer, _owner(name, known) or name): None
        for importer, path in known.items()
        for name, line in _names(importer, path)
    }
    return list(found)


def misplaced(root: Path, package: str, storeys: Sequence[str]) -> list[str]:
    """What breaks the order of a package's rooms, a line each; package "": of the packages."""
    floors = {room: floor for floor, storey in enumerate(storeys) for room in storey.split()}
    inside = [name for name in modules(root) if _is_in(name, package)]
    there = {_room(name, package) for name in inside} - {_FACE}
    place = f"{package}/" if package else ""
    faults = [f"{place}{room} stands in no storey" for room in sorted(there - floors.keys())]
    faults += [f"{place}{room} is not there any more" for room in sorted(floors.keys() - there)]
    floors[_FACE] = len(storeys)
    for one in imports(root):
        if not (_is_in(one.importer, package) and _is_in(one.imported, package)):
            continue
        upper, lower = _room(one.importer, package), _room(one.imported, package)
        if upper != lower and {upper, lower} <= floors.keys() and floors[upper] <= floors[lower]:
            how = "beside" if floors[upper] == floors[lower] else "above"
            faults.append(f"{one}: {place}{lower} stands {how} {place}{upper}, not below it")
    return faults


def faces(root: Path) -> list[str]:
    """Where a package's own module gets hold of its face by importing a room of it, a line each.

    ``import house.attic`` binds ``house``, and with it all that the face shows.
    """
    return [
        f"{path.relative_to(root)}:{node.lineno} imports {alias.name} and with it the face of "
        f"{house}: write from {alias.name} import ..."
        for importer, path in modules(root).items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import)
        for alias in node.names
        for house, dot, _ in [alias.name.partition(".")]
        if dot and not alias.asname and _is_in(importer, house)
    ]


def circle(root: Path) -> str:
    """Modules that import one another in a circle, if there are any, and where they do."""
    own = {(one.importer, one.imported): one for one in imports(root)}
    graph: dict[str, set[str]] = {name: set() for name in modules(root)}
    for importer, imported in own:
        graph[importer] |= {imported} & graph.keys()
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        names = error.args[1][::-1]
        return ", ".join(str(own[step]) for step in pairwise(names))
    return ""


_FACE = "__init__"


def _name(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(f".{_FACE}")


def _names(importer: str, path: Path) -> Iterator[tuple[str, int]]:
    """The full names a module imports, with their lines."""
    package = importer if path.stem == _FACE else importer.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            yield from ((f"{source}.{alias.name}", node.lineno) for alias in node.names)


def _owner(name: str, known: dict[str, Path]) -> str:
    """The module that is or holds what is imported by a name, "" for a stranger's."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def _is_in(name: str, package: str) -> bool:
    return not package or f"{name}.".startswith(f"{package}.")


def _room(name: str, package: str) -> str:
    inner = name.removeprefix(package).removeprefix(".")
    return inner.partition(".")[0] or _FACE
