"""Names in a sweep file: one of ours, or the user's own code by ``package.module:attribute``.

A dotted path is code that will be run with the user's rights, as an import is.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pruning.errors import unknown
from pruning.foreign import ForeignError, foreign, told

T = TypeVar("T")
_MISSING = object()
_FOLDERS: list[str] = []


def import_from(folder: str) -> None:
    """Let dotted paths name what lies in a folder, as a script's own folder is searched first.

    Others that run the same task are told by ``imported_from``.
    """
    if folder not in _FOLDERS:
        _FOLDERS.append(folder)
    if folder not in sys.path:
        sys.path.insert(0, folder)


def imported_from() -> list[str]:
    """The folders of ``import_from``, in their order."""
    return list(_FOLDERS)


def is_dotted(name: str) -> bool:
    """Whether ``name`` is a ``package.module:attribute`` path."""
    return ":" in name


def import_dotted(path: str) -> Any:
    """The object at ``package.module:attribute``. Raises ValueError saying what is missing."""
    module_name, _, attribute = path.partition(":")
    with foreign(f"{path!r} does not import", _WANTED):
        module = _module(module_name, path)
        found = getattr(module, attribute, _MISSING)
    if found is _MISSING:
        raise ValueError(f"{path!r}: module {module_name!r} has no {attribute!r}; {_WANTED}")
    return found


def _module(name: str, path: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        places = ", ".join(map(repr, _FOLDERS))
        where = f"in {places} and on PYTHONPATH" if places else "on PYTHONPATH"
        raise ForeignError(
            f"{path!r} does not import ({told(error)}); your own, package.module:attribute, is "
            f"looked for {where}"
        ) from None


def import_callable(path: str) -> Callable[..., Any]:
    """The function or class at ``package.module:attribute``. Raises ValueError."""
    found = import_dotted(path)
    if not callable(found):
        kind = type(found).__name__
        raise ValueError(f"{path!r} is of type {kind}, which cannot be called; {_WANTED}")
    return found  # type: ignore[no-any-return]


def call(make: Callable[..., Any], **given: Any) -> Any:
    """What it returns. A coroutine is closed, as Python would warn that nobody awaits it."""
    found = make(**given)
    if inspect.iscoroutine(found):
        found.close()
    return found


def lookup(kind: str, name: str, known: Mapping[str, type[T]], base: type[T]) -> type[T]:
    """The subclass of ``base`` behind a name. Raises ValueError with the nearest right name."""
    if name in known:
        return known[name]
    if not is_dotted(name):
        raise ValueError(f"{unknown(kind, name, known)}; {_WANTED}")
    found = import_dotted(name)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"{name!r} is not a {base.__module__}.{base.__name__}")
    return found


def dotted_name(kind: type[T], known: Mapping[str, type[T]]) -> str:
    """How a sweep file names a class; the inverse of ``lookup``."""
    ours = {found: name for name, found in known.items()}
    return ours.get(kind, f"{kind.__module__}:{kind.__qualname__}")


_WANTED = "your own is given as package.module:attribute"
