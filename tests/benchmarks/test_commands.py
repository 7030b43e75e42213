"""Every command that a document or a kept result names is there."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import benchmarks

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
