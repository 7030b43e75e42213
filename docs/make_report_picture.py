"""Takes docs/report.png: the top of a sweep's report, the answer and the front.

    python docs/make_report_picture.py --storage earlyprune-runs --sweep quickstart

Needs Debian's `chromium` and the Python package `playwright` (no browser of its own).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from pictures import browser_page, shrink

from dashboards import report
from sweeps.storage.store import Store

LAST = "#front-1"
CLOSE_TABLES = (
    "() => document.querySelectorAll('details').forEach(table => { table.open = false; })"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--storage", required=True)
    parser.add_argument("--sweep", default="quickstart")
    parser.add_argument("--out", type=Path, default=Path("docs/report.png"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, browser_page(width=1100) as sight:
        sight.open(report.write(Store(options.storage), options.sweep, Path(folder) / "page.html"))
        sight.page.evaluate(CLOSE_TABLES)
        box = sight.page.locator(LAST).bounding_box()
        if box is None:
            sys.exit(f"no front in the report of {options.sweep!r}")
        clip = {"x": 0, "y": 0, "width": 1100, "height": box["y"] + box["height"] + 24}
        sight.page.screenshot(path=options.out, full_page=True, clip=clip)
    shrink(options.out)


if __name__ == "__main__":
    main()
