"""The repository's Markdown as tests read it: its links, headings and blocks of code."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath

ROOT = Path(__file__).parents[1]
OURS = "pruning|sweeps|cluster|dashboards|earlyprune|benchmarks|docs|tests"

_FENCED = re.compile(r"^ *```.*?^ *``` *$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?)[ #]*$", re.MULTILINE)
_ANCHOR = re.compile(r"<\w+ (?:id|name)=[\"']([^\"']+)[\"']")
_LINK = re.compile(
    r"(?:\[([^][]*)|\))\]\(<?([^)>\s]+)"  # of a text, or of a picture
    r"|^ *\[[^]]+\]: *(\S+)|(?:href|src)=[\"']([^\"']+)[\"']",
    re.MULTILINE,
)
_REFERENCE = re.compile(r"\[([^][]*)\]\[([^][]*)\]")
_LABEL = re.compile(r"^ *\[([^]]+)\]:", re.MULTILINE)
_PATH = re.compile(rf"`((?:{OURS})/(?:[\w.-]+/?)*)`")
_STANDS_FOR_ANY = re.compile(r"/[A-Z]+(?:\.py|/|$)")
_MODULE = re.compile(rf"python -m ((?:{OURS})[\w.]*\w)")


@dataclass(frozen=True)
class Link:
    """A link to a file here, or to a heading. path: from the root of the repository."""

    text: str
    path: str
    anchor: str


def tracked(root: Path = ROOT) -> dict[str, Path]:
    """The files that git knows, by their names from the root."""
    listed = ["git", "-C", str(root), "ls-files", "-z"]
    names = subprocess.run(listed, capture_output=True, check=True, text=True).stdout
    return {name: root / name for name in names.split("\0") if name}


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of one language, each in the lines of the page: what is before is left blank."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return ["\n" * text.count("\n", 0, one.start(1)) + one[1] for one in found]


def broken(files: dict[str, Path]) -> Iterator[str]:
    """What the Markdown among these files points to and is not there, a line each."""
    known = {str(folder) for name in files for folder in PurePosixPath(name).parents} | set(files)
    for name, page in files.items():
        if name.endswith(".md"):
            text = page.read_text(encoding="utf-8")
            wrong = [line for link in links(name, text) for line in _wrong(link, known, files)]
            for line in (*wrong, *_unlabelled(text), *_gone(text, known)):
                yield f"{name}: {line}"


def links(name: str, text: str) -> Iterator[Link]:
    """The links of a page to what is in the repository."""
    for found in _LINK.finditer(_FENCED.sub("", text)):
        title, target = found[1] or "", found[2] or found[3] or found[4]
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            near = normpath(PurePosixPath(name).parent / path) if path else name
            yield Link(title, near, anchor)


def anchors(text: str) -> set[str]:
    """What a link can lead to within a page, as GitHub names its headings."""
    bare = _FENCED.sub("", text)
    found: set[str] = set(_ANCHOR.findall(bare))
    for heading in _HEADING.findall(bare):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w -]", "", shown.lower()).replace(" ", "-")
        again = (f"{name}-{number}" for number in range(1, len(found) + 1))
        found.add(next(again) if name in found else name)
    return found


def _wrong(link: Link, known: set[str], files: dict[str, Path]) -> Iterator[str]:
    text = files[link.path].read_text("utf-8", "replace") if link.path in files else ""
    if link.path not in known:
        yield f"there is no {link.path}"
    elif link.anchor and link.anchor not in anchors(text):
        yield f"{link.path} has no heading #{link.anchor}"
    elif link.path.endswith(".py"):
        for part in _code(link.text):
            if not re.search(rf"\b(?:def|class) {part}\b|^{part}\b.*=", text, re.MULTILINE):
                yield f"{link.path} does not define {part}"


def _unlabelled(text: str) -> Iterator[str]:
    """Links by a label, ``[text][label]`` or ``[label][]``, that the page does not explain."""
    bare = re.sub(r"`([^`\n]*)`", lambda code: re.sub(r"[][]", "", code[1]), _FENCED.sub("", text))
    labels = {label.lower() for label in _LABEL.findall(bare)}
    for shown, label in _REFERENCE.findall(bare):
        if (label or shown).lower() not in labels:
            yield f"[{label or shown}] leads nowhere"


def _code(text: str) -> list[str]:
    """The parts of a name of Python that a link has for its text: ``Tree.lost``."""
    name = re.fullmatch(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)`", text)
    return name[1].split(".") if name and not name[1].endswith(".py") else []


def _gone(text: str, known: set[str]) -> Iterator[str]:
    """Files, folders and commands that a page names without a link."""
    for place in _PATH.findall(text):
        if place.rstrip("/") not in known and not _STANDS_FOR_ANY.search(place):
            yield f"there is no {place}"
    for module in _MODULE.findall(text):
        place = module.replace(".", "/")
        if known.isdisjoint((f"{place}.py", f"{place}/__main__.py")):
            yield f"there is no {module} to run"
