"""The few small packages that pruning/ needs beside torch, where no package index is in reach.

``make wheels`` puts them into ``.wheels``; this installs what is missing into a folder of its own.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WHEELS = Path(".wheels")
CARRIED = {
    "pydantic": "pydantic",
    "pydantic_core": "pydantic-core",
    "annotated_types": "annotated-types",
    "typing_inspection": "typing-inspection",
    "safetensors": "safetensors",
}
"""Import names of what ``make wheels`` fetches, with the names of their distributions."""
EXPECTED = ("torch", "torchvision", "gpytorch")


def missing(names: tuple[str, ...]) -> list[str]:
    """Those of the modules that cannot be imported here."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def provide() -> None:
    """Make everything importable, here and in processes started from here.

    Raises SystemExit with one line that says what to do where that cannot be had.
    """
    large = missing(EXPECTED)
    if large:
        raise SystemExit(f"error: {', '.join(large)} cannot be imported; run `make install`")
    lacking = missing(tuple(CARRIED))
    if not lacking:
        return
    names = [CARRIED[name] for name in lacking]
    if not any(WHEELS.glob("*.whl")):
        raise SystemExit(
            f"error: {', '.join(names)} cannot be imported; run `make wheels` where there is a "
            f"package index, and bring {WHEELS} along"
        )
    folder = tempfile.mkdtemp(prefix="earlyprune-packages-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _install(names, folder)


def _install(names: list[str], folder: str) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
    where = ["--find-links", str(WHEELS), "--target", folder]
    done = subprocess.run([*pip, *where, *names], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or "pip failed").splitlines()[-1]
        raise SystemExit(
            f"error: {', '.join(names)} could not be installed from {WHEELS} ({reason}); "
            f"run `make wheels WHEEL_PYTHON={version}`"
        )
    sys.path.insert(0, folder)
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, inherited] if inherited else [folder])
    importlib.invalidate_caches()
