"""pruning/ stands on its own: it knows nothing of those above it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
    assert len(imported) == len(MODULES) - 1  # all but pruning itself
    assert not ABOVE & set(loaded)
