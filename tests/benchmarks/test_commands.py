"""Every command that a document or a kept result names is there."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import benchmarks
from benchmarks.fidelity.__main__ import STUDIES as FIDELITY
from benchmarks.speed.__main__ import STUDIES as SPEED

ROOT = Path(__file__).parents[2]
FILES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/results/*")]
FILES += [ROOT / "Makefile", ROOT / "benchmarks" / "__init__.py"]
NAMED = {
    name for file in FILES for name in re.findall(r"-m (benchmarks(?:\.\w+)*)", file.read_text())
}


@pytest.mark.parametrize("name", sorted(NAMED))
def test_it_can_be_run(name: str) -> None:
    found = find_spec(name)
    assert found is not None
    if found.submodule_search_locations:
        assert find_spec(f"{name}.__main__") is not None
    else:
        assert '__name__ == "__main__"' in Path(str(found.origin)).read_text()


def test_all_are_listed() -> None:
    """And no room's own command runs instead, though names are looked for in the rooms, too."""
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == str(benchmarks.__doc__).strip()


@pytest.mark.parametrize(
    ("room", "studies"), [("benchmarks.fidelity", FIDELITY), ("benchmarks.speed", SPEED)]
)
def test_a_room_of_studies_says_which_there_are(room: str, studies: tuple[str, ...]) -> None:
    for asked, code in (["--help"], 0), (["-h"], 0), ([], 2), (["bp"], 2):
        said = subprocess.run(
            [sys.executable, "-m", room, *asked],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.returncode == code
        assert said.stdout == f"usage: python -m {room} {{{','.join(studies)}}} [--help]\n"
    for name in studies:
        assert find_spec(f"{room}.{name.replace('-', '_')}")
