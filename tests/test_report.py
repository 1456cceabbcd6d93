"""Pages that compare images: what is stored, measured and refused. Their use: test_report_page."""

import json
import re
import zlib
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from support.images import noisy, scene

from fastrestore import report
from fastrestore.metrics import psnr, ssim
from fastrestore.report import charts, crops
from fastrestore.report.encode import deflated, reduced
from fastrestore.report.removed import bin_width, histogram, statistics, tiles
from fastrestore.report.series import Removed, Series, spread

CLEAN = scene(96, 80)
NOISY = noisy(CLEAN, 10)


def settings(page):
    """Return what the page says of its pictures."""
    return json.loads(re.search(r'id="settings">(.*?)</script>', page.html)[1])


def stored(page, number, frame=0):
    """Return the bytes of a picture of the viewer."""
    text = re.search(rf'id="picture-{number}-{frame}">(.*?)</script>', page.html)[1]
    return b64decode(text)


def codes(data, shape):
    """Undo `deflated`."""
    low, high = np.frombuffer(zlib.decompress(data), np.uint8).reshape(2, *shape).astype(np.uint16)
    return np.cumsum(low + (high << 8), axis=-1, dtype=np.uint16)


def series(values, name="x"):
    return Series.of(name, name, values, None)


def test_nothing_is_loaded_from_elsewhere():
    page = report.compare(NOISY, CLEAN, title="</script><img src=x>")
    sources = re.findall(r"""\b(?:src|href|srcset|data)=["']([^"'>]{5})""", page.html)
    assert set(sources) == {"data:"}
    assert "url(" not in page.html
    assert "@import" not in page.html
    assert "default-src 'none'" in page.html
    assert "<img src=x>" not in page.html
    assert "&lt;/script&gt;&lt;img src=x&gt;" in page.html


def test_eight_bits_are_stored_without_loss():
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    page = report.compare(image, 255.0 - image, channel_axis=-1)
    for number, expected in enumerate((image, 255 - image)):
        found = np.asarray(Image.open(BytesIO(stored(page, number))))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_deep_values_are_stored_with_16_bits(dtype):
    image = (NOISY * 60 - (5000 if dtype == np.int16 else 0)).astype(dtype)
    page = report.compare(image, image)
    (first, *_) = settings(page)["pictures"]
    assert (first["kind"], first["channels"]) == ("data", 1)
    values = first["low"] + first["step"] * codes(stored(page, 0), (1, *image.shape))[0]
    if dtype is np.float32:
        np.testing.assert_allclose(values, image, atol=np.ptp(image) / 60000)
    else:
        np.testing.assert_array_equal(values, image)


def test_compression_is_undone():
    picture = np.random.default_rng(0).integers(0, 65536, (7, 9, 3)).astype(np.uint16)
    np.testing.assert_array_equal(codes(deflated(picture), (3, 7, 9)), np.moveaxis(picture, -1, 0))


def test_large_photographs_become_jpeg_and_the_page_says_so():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (500, 500, 3), np.uint8)
    page = report.compare(image, image // 2, channel_axis=-1, max_bytes=1e6)
    found = settings(page)
    assert {each["kind"] for each in found["pictures"]} == {"jpeg"}
    assert len(page.html) < 2e6  # the details are beside the limit
    assert "stored with 8 bits as JPEG of quality" in page.html
    smaller = report.compare(image, image // 2, channel_axis=-1, max_bytes=2e5)
    assert settings(smaller)["shrink"] > 1
    assert "reduced by a factor of" in smaller.html


def test_reduced_pictures_have_the_best_quality_that_fits():
    image = np.random.default_rng(0).integers(0, 256, (600, 600), np.uint8)
    page = report.compare(image, image // 2, max_bytes=1.5e5)
    found = settings(page)
    assert (found["width"], found["height"]) == (600 // found["shrink"],) * 2
    assert 5e4 < sum(len(stored(page, k)) for k in range(3)) < 1.5e5
    assert settings(report.compare(image, image // 2, max_bytes=10))["width"] <= 600


def test_large_pictures_are_measured_in_parts():
    noise = np.random.default_rng(0).normal(0, 4, (1, 2100, 2100, 1)).astype(np.float32)
    found = statistics(Removed(Series("a", noise), Series("b", np.zeros_like(noise))))
    assert found.deviation == pytest.approx(4, rel=0.01)
    assert abs(found.right) < 0.01
    assert [tile.shape for tile in tiles(noise[0])] == [(512, 512, 1)] * 12
    assert [tile.shape for tile in tiles(noise[0, :1000])] == [(1000, 2100, 1)]


def test_deep_stacks_lose_slices_rather_than_depth():
    stack = np.random.default_rng(0).normal(0, 1, (40, 64, 64)).astype(np.float32)
    page = report.compare(stack, 0.1 * stack, max_bytes=2e5)
    found = settings(page)
    assert found["pictures"][0]["kind"] == "data"
    assert 2 < len(found["frames"]) < 40
    assert f"{len(found['frames'])} of 40 slices or frames" in page.html
    assert len(report.compare(stack, 0.1 * stack, max_bytes=1e8).html) > len(page.html)


def test_measures_are_those_of_the_metrics():
    page = report.compare(NOISY, 0.5 * (NOISY + CLEAN), truth=CLEAN, data_range=255)
    for image in (NOISY, 0.5 * (NOISY + CLEAN)):
        assert f"<td>{psnr(CLEAN, image, data_range=255):.2f}</td>" in page.html
        assert f"<td>{ssim(CLEAN, image, data_range=255):.4f}</td>" in page.html
    assert "<table>" not in report.compare(NOISY, CLEAN).html


def test_several_results_and_their_names():
    names = ["before", "a & b", "c", "clean"]
    page = report.compare(NOISY, NOISY - 1, NOISY - 2, truth=CLEAN, names=names)
    shown = [each["name"] for each in settings(page)["pictures"]]
    minus = "\N{MINUS SIGN}"
    assert shown == [*names, f"Removed: before {minus} a & b", f"Removed: before {minus} c"]
    assert page.html.count("<h3>Removed") == 2
    assert "a &amp; b" in page.html


def test_other_numbers_of_channels_are_shown_one_by_one():
    values = np.zeros((6, 20, 30)) + np.arange(6.0)[:, None, None]
    page = report.compare(values, values + 1, channel_axis=0)
    assert len(settings(page)["frames"]) == 6


def test_values_that_are_not_finite_are_shown():
    image = NOISY.copy()
    image[3, 4], image[5, 6] = np.nan, np.inf
    page = report.compare(image, image)
    assert all(np.isfinite(list(settings(page)["window"].values())))


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (TypeError, "needs a noisy array and one or more restored", lambda: report.compare(NOISY)),
        (ValueError, r"restored has 80 x 95 pixels .* noisy has 80 x 96",
         lambda: report.compare(NOISY, CLEAN[1:])),
        (ValueError, "write channel_axis=-1",
         lambda: report.compare(np.zeros((9, 9, 3)), np.zeros((9, 9, 3)))),
        (ValueError, "noisy must have 2 or 3 axes", lambda: report.compare(NOISY[0], NOISY[0])),
        (ValueError, "names must be 2 texts, one for each array, got 'ab'",
         lambda: report.compare(NOISY, CLEAN, names="ab")),
        (ValueError, "max_bytes must be", lambda: report.compare(NOISY, CLEAN, max_bytes=0)),
        (TypeError, "noisy must be an array, got str 'a.png'",
         lambda: report.compare("a.png", CLEAN)),
        (ValueError, "has the extension .html, got 'a.txt'",
         lambda: report.compare(NOISY, CLEAN).save("a.txt")),
    ],
)  # fmt: skip
def test_wrong_arguments(error, message, call):
    with pytest.raises(error, match=message):
        call()


def test_page_is_saved_and_shown_in_notebooks(tmp_path):
    page = report.compare(NOISY, CLEAN, names=["a", "b"])
    page.save(tmp_path / "page.html")
    page.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page.html
    assert page._repr_html_().startswith('<iframe title="a and b" srcdoc="&lt;!DOCTYPE html&gt;')
    assert repr(page).startswith("<Page 'a and b', 0.")
    with pytest.raises(OSError, match=r"missing.page\.html"):
        page.save(tmp_path / "missing" / "page.html")


# What was removed


def test_white_noise():
    noise = np.random.default_rng(0).normal(1, 3, (1, 256, 256, 1))
    found = statistics(Removed(Series("a", noise), Series("b", np.zeros(noise.shape))))
    assert found.mean == pytest.approx(1, abs=0.05)
    assert found.deviation == pytest.approx(3, rel=0.01)
    assert max(abs(found.right), abs(found.down), abs(found.similarity)) < 0.02
    assert found.histogram.sum() == pytest.approx(1)
    decibels = 10 * np.log10(found.radial[3:])
    assert np.abs(decibels).max() < 0.6


def test_noise_along_rows():
    white = np.random.default_rng(0).normal(0, 1, (1, 128, 130, 1))
    noise = white[:, :, 2:] + white[:, :, 1:-1] + white[:, :, :-2]
    found = statistics(Removed(Series("a", noise), Series("b", np.zeros(noise.shape))))
    assert found.right == pytest.approx(2 / 3, abs=0.03)
    assert abs(found.down) < 0.03
    center = len(found.spectrum) // 2
    assert found.spectrum[5, center] > 2 > 0.2 > found.spectrum[center + 1, center // 3]
    colors = charts.colored(found.spectrum)
    assert colors[5, center, 0] > colors[5, center, 2]  # red


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (2, 3), (65, 64)])
def test_images_of_any_size(shape):
    image = np.random.default_rng(0).normal(0, 1, shape)
    for restored in (np.zeros(shape), image):
        page = report.compare(image, restored, truth=image)
        assert settings(page)["height"] == shape[0]
        data = r'(">|base64,)[A-Za-z0-9+/=]*(</script>|"|\))'
        assert "nan" not in re.sub(data, "", page.html.lower())


def test_details_are_different_places():
    image = np.full((96, 96, 1), 5.0)
    image[:24, 24:48] += np.random.default_rng(0).normal(0, 9, (24, 24, 1))
    image[48:72, :24] += np.random.default_rng(0).normal(0, 0.1, (24, 24, 1))
    removed = np.zeros((96, 96, 1))
    removed[80, 80] = 4
    found = {crop.title: (crop.row, crop.column) for crop in crops.choose(image, removed, "Most")}
    assert found["Most detail"] == (0, 24)
    assert found["Most"] == (72, 72)
    assert len(found) == 3


def test_frames_are_spread_evenly():
    assert spread(3, 5) == [0, 1, 2]
    assert spread(100, 4) == [12, 37, 62, 87]
    assert spread(5, 1) == [2]


def test_reduction_averages():
    image = np.arange(24.0).reshape(4, 6, 1)
    np.testing.assert_allclose(reduced(image, 2)[..., 0], [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]])
    assert reduced(image, 5).shape == (1, 1, 1)


@pytest.mark.parametrize("level", [0.4, 3.0, 12.0, 60.0])
def test_histogram_of_integers_has_no_gaps(level):
    """A bin holds an odd number of levels, so that no bin has more of them than another."""
    noise = np.rint(np.random.default_rng(0).normal(0, level, (200, 200, 1)))
    values, deviation = noise.ravel(), float(noise.std())
    width = bin_width(deviation, whole=True)
    assert width % 2 == 1
    share = histogram(values, deviation, width)
    assert share.sum() == pytest.approx(1)
    assert len(share) % 2 == 1
    middles = (np.arange(len(share)) - len(share) // 2) * width
    normal = width / deviation / np.sqrt(2 * np.pi) * np.exp(-((middles / deviation) ** 2) / 2)
    if level > 1:
        assert np.abs(share - normal).max() < 0.15 * normal.max()
    assert bin_width(deviation, whole=False) == pytest.approx(10 * deviation / 81)
