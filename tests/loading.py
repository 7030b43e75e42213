"""What a command imports, in a Python of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = {
    *("ray", "mlflow", "optuna", "pandas", "plotly", "matplotlib", "sklearn", "scipy", "boto3"),
    *("torch", "torchvision", "gpytorch"),
}


def loaded(*arguments: str) -> tuple[set[str], subprocess.CompletedProcess[str]]:
    """The packages that a Python of its own has imported, and how it ended."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    names = (line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line)
    return {name.partition(".")[0] for name in names}, done
