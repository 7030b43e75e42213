"""A headless Chromium that reaches no network, and what its page complains of.

Needs Debian's `chromium` and the Python package `playwright` (no browser of its own).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Dialog, Page, Route, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
DRAWN = """() => [...document.querySelectorAll(".plot")].every(
    plot => plot.matches(".js-plotly-plot") && plot.querySelector(".main-svg"))"""


@dataclass
class Sight:
    """A page, and what happened on it.

    errors: of the console and of scripts. blocked: addresses it asked for and did not get. dialogs:
    texts of those that a script opened; they are dismissed.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def open(self, file: Path, seconds: float = 60) -> None:
        """Open a page of ours and wait until its plots are drawn."""
        self.page.goto(file.resolve().as_uri())
        self.page.wait_for_function(DRAWN, timeout=1000 * seconds)

    def _route(self, route: Route, local: bool) -> None:
        address = urlsplit(route.request.url)
        here = address.scheme in ("file", "data", "blob")
        if here or (local and address.hostname == "127.0.0.1"):
            route.continue_()
        else:
            self.blocked.append(route.request.url)
            route.abort()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


@contextmanager
def browser_page(
    width: int = 1280, height: int = 900, dark: bool = False, local: bool = False
) -> Iterator[Sight]:
    """A page for files of this machine; with ``local`` for servers on 127.0.0.1, too."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if dark else "light",
            )
            sight = Sight(context.new_page())
            context.route("**/*", lambda route: sight._route(route, local))
            sight.page.on("console", sight._said)
            sight.page.on("pageerror", lambda error: sight.errors.append(str(error)))
            sight.page.on("dialog", sight._dialog)
            yield sight
        finally:
            browser.close()
