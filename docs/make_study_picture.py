"""Takes docs/optuna-dashboard.png: the front and the history of a search in optuna-dashboard.

    python docs/make_study_picture.py --study sqlite:///earlyprune-runs/optuna.db --sweep search

Needs Debian's `chromium` and the Python packages `playwright` and `optuna-dashboard`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import optuna
from pictures import browser_page, serving, shrink
from playwright.sync_api import Page

AXES = "gpu_hours", "val_accuracy"
PLOTS = 4
SHOWN = 2
"""The front and the history of an objective; after them what no reader needs, or is misled by."""


def show_front(page: Page) -> None:
    """Cost to the right and accuracy upwards, as in our own plots."""
    page.wait_for_function(
        f"document.querySelectorAll('.js-plotly-plot .main-svg').length >= {PLOTS}"
    )
    page.wait_for_timeout(2000)
    for number, objective in enumerate(AXES):
        page.get_by_role("combobox").nth(number).click()
        page.get_by_role("option", name=objective).click()
        page.wait_for_timeout(1000)  # the menu fades, the plot is drawn anew
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", required=True)
    parser.add_argument("--sweep", default="search")
    parser.add_argument("--out", type=Path, default=Path("docs/optuna-dashboard.png"))
    options = parser.parse_args()
    names = optuna.get_all_study_names(options.study)
    name = next((name for name in names if name.rpartition(" ")[0] == options.sweep), None)
    if name is None:
        sys.exit(f"no study of the sweep {options.sweep!r} there")
    number = optuna.load_study(study_name=name, storage=options.study)._study_id
    command = [str(Path(sys.executable).parent / "optuna-dashboard"), options.study]
    with serving(command, "/dashboard/") as server, browser_page(local=True) as sight:
        page = sight.page
        page.goto(f"{server}/dashboard/studies/{number}")
        show_front(page)
        box = page.locator(".MuiCard-root").nth(SHOWN - 1).bounding_box()
        if box is None:
            sys.exit("optuna-dashboard does not look as it did")
        clip = {"x": 0, "y": 0, "width": 1280, "height": box["y"] + box["height"] + 16}
        page.set_viewport_size({"width": 1280, "height": round(clip["height"])})
        page.wait_for_timeout(1000)
        page.screenshot(path=options.out, clip=clip)
    shrink(options.out, colours=256)


if __name__ == "__main__":
    main()
