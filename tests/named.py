"""What pages name without a link, and must be there: code, commands, studies."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pkgutil import resolve_name

import typer

from benchmarks.fidelity.__main__ import STUDIES as FIDELITY
from benchmarks.speed.__main__ import STUDIES as SPEED
from earlyprune.commands import app

STUDIES = {"benchmarks.fidelity": FIDELITY, "benchmarks.speed": SPEED}

_DEFINED = re.compile(r"`([A-Z]\w*\.\w+|[A-Z][A-Z_]+)`")
_CODE = re.compile(r"^ *```sh\n(.*?)^ *```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
_DOTTED = re.compile(r"`((?:earlyprune|pruning)(?:\.\w+)+)[`(]")
_FILES = (".json", ".py")
_COMMAND = re.compile(r"(?:^|[\s/])earlyprune ([a-z]\w*)(?: ([a-z]\w*))?")
_STUDY = re.compile(r"-m (benchmarks\.\w+) ([a-z][\w-]*)")


def undefined(text: str, sources: Iterable[str]) -> Iterator[str]:
    """Each ``Class.name`` and ``NAME`` in backticks that no source defines, a line each."""
    known = {name for source in sources for name in _definitions(ast.parse(source).body)}
    for name in dict.fromkeys(_DEFINED.findall(text)):
        if name not in known:
            yield f"nothing defines {name}"


def not_to_be_had(text: str) -> Iterator[str]:
    """Each ``earlyprune.name`` and ``pruning.name`` in backticks that nobody can import."""
    for name in _DOTTED.findall(text):
        if not name.endswith(_FILES):
            try:
                resolve_name(name)
            except (ImportError, AttributeError):
                yield f"there is no {name}"


def not_commands(text: str) -> Iterator[str]:
    """Each ``earlyprune COMMAND``, and study of a benchmark, that there is not, a line each."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    code = "\n".join(shell or span for shell, span in _CODE.findall(text))
    for command, below in _COMMAND.findall(code):
        inner = getattr(commands.get(command), "commands", {})
        if command not in commands:
            yield f"there is no command earlyprune {command}"
        elif inner and below not in inner:
            yield f"there is no command earlyprune {command} {below}"
    for room, study in _STUDY.findall(code):
        if study not in STUDIES.get(room, (study,)):
            yield f"there is no study {study} of {room}"


def _definitions(body: Iterable[ast.stmt], owner: str = "") -> Iterator[str]:
    """Names that a module or a class binds in its own lines, those of a class after its name."""
    for node in body:
        match node:
            case ast.ClassDef(name=name, body=inner):
                yield owner + name
                yield from _definitions(inner, f"{name}.")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield owner + name
            case ast.Assign(targets=targets):
                yield from (owner + part.id for part in targets if isinstance(part, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield owner + name
