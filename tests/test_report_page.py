"""The page in a browser: divider, zoom, keys, touch, ranges of values, accessibility, print."""

import numpy as np
import pytest
from support.browser import Opened, chromium

from fastrestore import report

ROWS, COLUMNS = 60, 80
DARK, BRIGHT = 40, 200  # of the noisy and of the restored picture
SIZE = {"width": 1000, "height": 800}


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Files of pages: 8 bits in color, floats, and a stack of 16 bits."""
    folder = tmp_path_factory.mktemp("pages")
    shape = (ROWS, COLUMNS, 3)
    noisy, restored = np.full(shape, DARK, np.uint8), np.full(shape, BRIGHT, np.uint8)
    noisy[..., 0], restored[:20, :20] = 90, 0
    truth = np.full(shape, BRIGHT - 20, np.uint8)
    color = {"channel_axis": -1, "title": "A <title> & more"}
    made = {"color": report.compare(noisy, restored, truth=truth, **color)}
    ramp = np.add.outer(np.arange(60.0), np.arange(80.0)) / 1e3 + 5
    made["float"] = report.compare(ramp - 0.05, ramp)
    stack = (
        np.full((5, 40, 40), 1000, np.uint16) + 100 * np.arange(5, dtype=np.uint16)[:, None, None]
    )
    stack[:, :5], stack[:, 5:10] = 900, 1500
    made["stack"] = report.compare(stack - 10, stack)
    for name, page in made.items():
        page.save(folder / f"{name}.html")
    return folder


@pytest.fixture
def opened(browser, pages):
    """Open a page by its name; at the end nothing was requested and nothing complained of."""
    every = []

    def open_page(name, **options):
        every.append(
            (name, Opened(browser, pages / f"{name}.html", **({"viewport": SIZE} | options)))
        )
        return every[-1][1]

    yield open_page
    for name, page in every:
        outside = [url for url in page.requests if not url.startswith("data:")]
        assert outside == [(pages / f"{name}.html").as_uri()]
        assert page.complaints == []
        page.context.close()


def test_pictures_are_shown_on_either_side_of_the_divider(opened):
    page = opened("color")
    assert page.tab.title() == page.text("h1") == "A <title> & more"
    assert page.color(0.4, 0.6) == [90, DARK, DARK]
    assert page.color(0.6, 0.6) == [BRIGHT] * 3
    label = page.tab.get_attribute("#canvas", "aria-label")
    assert label == "noisy on the left of the divider, restored on the right"


def test_divider_by_slider_keys_and_mouse(opened):
    page = opened("color")
    page.tab.focus("#split")
    for _ in range(20):
        page.tab.keyboard.press("ArrowRight")
    assert page.color(0.6, 0.6) == [90, DARK, DARK]
    page.tab.focus("#stage")
    page.tab.keyboard.press("Home")
    assert page.color(0.4, 0.6) == [BRIGHT] * 3
    for _ in range(20):
        page.tab.keyboard.press("ArrowRight")
    assert page.color(0.3, 0.6) == [90, DARK, DARK]
    box = page.tab.locator("#stage").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.tab.mouse.move(box["x"] + 0.4 * box["width"], middle)
    page.tab.mouse.down()
    page.tab.mouse.move(box["x"] + 0.8 * box["width"], middle, steps=3)
    page.tab.mouse.up()
    assert page.color(0.7, 0.6) == [90, DARK, DARK]
    assert page.tab.input_value("#split") == "80"


def test_divider_by_touch(opened):
    page = opened("color", has_touch=True)
    box = page.tab.locator("#stage").bounding_box()
    session = page.context.new_cdp_session(page.tab)
    y = box["y"] + box["height"] / 2
    for kind, part in (
        ("touchStart", 0.5),
        ("touchMove", 0.6),
        ("touchMove", 0.8),
        ("touchEnd", 0),
    ):
        points = [] if kind == "touchEnd" else [{"x": box["x"] + part * box["width"], "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert page.color(0.7, 0.6) == [90, DARK, DARK]


def test_any_two_pictures_are_compared(opened):
    page = opened("color")
    names = page.tab.locator("#left option").all_inner_texts()
    assert names == ["noisy", "restored", "truth", "Removed: noisy \N{MINUS SIGN} restored"]
    page.tab.select_option("#left", label="truth")
    assert page.color(0.4, 0.6) == [BRIGHT - 20] * 3
    page.tab.click("#swap")
    assert page.color(0.6, 0.6) == [BRIGHT - 20] * 3
    page.tab.check("input[value=one]")
    assert page.color(0.6, 0.6) == [BRIGHT] * 3
    page.tab.select_option("#left", label=names[3])
    assert max(page.color(0.6, 0.6)) < 128  # darker than 0: it was made brighter


def test_zoom_and_pan_are_those_of_both_pictures(opened):
    page = opened("color")
    page.tab.check("input[value=side]")
    page.tab.focus("#stage")
    page.tab.keyboard.press("1")
    assert page.text("#zoom") == "100 %"
    page.tab.keyboard.press("+")
    assert page.text("#zoom") == "125 %"
    before = [page.color(part, 0.5) for part in (0.22, 0.72)]
    assert before == [[90, DARK, DARK], [BRIGHT] * 3]
    for _ in range(9):
        page.tab.keyboard.press("+")
    for key in ["Shift+ArrowLeft", "Shift+ArrowUp"] * 12:  # to the top left corner
        page.tab.keyboard.press(key)
    assert page.color(0.72, 0.45) == [0, 0, 0] or page.color(0.8, 0.6) == [0, 0, 0]
    assert page.color(0.3, 0.6) == [90, DARK, DARK]
    page.tab.keyboard.press("0")
    assert page.color(0.72, 0.5) == [BRIGHT] * 3


def test_wheel_zooms_at_the_pointer_after_a_click(opened):
    page = opened("color")
    page.tab.hover("#stage")
    first = page.text("#zoom")
    page.tab.mouse.wheel(0, -200)
    page.settle()
    assert page.text("#zoom") == first  # the page scrolls
    page.tab.focus("#stage")
    page.tab.mouse.wheel(0, -200)
    page.settle()
    assert int(page.text("#zoom")[:-2]) > int(first[:-2])


def test_values_of_the_pixel_under_the_pointer(opened):
    page = opened("color")
    page.tab.hover("#stage", position={"x": 480, "y": 300})
    page.settle()
    assert page.text("#pixel").endswith(f": 90, {DARK}, {DARK} | {BRIGHT}, {BRIGHT}, {BRIGHT}")
    page = opened("float")
    page.tab.hover("#stage", position={"x": 480, "y": 300})
    page.settle()
    left, right = (float(text) for text in page.text("#pixel").split(": ")[1].split(" | "))
    assert right - left == pytest.approx(0.05, abs=2e-3)


def test_range_of_values_of_floats(opened):
    page = opened("float")
    assert page.tab.is_visible("#high")
    before = page.color(0.6, 0.6)[0]
    page.tab.evaluate(
        "() => { const low = document.getElementById('low'); low.value = low.max;"
        " low.dispatchEvent(new Event('input')); }"
    )
    assert page.color(0.6, 0.6) == [0, 0, 0]
    page.tab.click("#window-first")
    assert page.color(0.6, 0.6)[0] == before
    page.tab.select_option("#curve", "root")
    assert page.color(0.6, 0.6)[0] > before


def test_slices(opened):
    page = opened("stack")
    assert page.text("#frame-name") == "3 of 5"
    middle = page.color(0.6, 0.6)[0]
    page.tab.focus("#frame")
    page.tab.keyboard.press("ArrowRight")
    assert page.text("#frame-name") == "4 of 5"
    assert page.color(0.6, 0.6)[0] > middle
    page.tab.focus("#stage")
    page.tab.keyboard.press("PageUp")
    page.tab.keyboard.press("PageUp")
    assert page.text("#frame-name") == "2 of 5"
    assert page.color(0.6, 0.6)[0] < middle


def test_details_are_found_in_the_viewer(opened):
    page = opened("color")
    page.tab.locator("button[data-row]").first.click()
    page.settle()
    assert int(page.text("#zoom")[:-2]) > 2000
    assert page.tab.evaluate("() => document.activeElement.id") == "stage"
    images = "() => [...document.images].map((image) => image.complete && image.naturalWidth)"
    assert all(page.tab.evaluate(images))


@pytest.mark.parametrize("name", ["color", "float", "stack"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(opened, name, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(name, color_scheme=scheme)
    for each in page.tab.locator("summary").all():
        each.click()
    page.tab.locator("summary").last.click()
    found = Axe().run(page.tab)
    assert found.violations_count == 0, found.generate_report()


def test_colors_of_the_page_can_be_chosen(opened):
    page = opened("color", color_scheme="light")
    paper = "() => getComputedStyle(document.body).backgroundColor"
    assert page.tab.evaluate(paper) == "rgb(255, 255, 255)"
    page.tab.select_option("#theme", "dark")
    dark = page.tab.evaluate(paper)
    assert dark == "rgb(21, 24, 28)"
    page.tab.emulate_media(color_scheme="dark")
    page.tab.select_option("#theme", "auto")
    assert page.tab.evaluate(paper) == dark
    page.tab.select_option("#theme", "light")
    assert page.tab.evaluate(paper) == "rgb(255, 255, 255)"


def test_print(opened):
    page = opened("color")
    page.tab.emulate_media(media="print", color_scheme="dark")
    assert not page.tab.is_visible("#left")
    assert page.tab.is_visible("#canvas")
    assert page.tab.evaluate("() => getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    shape = "([a, b]) => { const c = document.getElementById('canvas'); return c[a] / c[b]; }"
    drawn, printed = (
        page.tab.evaluate(shape, names)
        for names in (["width", "height"], ["clientWidth", "clientHeight"])
    )
    assert printed == pytest.approx(drawn, rel=0.01)  # it is not drawn again for print
    assert page.tab.pdf().startswith(b"%PDF")


def test_narrow_screens_do_not_scroll_sideways(opened):
    page = opened("color", viewport={"width": 360, "height": 640})
    assert page.tab.evaluate("() => document.documentElement.scrollWidth") <= 360


def test_without_scripts(browser, pages):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((pages / "color.html").as_uri())
    assert tab.is_visible(".without-scripts")
    assert not tab.is_visible("#stage")
    assert tab.is_visible("table")
    context.close()
