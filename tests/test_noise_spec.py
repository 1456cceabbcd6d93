"""`NoiseSpec`: its checks, its text, files, means of several images, and figures."""

import io
import json
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest

import fastrestore
from fastrestore import NoiseSpec


def power(width, side=16):
    """Power of white noise after a Gaussian filter, with mean 1."""
    square = np.fft.fftfreq(side) ** 2
    table = np.exp(-((2 * np.pi * width) ** 2) * np.add.outer(square, square))
    return table / table.mean()


MIX = np.array([[1, 0.6, 0.3], [0.6, 1, 0.5], [0.3, 0.5, 1]])
CAMERA = NoiseSpec(
    [5, 7, 6],
    [[0, 50, 100, 255]] * 3,
    [[2, 4, 5, 5.5], [3, 5, 7, 7.5], [2, 5, 6, 6]],
    power(1.0) * MIX[..., None, None],
)
COUNTS = NoiseSpec(
    [7],
    [[100, 120, 180]],
    [[3, 6, 9]],
    np.ones((1, 1, 1, 1)),
    fastrestore.PoissonGaussian(2.2, 3, 100),
)
RICIAN = NoiseSpec([4], [[0]], [[4]], np.ones((1, 1, 1, 1, 1)), fastrestore.Rician(4), strength=0.5)
WHITE = NoiseSpec.white(3, 4)
ALL = [CAMERA, COUNTS, RICIAN, WHITE]


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"sigma": [-1, 2, 3]}, ValueError, r"sigma must be standard deviations of 0 or more, got"),
        ({"sigma": "x"}, TypeError, "sigma must be standard deviations of 0 or more, got 'x'"),
        ({"sigma": 3}, ValueError, r"sigma must have the shape \(C,\), got \(\)"),
        ({"levels": np.ones((2, 4))}, ValueError, r"levels must have the shape \(3, K\)"),
        ({"levels": np.full((3, 4), np.nan)}, ValueError, r"levels must be standard .* got nan"),
        ({"brightness": np.ones((3, 2))}, ValueError, r"the shape of levels, \(3, 4\), got \(3, 2"),
        ({"brightness": [[0, 9, 5, 10]] * 3}, ValueError, "ascend, got 9 before 5 in channel 0"),
        ({"brightness": np.full((3, 4), np.inf)}, ValueError, "brightness must be finite values"),
        ({"spectrum": power(1.0)}, ValueError, r"shape \(3, 3, P, Q\), or one axis more"),
        ({"spectrum": 2 * CAMERA.spectrum}, ValueError, "must have the mean 1, got 2; divide by"),
        ({"spectrum": -CAMERA.spectrum}, ValueError, "must not be negative, got -"),
        ({"spectrum": np.roll(CAMERA.spectrum, 1, -1)}, ValueError, "must equal"),
        ({"spectrum": np.triu(MIX)[..., None, None]}, ValueError, r"spectrum\[d, c\] must equal"),
        ({"distribution": "x"}, TypeError, "distribution must be a PoissonGaussian, .* got 'x'"),
        ({"strength": -2}, ValueError, "strength must be a number of 0 or more, got -2"),
    ],
)
def test_what_is_refused(changes, kind, message):
    with pytest.raises(kind, match=message):
        replace(CAMERA, **changes)


def test_attributes_are_arrays_that_cannot_be_modified():
    assert CAMERA.sigma.dtype == np.float64
    own = np.array([3.0])
    spec = NoiseSpec(own, [[0]], [[3]], np.ones((1, 1, 1, 1)))
    own[0] = 5
    assert spec.sigma[0] == 3
    with pytest.raises(ValueError, match="read-only"):
        spec.levels[0] = 1


def test_models():
    models = [spec.model for spec in ALL]
    assert models == ["camera", "signal-dependent", "signal-dependent", "white"]
    assert CAMERA.constant().model == "correlated"
    together = np.array([[1, 0.5], [0.5, 1]])[..., None, None]
    assert replace(WHITE, spectrum=together).model == "correlated"


def test_equality():
    assert replace(CAMERA) == CAMERA
    assert hash(CAMERA) == hash(replace(CAMERA))
    assert 2 * (0.5 * CAMERA) == CAMERA
    assert len({*ALL, *ALL}) == 4
    for other in (0.5 * CAMERA, replace(CAMERA, levels=CAMERA.levels + 1), WHITE, "camera", None):
        assert other != CAMERA


def test_text():
    assert str(CAMERA) == repr(CAMERA)
    expected = """\
NoiseSpec: camera, 3 channels, in the units of the image
  sigma        4, 5.6, 4.8
  level        1.6 to 4.4 for brightness 0 to 255 in channel 0
  level        2.4 to 6 for brightness 0 to 255 in channel 1
  level        1.6 to 4.8 for brightness 0 to 255 in channel 2
  correlation  0.78 with the next row, 0.78 with the next column; below 0.1 beyond 3 pixels
  channels     correlated by 0.60 (0 and 1), 0.30 (0 and 2), 0.50 (1 and 2)
  strength     0.8"""
    assert str(0.8 * CAMERA) == expected
    assert str(WHITE).splitlines()[1:] == ["  sigma        3, 4"]
    assert str(COUNTS).endswith("\n  distribution PoissonGaussian(gain=2.2, sigma=3, offset=100)")
    flat = replace(CAMERA, spectrum=power(0.05) * MIX[..., None, None])
    assert "\n  correlation  below 0.1 for all neighbors\n" in str(flat)
    many = str(NoiseSpec.white(*range(1, 101)))
    assert len(many) < 200
    assert "1, 2, 3, 4, 5, 6, 7, 8, ... (100)" in many


def test_levels_at_a_brightness():
    np.testing.assert_allclose(CAMERA.at(75), [4.5, 6, 5.5])
    np.testing.assert_allclose(CAMERA.at([-10, 25, 300])[0], [2, 3, 5.5])
    assert WHITE.at(np.zeros((4, 5))).shape == (2, 4, 5)
    with pytest.raises(TypeError, match="brightness must be finite values of the image, got 'x'"):
        CAMERA.at("x")


@pytest.mark.parametrize("spec", ALL, ids=str)
def test_files(spec, tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")
    spec.save(path)
    assert NoiseSpec.load(str(path)) == spec
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]
    with np.load(path) as file:  # readable without this package
        assert set(file) == {"header", "sigma", "brightness", "levels", "spectrum"}
        assert json.loads(str(file["header"]))["version"] == 1


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    WHITE.save(path)

    def full(*_):
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        CAMERA.save(path)
    assert NoiseSpec.load(path) == WHITE
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("method", [NoiseSpec.load, WHITE.save])
def test_paths(method, tmp_path):
    with pytest.raises(ValueError, match=r"path must end in \.npz, got 'noise'"):
        method("noise")
    with pytest.raises(TypeError, match="path must be a string or a path, got 3"):
        method(3)
    with pytest.raises(FileNotFoundError, match="none"):
        method(tmp_path / "none" / "a.npz")


def changed(path, **arrays):
    """Write a file with other arrays or another header."""
    with np.load(path) as file:
        known = dict(file)
    header = json.loads(str(known["header"])) | arrays.pop("header", {})
    np.savez(path, **{**known, **arrays, "header": np.array(json.dumps(header))})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"header": {"version": 2}}, "has the version 2, and this fastrestore reads version 1"),
        ({"header": {"format": "other"}}, r"is not a file that NoiseSpec\.save wrote"),
        ({"header": {"distribution": {"name": "Rician"}}}, "is truncated or damaged"),
        ({"header": {"distribution": {"name": "x"}}}, "is truncated or damaged: 'x'"),
        ({"header": {"strength": -1}}, "damaged: strength must be a number of 0 or more, got -1"),
        ({"levels": np.ones((1, 2))}, r"damaged: levels must have the shape \(3, K\)"),
        ({"sigma": np.array([1, "x", {}], object)}, "damaged: Object arrays cannot be loaded"),
        ({"sigma": np.array(["a", "b", "c"])}, "damaged: sigma must be standard deviations"),
    ],
)
def test_files_with_wrong_contents(changes, message, tmp_path):
    path = tmp_path / "a.npz"
    CAMERA.save(path)
    changed(path, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        NoiseSpec.load(path)
    assert str(caught.value).startswith(str(path))


def test_files_of_others(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, image=np.ones(3))
    with pytest.raises(ValueError, match=r"is not a file that NoiseSpec\.save wrote"):
        NoiseSpec.load(path)
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f8", "fortran_order": False, "shape": (10**14,)}
    )
    CAMERA.save(path)
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, part in parts.items():
            new.writestr(name, stream.getvalue() if name == "levels.npy" else part)
    with pytest.raises(ValueError, match=r"a\.npz is truncated or damaged"):
        NoiseSpec.load(path)


def test_damaged_files(tmp_path):
    path = tmp_path / "a.npz"
    CAMERA.save(path)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for number in range(60):
        broken = bytearray(data[: rng.integers(len(data))] if number % 2 else data)
        if broken:
            broken[rng.integers(len(broken))] ^= 1 << rng.integers(8)
        path.write_bytes(broken)
        try:
            assert NoiseSpec.load(path).sigma.shape == (3,)
        except ValueError as error:
            assert str(error).startswith(str(path))  # noqa: PT017


def test_pool_of_equal_noise():
    for spec in ALL:
        pooled = NoiseSpec.pool([spec, spec, spec])
        for name in ("sigma", "levels", "brightness", "spectrum"):
            np.testing.assert_allclose(getattr(pooled, name), getattr(spec, name), rtol=1e-12)
        assert (pooled.distribution, pooled.strength) == (spec.distribution, spec.strength)


def of_range(low, high, level=lambda b: np.sqrt(4 + b)):
    """Noise of a source whose level is known, seen in an image of some brightness."""
    knots = np.linspace(low, high, 12)
    return NoiseSpec([5], [knots], [level(knots)], np.ones((1, 1, 1, 1)))


def test_pool_covers_all_ranges():
    pooled = NoiseSpec.pool(of_range(*ends) for ends in [(0, 50), (40, 120), (150, 255)])
    values = np.linspace(0, 255, 50)
    np.testing.assert_allclose(pooled.at(values)[0], np.sqrt(4 + values), rtol=0.02)
    assert pooled.brightness[0, 0] == 0
    assert pooled.brightness[0, -1] == 255
    # Where both images have pixels, the variance is between theirs
    mixed = NoiseSpec.pool([of_range(0, 100, lambda b: 3 + 0 * b), of_range(0, 100)])
    np.testing.assert_allclose(mixed.at(50), np.sqrt((9 + 54) / 2), rtol=0.01)


def test_pool_of_spectra():
    wide = replace(CAMERA, spectrum=power(2.0, 24) * MIX[..., None, None])
    pooled = NoiseSpec.pool([CAMERA, wide])
    assert pooled.spectrum.shape == (3, 3, 24, 24)
    np.testing.assert_allclose(pooled.correlation, MIX, atol=1e-6)
    mean = (power(1.0, 24) + power(2.0, 24)) / 2
    assert np.abs(pooled.spectrum[0, 0] - mean).max() < 0.05 * mean.max()
    flat = NoiseSpec.pool([CAMERA, NoiseSpec.white(5, 7, 6)])
    np.testing.assert_allclose(flat.correlation, (MIX + np.eye(3)) / 2, atol=1e-6)


def test_pool_of_distributions():
    other = replace(COUNTS, distribution=fastrestore.PoissonGaussian(2.4, 5, 102))
    pooled = NoiseSpec.pool([COUNTS, other])
    own = pooled.distribution
    np.testing.assert_allclose([own.gain, own.sigma, own.offset], [2.3, np.sqrt(17), 101])
    assert NoiseSpec.pool([COUNTS, replace(COUNTS, distribution=None)]).distribution is None


@pytest.mark.parametrize(
    ("specs", "kind", "message"),
    [
        ([], ValueError, "specs must not be empty"),
        (WHITE, TypeError, "specs must be a list of NoiseSpec, got NoiseSpec"),
        ([WHITE, 3], TypeError, r"specs\[1\] must be a NoiseSpec, got 3"),
        ([WHITE, CAMERA], ValueError, r"equal numbers of channels, got 2 in specs\[0\] and 3 in"),
        ([WHITE, 2 * WHITE], ValueError, r"equal strengths \(multiply after pooling\), got 1.0 in"),
        ([COUNTS, RICIAN], ValueError, "equal numbers of axes of the spectrum, got 4 in"),
    ],
)
def test_what_cannot_be_pooled(specs, kind, message):
    with pytest.raises(kind, match=message):
        NoiseSpec.pool(specs)


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.model)
def test_figures(spec):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    figure = spec.plot()
    stream = io.BytesIO()
    figure.savefig(stream)
    pyplot.close(figure)
    titles = [axes.get_title() for axes in figure.axes]
    assert {"Level", "Spectrum"} <= set(titles)
    assert ("Covariance" in titles) == (len(spec.sigma) > 1)
    lines = figure.axes[0].get_lines()
    assert len(lines) == len(spec.sigma)
    assert bool(len(figure.axes[0].get_xticks())) == (spec.brightness.shape[1] > 1)
    np.testing.assert_array_equal(lines[-1].get_ydata()[-1], spec.levels[-1, -1])


def test_figures_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "fastrestore\[plot\]"'):
        WHITE.plot()
