"""Images with correlated noise that are fitted and filtered again: the profile "iterative"."""

import numpy as np
import pytest
from scipy.signal import fftconvolve
from support.images import psnr, scene

import fastrestore
from fastrestore import Profile, bm3d, psd_from_kernel
from fastrestore._collaborative import splitting
from fastrestore._collaborative.refilter import resampled

LEVEL = 20.0
SMALL = Profile.named("iterative").replace(radius_basic=6, radius_final=6)


def wave():
    """Return a kernel of narrow waves, of norm `LEVEL`."""
    y, x = np.mgrid[-16:17, -16:17]
    kernel = np.cos(x + y) * np.exp(-(y**2 + x**2) / 100)
    return LEVEL * kernel / np.linalg.norm(kernel)


def line():
    return np.full((1, 9), LEVEL / 3)


def streaked(clean, kernel, seed=0):
    """Add noise that does not wrap around."""
    shape = [a + b - 1 for a, b in zip(clean.shape, kernel.shape, strict=True)]
    return clean + fftconvolve(np.random.default_rng(seed).normal(size=shape), kernel, "valid")


@pytest.mark.parametrize(("kernel", "gain"), [(wave, 2.0), (line, 0.3)])
def test_correlated_noise(kernel, gain):
    clean = scene(96, 104)
    noisy = streaked(clean, kernel())
    given = {"noise_kernel": kernel()}
    restored = bm3d(noisy, profile="iterative", **given)
    others = [psnr(clean, bm3d(noisy, profile=name, **given)) for name in ("np", "refilter")]
    assert psnr(clean, restored) > max(others) + gain
    inner = (slice(8), slice(None))  # at a border, too
    assert psnr(clean[inner], restored[inner]) > psnr(clean[inner], noisy[inner]) + 5


def test_no_effect():
    noisy = streaked(scene(40, 44), np.full((1, 1), LEVEL))
    normal = SMALL.replace(iterations=0)
    expected = bm3d(noisy, LEVEL, profile=normal)
    np.testing.assert_array_equal(bm3d(noisy, LEVEL, profile=SMALL), expected)
    given = {"noise_kernel": line(), "stage": "basic"}
    expected = bm3d(noisy, profile=normal, **given)
    np.testing.assert_array_equal(bm3d(noisy, profile=SMALL, **given), expected)


@pytest.mark.parametrize("level", [3.0, 12.0])
def test_a_fit_removes_noise_inside_an_image(level, monkeypatch):
    """The best fit by the covariance matrix of a small image, which is solved directly."""
    monkeypatch.setattr(splitting, "TOLERANCE", 1e-4)
    shape = (10, 12)
    kernel = np.outer([1, 2, 1], [1, 3, 1]) * 2.0
    power = psd_from_kernel(kernel, shape) / 120
    covariance = np.fft.ifft2(resampled(power, (20, 24))).real
    y, x = (axis.ravel() for axis in np.mgrid[:10, :12])
    matrix = covariance[y[:, None] - y, x[:, None] - x]
    difference = np.random.default_rng(0).normal(0, 9, shape).astype(np.float32)
    penalty = 4 * level**2
    exact = penalty * np.linalg.solve(matrix + penalty * np.eye(120), difference.ravel())
    fit = splitting.Fit(power, shape, 1)
    np.testing.assert_allclose(fit(difference, level), exact.reshape(shape), atol=0.01)


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers(workers):
    noisy = streaked(scene(60, 50), line())
    expected = bm3d(noisy, noise_kernel=line(), profile=SMALL)
    found = bm3d(noisy, noise_kernel=line(), profile=SMALL, workers=workers)
    np.testing.assert_array_equal(found, expected)


def test_colors_channels_and_batches():
    clean = np.stack([scene(48, 52), scene(48, 52)[::-1], scene(48, 52, 1)], -1)
    noisy = np.stack([streaked(clean[..., k], line(), k) for k in range(3)], -1)
    given = {"noise_kernel": line(), "profile": SMALL}
    for options in ({}, {"colorspace": None}):
        restored = bm3d(noisy, channel_axis=-1, **given, **options)
        normal = bm3d(noisy, channel_axis=-1, noise_kernel=line(), **options)
        assert psnr(clean, restored) > psnr(clean, normal) + 0.1
    batch = bm3d(noisy, batch_axis=2, **given)
    np.testing.assert_array_equal(batch[..., 1], bm3d(noisy[..., 1], **given))


def test_a_channel_without_noise(recwarn):
    noisy = streaked(scene(24, 24), line())
    pair = np.stack([noisy, noisy[::-1]], -1)
    psd = np.stack([psd_from_kernel(line(), (24, 24)), np.zeros((24, 24))], -1)
    restored = bm3d(pair, psd=psd, channel_axis=2, profile=SMALL)
    assert not recwarn.list
    np.testing.assert_array_equal(restored[..., 1], pair[..., 1])
    assert psnr(scene(24, 24), restored[..., 0]) > psnr(scene(24, 24), noisy)


def test_invalid_pixels():
    clean = scene(60, 64)
    noisy = streaked(clean, line())
    valid = np.ones(clean.shape, bool)
    valid[20:24, 30:34] = valid[5, 5] = False
    broken = np.where(valid, noisy, np.nan)
    given = {"noise_kernel": line(), "profile": SMALL}
    restored = bm3d(broken, mask=valid, **given)
    assert np.isnan(restored[~valid]).all()
    whole = bm3d(noisy, **given)
    assert psnr(clean[valid], restored[valid]) > psnr(clean[valid], whole[valid]) - 0.3


def test_units_pilots_and_guides():
    clean = scene(40, 44)
    noisy = streaked(clean, line())
    restored = bm3d(noisy, noise_kernel=line(), profile=SMALL)
    scaled = bm3d(noisy / 256, noise_kernel=line() / 256, profile=SMALL)
    np.testing.assert_array_equal(256 * scaled, restored)
    for options in ({"pilot": clean}, {"guide": clean}):
        other = bm3d(noisy, noise_kernel=line(), profile=SMALL, **options)
        assert psnr(clean, other) > psnr(clean, noisy) + 6
    small = bm3d(noisy[:5, :3], noise_kernel=line(), profile=SMALL)
    assert np.isfinite(small).all()


def test_progress():
    seen = []
    bm3d(
        streaked(scene(30, 34), line()), noise_kernel=line(), profile=SMALL,
        progress=lambda done, total: seen.append(done / total),
    )  # fmt: skip
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert max(np.diff([0, *seen])) < 0.3


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, r"'iterative' iterates, which needs noise of one level; sigma is a map",
         lambda: bm3d(scene(16, 16), np.linspace(1, 9, 16), profile="iterative")),
        (MemoryError, r"max_memory=1000 bytes .*profile 'iterative' iterates, without tiles",
         lambda: bm3d(scene(64, 64), 20, max_memory=1000, profile="iterative")),
        (ValueError, r"profile 'iterative' is not supported for volumes",
         lambda: fastrestore.bm4d(np.zeros((9, 9, 9)), 1, profile="iterative")),
        (ValueError, r"iterations=4 cannot be used with residual=1: leave out one",
         lambda: Profile.named("iterative").replace(residual=1.0)),
        (ValueError, r"iterations=2 cannot be used with sharpen=1.5: leave out one",
         lambda: Profile.named("np").replace(iterations=2, sharpen=1.5)),
        (ValueError, r"iterations must be .* 0 to 32, got -1",
         lambda: Profile.named("np").replace(iterations=-1)),
        (ValueError, r"excess must be .* 1", lambda: Profile.named("np").replace(excess=0.5)),
    ],
)  # fmt: skip
def test_bad_input(error, message, call):
    with pytest.raises(error, match=message):
        call()
