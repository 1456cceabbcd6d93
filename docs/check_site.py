"""Check the built site in Chromium; print what is wrong, and exit with 1 if anything is.

    python docs/check_site.py build/docs [page ...]

Each page is loaded in a wide and a narrow window, light and dark. It must have no violation that
axe finds, be no wider than the window, and load nothing from outside.
"""

import itertools
import shutil
import sys
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

WIDTHS, SCHEMES = (1280, 375), ("light", "dark")  # 375 pixels: a phone
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Elements beyond the window that are in no part of the page that scrolls by itself
WIDE = """() => [...document.querySelectorAll("article *")].filter(each => {
    if (each.getBoundingClientRect().right <= window.innerWidth + 1) return false;
    for (let at = each; at.tagName != "ARTICLE"; at = at.parentElement)
        if (getComputedStyle(at).overflowX != "visible") return false;
    return true;
}).map(each => each.outerHTML.slice(0, 120))"""
FOLDERS = ("", "tasks", "gallery", "gallery/*")  # all of their pages are checked
OTHERS = (
    "guide/conventions",
    "guide/bm3d-explained",
    "guide/limits",
    "guide/benchmarks",
    "guide/model-cards",
    "guide/networks",
)


def main() -> None:
    """Check the pages that are named, or the first ones, all tasks and the gallery."""
    site = Path(sys.argv[1]).resolve()
    names = sys.argv[2:] or [
        *(path.relative_to(site).with_suffix("").as_posix() for path in listed(site)),
        *OTHERS,
    ]
    path = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        faults = []
        for width, scheme in itertools.product(WIDTHS, SCHEMES):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            for name in names:
                where = f"{name}, {width} pixels, {scheme}"
                faults += [f"{where}: {fault}" for fault in faults_of(page, site / f"{name}.html")]
            page.close()
        browser.close()
    print("\n".join([*faults, f"{len(names)} pages, {len(faults)} faults"]))
    sys.exit(1 if faults else 0)


def listed(site: Path) -> list[Path]:
    """Return the pages of the folders that are checked."""
    made = ("genindex.html", "search.html", "py-modindex.html")
    pages = [
        path for folder in FOLDERS for path in sorted(site.glob(f"{folder}/*.html".lstrip("/")))
    ]
    return [path for path in pages if path.name not in made]


def faults_of(page: Page, path: Path) -> list[str]:
    """Load a page, and return what is wrong with it."""
    outside: list[str] = []

    def note(request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            outside.append(request.url)

    page.on("request", note)
    page.goto(path.as_uri())
    found = [
        f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:120]}"
        for each in Axe().run(page).response["violations"]
    ]
    found += [f"wider than the window: {each}" for each in page.evaluate(WIDE)[:1]]
    page.remove_listener("request", note)
    return found + [f"loads {url}" for url in outside]


if __name__ == "__main__":
    main()
