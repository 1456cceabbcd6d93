"""Headless Chromium, driven by Playwright."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Without a sandbox it starts as root, too; the others keep it from asking for updates
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--no-first-run"]  # fmt: skip


def chromium_or_skip():
    """Return the path of Chromium, or skip; fail if FASTRESTORE_TEST_REQUIRE names "browser"."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if "browser" in os.environ.get("FASTRESTORE_TEST_REQUIRE", "").split(","):
        assert path, f"none of {', '.join(NAMES)} is installed"
        return path
    pytest.importorskip("playwright", reason="the page is tested with the extra 'browser'")
    pytest.importorskip("axe_playwright_python")
    if not path:
        pytest.skip("Chromium is not installed")
    return path


@contextmanager
def chromium():
    """Yield a running browser."""
    path = chromium_or_skip()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


class Opened:
    """A page in a browser without network, and what it asked for and complained of."""

    def __init__(self, browser, path, **options):
        self.requests, self.complaints = [], []
        self.context = browser.new_context(offline=True, **options)
        self.tab = self.context.new_page()
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(Path(path).as_uri())
        self.settle()

    def settle(self):
        """Wait until all that was chosen is drawn."""
        self.tab.wait_for_selector("#stage[data-ready]")
        self.tab.evaluate(
            "async () => { for (let k = 0; k < 3; k++)"
            " await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20))); }"
        )

    def color(self, x, y):
        """Return red, green and blue of the canvas at a part of its width and height."""
        self.settle()
        return self.tab.evaluate(
            """([x, y]) => {
                const canvas = document.getElementById("canvas");
                const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height)];
                const pixel = document.createElement("canvas");
                pixel.width = pixel.height = 1;
                const context = pixel.getContext("2d", {willReadFrequently: true});
                context.drawImage(canvas, -at[0], -at[1]);
                return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
            }""",
            [x, y],
        )

    def text(self, selector):
        self.settle()
        return self.tab.inner_text(selector)
