"""Deblurring: borders, point spread functions, colors, types, invalid arguments."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.data import camera
from support.images import scene

from fastrestore import deblur
from fastrestore.inverse import point_spread
from fastrestore.inverse.boundary import Mirrored, Periodic, Tapered

BOX = np.full((9, 9), 1 / 81)
LINE = np.zeros((7, 11))
LINE[np.arange(7), np.arange(7) + 2] = np.arange(1, 8) / 28


def gain(clean, seen, restored):
    """Improvement of the signal-to-noise ratio in dB."""
    return 10 * np.log10(((seen - clean) ** 2).sum() / ((restored - clean) ** 2).sum())


def photograph():
    return camera()[100:228, 160:300].astype(float)


def blurred(clean, psf, boundary, sigma, seed=0):
    noise = sigma * np.random.default_rng(seed).standard_normal(clean.shape)
    if boundary == "periodic":
        return ndimage.convolve(clean, psf, mode="wrap") + noise
    return ndimage.convolve(clean, psf, mode="reflect") + noise


@pytest.mark.parametrize("psf", [BOX, LINE], ids=["box", "line"])
@pytest.mark.parametrize("boundary", ["periodic", "reflect"])
@pytest.mark.parametrize("method", ["bm3d", "pnp"])
def test_blur_is_removed(psf, boundary, method):
    clean = photograph()
    seen = blurred(clean, psf, boundary, 1.0)
    restored = deblur(seen, psf, 1.0, boundary=boundary, method=method, data_range=255)
    assert gain(clean, seen, restored) > 4


def test_the_wrong_border_is_worse():
    clean = photograph()
    seen = blurred(clean, BOX, "reflect", 1.0)
    gains = {
        boundary: gain(clean, seen, deblur(seen, BOX, 1.0, boundary=boundary))
        for boundary in ("reflect", "taper", "auto")
    }
    assert 0 < gains["taper"] < gains["reflect"] == gains["auto"]
    with pytest.warns(UserWarning, match="the result is rougher than any photograph"):
        assert gain(clean, seen, deblur(seen, BOX, 1.0, boundary="periodic")) < 0


def test_gain_decreases_with_noise():
    """The gain decreases with noise; without blur it is denoising."""
    clean = photograph()
    gains = []
    for sigma in (0.5, 2, 8):
        seen = blurred(clean, BOX, "reflect", sigma)
        gains.append(gain(clean, seen, deblur(seen, BOX, sigma)))
    assert gains[0] > gains[1] > gains[2] > 0
    noisy = clean + np.random.default_rng(0).normal(0, 15, clean.shape)
    assert gain(clean, noisy, deblur(noisy, np.ones((1, 1)), 15)) > 4
    assert gain(clean, noisy, deblur(noisy, np.ones((1, 1)))) > 4  # estimated


@pytest.mark.parametrize("psf", [BOX, LINE, LINE[:6, :8] / LINE[:6, :8].sum()])
def test_mirrored_images_are_inverted(psf):
    """With a tiny penalty the result reproduces the data, also for an asymmetric psf."""
    clean = scene(40, 50)
    seen = ndimage.convolve(clean, psf, mode="reflect")
    border = Mirrored(psf, clean.shape)
    np.testing.assert_allclose(border.blur(clean), seen, atol=1e-9)
    found = border.solve(seen, 1e-3)
    assert np.abs(border.blur(found) - seen).mean() < 0.02 * np.abs(seen - clean).mean()
    periodic = Periodic(psf, clean.shape)
    np.testing.assert_allclose(
        periodic.blur(clean), ndimage.convolve(clean, psf, mode="wrap"), atol=1e-9
    )


def test_conjugate_gradients_solve_the_normal_equations():
    rng = np.random.default_rng(0)
    border, image = Mirrored(LINE, (24, 30)), rng.normal(size=(24, 30))
    found = border.solve(image, 0.05)
    rest = border.adjoint(image - border.blur(found)) - 0.05 * found
    assert np.linalg.norm(rest) < 2e-4 * np.linalg.norm(border.adjoint(image))
    other = rng.normal(size=(24, 30))  # the adjoint is one
    assert np.vdot(border.blur(image), other) == pytest.approx(
        np.vdot(image, border.adjoint(other))
    )


def test_taper_leaves_the_middle_unchanged():
    image = scene(60, 70)
    tapered = Tapered(BOX, image.shape).prepare(image)
    np.testing.assert_array_equal(tapered[9:-9, 9:-9], image[9:-9, 9:-9])
    jump = np.abs(image[0] - image[-1]).mean()
    assert np.abs(tapered[0] - tapered[-1]).mean() < jump


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_types_and_units(dtype):
    clean = photograph()[:64, :64]
    seen = np.clip(blurred(clean, BOX, "reflect", 2.0), 0, 255).astype(dtype)
    restored = deblur(seen, BOX, 2.0, data_range=255)
    assert restored.dtype == (np.float32 if dtype == np.uint8 else dtype)
    scaled = deblur(seen.astype(float) / 255, BOX, 2.0 / 255, data_range=1)
    np.testing.assert_allclose(255 * scaled, restored, atol=0.1)
    moved = deblur(seen.astype(float) + 1000, BOX, 2.0, data_range=255)
    np.testing.assert_allclose(moved - 1000, restored, atol=0.5)


def test_colors():
    clean = np.stack([photograph()[:64, :64], photograph()[30:94, :64]], 0)
    clean = np.concatenate([clean, clean[:1] / 2])
    seen = np.stack([blurred(plane, BOX, "reflect", 1.0, k) for k, plane in enumerate(clean)])
    restored = deblur(seen, BOX, 1.0, channel_axis=0)
    assert gain(clean, seen, restored) > 2
    last = deblur(np.moveaxis(seen, 0, -1), BOX, 1.0, channel_axis=-1)
    np.testing.assert_allclose(np.moveaxis(last, -1, 0), restored, atol=1e-9)
    other = deblur(seen, BOX, 1.0, channel_axis=0, method="pnp")
    assert gain(clean, seen, other) > 2


def test_the_center_of_a_psf_is_its_middle():
    """An even PSF does not shift; a row of zeros moves the origin to that of ndimage.convolve."""
    clean = photograph()
    places = np.arange(12) - 5.5
    line = np.exp(-(places**2) / 2 / 1.6**2)
    psf = np.outer(line, line) / line.sum() ** 2
    seen = ndimage.gaussian_filter(clean, 1.6, mode="reflect")  # is not shifted
    restored = deblur(seen, psf, 1.0)
    assert gain(clean, seen, restored) > 2
    square = np.full((4, 6), 1 / 24)
    seen = ndimage.convolve(clean, square, mode="wrap")
    restored = deblur(seen, np.pad(square, ((0, 1), (0, 1))), 0.5, boundary="periodic")
    assert gain(clean, seen, restored) > 8
    assert point_spread.center(square) == (2, 3)


def test_no_noise():
    clean = photograph()
    seen = ndimage.convolve(clean, BOX, mode="wrap")
    assert gain(clean, seen, deblur(seen, BOX, 0, boundary="periodic")) > 8


def test_backends_agree():
    seen = blurred(photograph()[:40, :44], BOX, "reflect", 2.0)
    results = [deblur(seen, BOX, 2.0, backend=name) for name in ("numpy", "numba")]
    np.testing.assert_allclose(*results, atol=0.05)


def test_sigma_that_is_too_little():
    """The warning quotes the estimate; a slightly smaller sigma, or a larger one, raises none."""
    clean = photograph()
    seen = blurred(clean, BOX, "reflect", 4.0)
    with pytest.warns(
        UserWarning, match=r"sigma=2 is less than the estimated .*, (3.[6-9]|4.[0-4])\d"
    ):
        deblur(seen, BOX, 2.0)
    for sigma in (3.5, 8.0):
        deblur(seen, BOX, sigma)
    deblur(blurred(clean, BOX, "reflect", 0.0), BOX, 0.0)


def test_progress():
    seen = []
    image = blurred(photograph()[:40, :44], BOX, "reflect", 3.0)
    deblur(image, BOX, 3.0, progress=lambda done, _: seen.append(done))
    assert seen[-1] == 100


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"psf": np.ones((9, 9))}, ValueError, r"psf must sum to 1, got 81; use psf / psf.sum"),
        ({"psf": np.zeros((3, 3))}, ValueError, "psf must sum to 1, got 0; all its values are 0"),
        ({"psf": [[2.0, -1.0]]}, ValueError, "psf must not have negative values, got -1"),
        ({"psf": np.full((90, 3), 1 / 270)}, ValueError, r"psf of shape \(90, 3\) is larger than"),
        ({"psf": np.ones(3) / 3}, ValueError, r"psf must have two axes .*, got shape \(3,\)"),
        ({"psf": [[np.nan]]}, ValueError, "psf has values that are NaN or infinite"),
        ({"psf": "gauss"}, TypeError, "psf must be an array of real numbers, got 'gauss'"),
        ({"psf": BOX + 0j}, TypeError, "psf must be .*, got an array of complex128"),
        ({"sigma": -1}, ValueError, "sigma must be a number of 0 or more, got -1"),
        ({"sigma": "high"}, TypeError, "sigma must be a number of 0 or more, got 'high'"),
        ({"method": "wiener"}, ValueError, "method must be one of 'bm3d', 'pnp', got 'wiener'"),
        ({"boundary": "zero"}, ValueError, "boundary must be one of 'auto', 'reflect', 'per"),
        ({"denoiser": abs}, ValueError, "is for method='pnp', not for 'bm3d'"),
        ({"method": "pnp", "denoiser": "median"}, ValueError, "denoiser must be callable or"),
        ({"image": np.full((40, 40), np.nan)}, ValueError, "image has values that are NaN"),
        ({"image": np.zeros((40, 40, 3))}, ValueError, "image must have 2 axes"),
        ({"data_range": 0}, ValueError, "data_range"),
    ],
)  # fmt: skip
def test_bad_arguments(change, error, message):
    given = {"image": photograph()[:40, :44], "psf": BOX, "sigma": 4.0} | change
    with pytest.raises(error, match=message):
        deblur(**given)
