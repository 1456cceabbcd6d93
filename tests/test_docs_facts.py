"""Facts that pages of the documentation state: variables, conventions, extras."""

import re
import tempfile
import tomllib
from pathlib import Path

import numpy as np
import pytest

import fastrestore
from fastrestore import inverse

ROOT = Path(__file__).parents[1]
SOURCES = ("fastrestore", "kernels", "tests", "bench", "docs/conf.py", ".ci", ".github")
BINARY = (".pyc", ".safetensors", ".npz", ".npy", ".png")
VARIABLE = re.compile(r"\bFASTRESTORE_[A-Z][A-Z_]*[A-Z]\b")


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def source_files():
    for name in SOURCES:
        place = ROOT / name
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            kept = path.suffix not in BINARY and path != Path(__file__)
            if kept and path.is_file():
                yield path


def test_every_variable_is_on_the_page_and_every_row_is_a_variable():
    used = set()
    for path in source_files():
        used |= set(VARIABLE.findall(path.read_bytes().decode("utf-8", "ignore")))
    rows = re.findall(r"^\| `(\w+)` \|", page("guide/environment.md"), re.MULTILINE)
    assert len(rows) > 8
    assert sorted(rows) == sorted(used)


def user_extras():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    development = {"test", "compat-test", "napari-test", "lint", "bench", "docs", "iqa", "browser"}
    return set(tomllib.loads(text)["project"]["optional-dependencies"]) - development


def test_every_extra_is_on_the_page():
    table = page("install.md").split("| extra |")[1]
    assert set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)) == user_extras()


def test_the_speed_in_the_readme_is_that_of_its_table_and_of_the_curve():
    text = re.sub("<!--.*?-->", "", (ROOT / "README.md").read_text(encoding="utf-8"))
    factor = float(re.search(r"at more than (\d+) times its speed", text)[1])
    ours, peer = re.search(r"two threads each \| ([\d.]+) s \| ([\d.]+) s", text).groups()
    assert float(peer) / float(ours) > factor
    rows = re.findall(
        r"^\| (.+?) \| (.+?) \| ([\d.]+) \|", page("guide/curve/curve-gray.txt"), re.M
    )
    times = {(name.split()[0], setting): float(time) for name, setting, time in rows}
    assert times["bm3d", "np"] / times["fastrestore", "np"] > factor


NOISY = 100 + np.random.default_rng(0).normal(0, 10, (32, 40))
bm3d = fastrestore.bm3d


def units():
    assert np.array_equal(bm3d(2 * NOISY, 20), 2 * bm3d(NOISY, 10))


def value_range():
    restored = bm3d(NOISY - 200, 10)
    assert restored.max() < 0
    assert np.allclose(restored, bm3d(NOISY, 10) - 200, atol=1e-2)


def kind():
    for name in ("float16", "float32", "float64"):
        assert bm3d(NOISY.astype(name), 10).dtype == name
    for name in ("uint8", "int16", "uint16"):
        assert bm3d(NOISY.astype(name), 10).dtype == np.float32


def given_array():
    image = NOISY.copy()
    image.flags.writeable = False
    assert np.array_equal(bm3d(np.asfortranarray(image), 10), bm3d(image, 10))


def axes():
    with pytest.raises(ValueError, match="channel_axis"):
        bm3d(np.stack([NOISY] * 3, -1), 10)
    volume = np.stack([NOISY[:16, :16]] * 4) + np.arange(4)[:, None, None]
    assert fastrestore.bm4d(volume, 10).shape == fastrestore.vbm3d(volume, 10).shape == (4, 16, 16)


def stacks():
    stack = np.stack([NOISY, NOISY + 5])[None]  # T, C, Y, X
    restored = fastrestore.denoise(stack, 10, axes="TCYX")
    assert np.array_equal(restored[0, 1], bm3d(stack[0, 1], 10))


def color():
    image = np.stack([NOISY, NOISY[::-1], NOISY[:, ::-1]], -1)
    restored = bm3d(image, 10, channel_axis=-1)
    assert np.array_equal(restored, bm3d(image, 10, channel_axis=-1, colorspace="opp"))
    swapped = bm3d(image[..., ::-1], 10, channel_axis=-1, colorspace="ycbcr")[..., ::-1]
    assert not np.allclose(swapped, bm3d(image, 10, channel_axis=-1, colorspace="ycbcr"))


def psd():
    white = np.full(NOISY.shape, 10.0**2 * NOISY.size)
    assert np.allclose(bm3d(NOISY, psd=white), bm3d(NOISY, 10), atol=1e-2)
    drawn = np.random.default_rng(1).normal(0, 10, (50, *NOISY.shape))
    measured = (np.abs(np.fft.fft2(drawn)) ** 2).mean()
    assert measured == pytest.approx(white.mean(), rel=0.05)
    assert white.mean() / NOISY.size == pytest.approx(10**2)


def noise_kernel():
    kernel = np.full((1, 4), 5.0)
    spectrum = fastrestore.psd_from_kernel(kernel, NOISY.shape)
    assert spectrum.mean() / NOISY.size == pytest.approx((kernel**2).sum())


def noise_spec():
    spec = fastrestore.estimate_noise(NOISY, model="correlated")
    assert spec.spectrum[0, 0].mean() == pytest.approx(1)
    assert (2 * spec).levels == pytest.approx(2 * spec.levels)


def poisson_gaussian():
    model = fastrestore.PoissonGaussian(gain=2, sigma=3, offset=100)
    assert model.variance(np.array([150.0]))[0] == pytest.approx(2 * (150 - 100) + 3**2)
    drawn = 2 * np.random.default_rng(0).poisson(25, 100000) + 100.0
    assert drawn.var() == pytest.approx(2 * (150 - 100), rel=0.02)


def rician():
    rng = np.random.default_rng(0)
    magnitude = np.hypot(80 + rng.normal(0, 20, (64, 64)), rng.normal(0, 20, (64, 64)))
    restored = bm3d(magnitude, noise=fastrestore.Rician(20))
    assert magnitude.mean() > 82
    assert restored.mean() == pytest.approx(80, abs=1)


def strength():
    assert np.allclose(bm3d(NOISY, 10, strength=1.5), bm3d(NOISY, 15), atol=1e-3)
    assert np.array_equal(bm3d(NOISY, 10, strength=0), NOISY)


def mask():
    hole = np.zeros(NOISY.shape, bool)
    hole[10:14, 10:14] = True
    image = np.where(hole, np.nan, NOISY)
    assert np.isnan(bm3d(image, 10, mask=~hole)[hole]).all()
    assert np.isfinite(fastrestore.inpaint(image, hole)).all()


def nan():
    image = NOISY.copy()
    image[3, 4] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        bm3d(image, 10)
    assert np.isnan(bm3d(image, 10, mask=np.isfinite(image))[3, 4])


def data_range():
    assert np.allclose(bm3d(NOISY, 10, data_range=255), bm3d(NOISY, 10), atol=3)
    with pytest.raises(TypeError, match="data_range"):
        fastrestore.metrics.psnr(NOISY, NOISY + 1)


def psf():
    point = np.zeros((5, 5))
    point[2, 2] = 1
    even = np.zeros((4, 4))
    even[2, 2] = 1  # the pixel n // 2
    for each in (point, even):
        assert np.allclose(inverse.Blur(each).apply(NOISY), NOISY)
    assert np.allclose(
        fastrestore.deblur(NOISY, point, 10, boundary="periodic").mean(), 100, atol=1
    )


def sinograms():
    streaks = np.broadcast_to(np.random.default_rng(0).normal(0, 1, 64), (96, 64))  # equal angles
    assert fastrestore.remove_streaks(streaks).std() < 0.7 * streaks.std()
    turned = fastrestore.remove_streaks(streaks.T, angle_axis=1, detector_axis=0)
    assert np.array_equal(turned, fastrestore.remove_streaks(streaks).T)


def randomness():
    assert np.array_equal(bm3d(NOISY), bm3d(NOISY))
    spec = fastrestore.NoiseSpec.white(3.0)
    assert np.array_equal(spec.sample(NOISY, rng=1), spec.sample(NOISY, rng=1))


def command_line():
    from PIL import Image

    from fastrestore.cli import main

    pixels = np.clip(NOISY.round(), 0, 255).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/noisy.png", f"{folder}/clean.png"
        Image.fromarray(pixels).save(source)
        assert main(["denoise", source, "-o", target, "--sigma", "10/255"]) == 0
        with Image.open(target) as written:
            restored = np.asarray(written)
    assert np.abs(restored - bm3d(pixels, 10)).max() <= 0.51


CHECKS = {
    "units": units, "range": value_range, "type": kind, "input": given_array, "axes": axes,
    "stacks": stacks, "color": color, "`psd`": psd, "`noise_kernel`": noise_kernel,
    "`NoiseSpec`": noise_spec, "`PoissonGaussian`": poisson_gaussian, "`Rician`": rician,
    "`strength`": strength, "`mask`": mask, "NaN": nan, "`data_range`": data_range, "`psf`": psf,
    "sinograms": sinograms, "randomness": randomness, "command line": command_line,
}  # fmt: skip


@pytest.mark.parametrize("row", CHECKS)
def test_convention(row):
    CHECKS[row]()


def test_every_row_of_the_conventions_is_checked():
    rows = re.findall(r"^\| ([^|]+) \|", page("guide/conventions.md"), re.MULTILINE)
    assert set(rows) - {"what", "---"} == set(CHECKS)


def test_every_model_card_is_in_the_documentation():
    cards = sorted(path.name for path in ROOT.glob("fastrestore/nets/weights/*.md"))
    included = re.findall(r"\{include\} \S+/weights/(\S+)$", page("guide/model-cards.md"), re.M)
    assert sorted(included) == cards
    assert cards
