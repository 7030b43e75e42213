"""pruning/ stands on its own: it knows nothing of those above it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pruning

ROOT = Path(__file__).parents[2]
ABOVE = {"ray", "mlflow", "optuna", "sweeps", "cluster", "dashboards", "earlyprune"}
MODULES = sorted((ROOT / "pruning").rglob("*.py"))

IMPORT_ALL = """
import importlib, json, pkgutil, sys
import pruning
names = [found.name for found in pkgutil.walk_packages(pruning.__path__, "pruning.")]
for name in names:
    importlib.import_module(name)
print(json.dumps([names, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_importing_all_of_it_loads_nothing_from_above() -> None:
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=ROOT, check=True, capture_output=True, text=True
    )
    imported, loaded = json.loads(run.stdout.splitlines()[-1])
    assert len(imported) == len(MODULES) - 1  # all but pruning itself, and each folder a package
    assert not ABOVE & set(loaded)


NAMES = """
import json, sys
import pruning.errors, pruning.forecast.kinds, pruning.policies, pruning.training.task
light = sorted({"torch", "pydantic"} & set(sys.modules))
import pruning.saliency
print(json.dumps([light, all(getattr(pruning, name) is not None for name in pruning.__all__)]))
assert pruning.saliency("taylor").key == "taylor"
"""


def test_its_names_are_loaded_when_they_are_asked_for() -> None:
    """And ``saliency`` is the function, though a folder of that name has been imported."""
    run = subprocess.run(
        [sys.executable, "-c", NAMES], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert json.loads(run.stdout) == [["pydantic"], True]
    listed = {alias.name for alias in _imported(ROOT / "pruning" / "public.py")}
    assert listed == set(pruning.__all__)


def _imported(path: Path) -> list[ast.alias]:
    tree = ast.walk(ast.parse(path.read_text()))
    return [alias for node in tree if isinstance(node, ast.ImportFrom) for alias in node.names]
