"""What the scripts share that take pictures of pages: a browser, a server to look at, small files.

They need Debian's `chromium` and the Python package `playwright` (no browser of its own).
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "system"))
from browser import browser_page
from serving import serving

__all__ = ["browser_page", "serving", "shrink"]


def shrink(path: Path, colours: int = 128) -> None:
    """Few colours make a picture of a page a third of its size."""
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(colours).save(path, optimize=True)
