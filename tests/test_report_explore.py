"""Sliders for notebooks: the pictures, the widget, and its page in Chromium."""

import json
import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from support.browser import ARGUMENTS, chromium_or_skip
from support.images import noisy, scene

import fastrestore
from fastrestore import NoiseSpec, report
from fastrestore.metrics import psnr
from fastrestore.report import strengths as explore

CLEAN = scene(48, 40)
NOISY = noisy(CLEAN, 10)
STRENGTHS = (0.0, 1.0, 2.0)


def shown(image=NOISY, sigma=None, noise=None, strengths=STRENGTHS, channel_axis=None):
    return explore.pictures(image, sigma, noise, strengths, channel_axis, "fast")


def picture(text):
    return np.asarray(Image.open(BytesIO(b64decode(text))), float)


def test_pictures_are_those_of_the_strengths():
    found = shown()
    before, after = picture(found.before), [picture(each) for each in found.after]
    np.testing.assert_array_equal(before, after[0])
    expected = fastrestore.bm3d(NOISY, noise=fastrestore.estimate_noise(NOISY), profile="fast")
    low, high = expected.min(), expected.max()
    assert np.corrcoef(after[1].ravel(), expected.ravel())[0, 1] > 0.9999
    assert high > low
    assert [np.abs(np.diff(each)).mean() for each in after] == sorted(
        (np.abs(np.diff(each)).mean() for each in after), reverse=True
    )
    removed = picture(found.removed[1]) - 128
    assert np.corrcoef(removed.ravel(), (NOISY - expected).ravel())[0, 1] > 0.99
    assert np.ptp(picture(found.removed[0])) == 0
    assert found.size == (120, 144)
    assert re.fullmatch(r"Noise found: white, sigma 9\.\d+|Noise found: white, sigma 1\d\.\d+",
                        found.noise.split(". ")[0])  # fmt: skip


def test_large_images_are_cut_and_their_noise_is_that_of_all():
    image = np.zeros((400, 500))
    image[:, :90] = np.random.default_rng(0).normal(0, 10, (400, 90))
    image[200, 250] = 255
    found = shown(image, noise=NoiseSpec.white(1.0))
    before = picture(found.before)
    assert before.shape == (320, 320)
    assert np.argwhere(before == before.max()).tolist() == [[160, 160]]
    assert "Noise given" in found.noise


def test_colors_and_given_noise():
    color = np.stack([NOISY, CLEAN, CLEAN])
    found = shown(color, sigma=5, channel_axis=0)
    assert picture(found.after[1]).shape == (48, 40, 3)
    assert "given, sigma 5" in found.noise


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": np.zeros((4, 9, 9))}, r"image must have 2 axes.*choose one image of a stack"),
        ({"image": np.zeros((9, 9, 2)), "channel_axis": -1}, "one channel or three colors"),
        ({"sigma": 3, "noise": "white"}, "Specify the noise once: got both sigma=3 and noise="),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        shown(**arguments)


def test_the_module_needs_anywidget(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fastrestore.report.widget", None)
    with pytest.raises(ImportError, match=r"report\.explore needs anywidget; install .*notebook"):
        report.explore(NOISY)


def test_widget():
    pytest.importorskip("anywidget")
    widget = report.explore(NOISY, 10, strengths=STRENGTHS, profile="fast")
    assert widget.strength == 1
    widget.index = 2
    assert widget.strength == 2
    widget.index = 7
    assert widget.strength == 2
    state = widget.get_state()
    assert len(state["after"]) == len(state["removed"]) == 3
    assert "render" in state["_esm"]
    bundle, _ = widget._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id
    with pytest.raises(ValueError, match="strengths must have one number or more"):
        report.explore(NOISY, strengths=())
    with pytest.raises(ValueError, match="strengths"):
        report.explore(NOISY, strengths=(-1,))
    with pytest.raises(TypeError, match=r"strengths must be a sequence of numbers.*, got 5"):
        report.explore(NOISY, strengths=5)


@pytest.mark.parametrize("sigma", [[10], np.full(NOISY.shape, 10.0), "ten"])
def test_sigma_is_one_number(sigma):
    with pytest.raises((TypeError, ValueError), match="sigma must be a number of 0 or more, got"):
        shown(sigma=sigma)


def test_widget_is_saved(tmp_path):
    pytest.importorskip("anywidget")
    widget = report.explore(NOISY, 10, strengths=STRENGTHS, profile="fast")
    widget.save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text == explore.page(shown(sigma=10)).html


def test_page_is_valid_and_alone():
    page = explore.page(shown(), "A & <b>").html
    assert "<title>A &amp; &lt;b&gt;</title>" in page
    assert "http://" not in page
    assert "https://" not in page
    data = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1]
    assert json.loads(data)["strengths"] == list(STRENGTHS)


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    path = tmp_path_factory.mktemp("explore") / "page.html"
    executable = chromium_or_skip()
    explore.page(shown()).save(path)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        tab = browser.new_context(offline=True).new_page()
        tab.complaints = []
        tab.on("console", lambda message: tab.complaints.append(message.text))
        tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.goto(path.as_uri())
        tab.wait_for_selector(".fastrestore-explore", timeout=30_000)
        yield tab
        browser.close()


def test_sliders_in_a_browser(tab):
    strength, divider = tab.get_by_label("Strength"), tab.get_by_label("Before, left of")
    below, above = tab.locator(".below"), tab.locator(".above")
    found = shown()
    assert below.get_attribute("src").endswith(found.after[1])
    # JupyterLab takes keys for shortcuts otherwise
    assert strength.get_attribute("data-lm-suppress-shortcuts") == "true"
    strength.press("ArrowRight")
    assert strength.get_attribute("aria-valuetext") == "2"
    assert below.get_attribute("src").endswith(found.after[2])
    assert below.get_attribute("alt") == "after, strength 2"
    strength.press("Home")
    assert below.get_attribute("src").endswith(found.after[0])
    assert above.evaluate("each => getComputedStyle(each).clipPath") == "inset(0px 50% 0px 0px)"
    divider.press("End")
    assert above.evaluate("each => getComputedStyle(each).clipPath") == "inset(0px 0% 0px 0px)"
    tab.get_by_label("Show").select_option("removed")
    assert below.get_attribute("src").endswith(found.removed[0])
    assert above.evaluate("each => getComputedStyle(each).clipPath") == "inset(0px 100% 0px 0px)"
    assert not divider.is_visible()
    assert below.evaluate("each => [each.naturalWidth, each.clientWidth]") == [40, 120]
    assert not tab.complaints


def test_page_is_accessible(tab):
    from axe_playwright_python.sync_playwright import Axe

    results = Axe().run(tab)
    assert results.violations_count == 0, results.generate_report()


def test_strength_zero_is_the_image_itself():
    found = shown(strengths=(0.0,), sigma=10)
    assert psnr(picture(found.before), picture(found.after[0]), data_range=255) == np.inf
