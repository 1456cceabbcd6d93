"""Images on the GPU are not copied to the host where that is promised."""

import numpy as np
import pytest
from support import gpufft
from support.images import assert_close, noisy, scene

from fastrestore import Profile, bm3d, remove_streaks

SMALL = Profile(radius_basic=4, radius_final=4, group_basic=4, group_final=4)
LINE = np.full((1, 5), 6.0)


def image(channels=(), shape=(60, 64)):
    clean = scene(*shape)
    each = [np.round(noisy(clean, 10, k)) + 20 * k for k in range(int(np.prod(channels)))]
    return (np.stack(each, -1) if channels else each[0]).astype(np.float32)


def copied(fake, call):
    """Call twice; return the result of the second call and the bytes it copied to the host."""
    call()
    fake.log.clear()
    result = call()
    return result, sum(entry[1] for entry in fake.log if entry[0] == "d2h")


@pytest.mark.parametrize("channels", [2, 3, 7])
@pytest.mark.parametrize("dtype", ["f4", "u1", "f8"])
def test_principal_components(fake, channels, dtype):
    options = {"colorspace": "pca", "channel_axis": -1, "profile": SMALL}
    noise = image((channels,), (20, 22)).clip(0, 255).astype(dtype)
    there = fake.asarray(noise)
    result, bytes_ = copied(fake, lambda: bm3d(there, 10, **options))
    assert bytes_ == 8 * channels**2
    assert_close(result.get(), bm3d(noise, 10, backend="numba", **options), 255)


def test_principal_components_of_valid_pixels(fake):
    noise = image((3,), (20, 22))
    noise[5:9, 6:10] = np.nan
    mask = np.isfinite(noise)
    options = {"colorspace": "pca", "channel_axis": -1, "profile": SMALL, "mask": mask}
    result, bytes_ = copied(fake, lambda: bm3d(fake.asarray(noise), 10, **options))
    assert bytes_ == 8 * 3**2
    expected = bm3d(noise, 10, backend="numba", **options)
    assert_close(result.get()[mask], expected[mask], 255)


@pytest.mark.parametrize("options", [
    {"noise_kernel": LINE},
    {"sigma": 10},
    {"sigma": [10, 5, 8], "channels": (3,), "channel_axis": -1},
    {"noise_kernel": LINE, "mask": True},
])  # fmt: skip
def test_residuals_that_are_filtered_again(fake, monkeypatch, options):
    options = {"profile": SMALL.replace(residual=1.0), **options}
    noise = image(options.pop("channels", ()), (90, 70))
    valid = np.ones(noise.shape, bool)
    if options.get("mask"):
        valid[20:24, 30:34] = False
        noise[~valid] = np.nan
        options["mask"] = valid
    expected = bm3d(noise, backend="numba", **options)
    there = fake.asarray(noise)
    plain = bm3d(there, **options)  # without cuFFT, residuals are copied to the host
    assert_close(plain.get()[valid], expected[valid], 255)
    gpufft.use(monkeypatch)
    result, bytes_ = copied(fake, lambda: bm3d(there, **options))
    assert_close(result.get()[valid], expected[valid], 255)
    few = (2 * options["profile"].reach() + 1) ** 2
    assert bytes_ <= 2 * 8 * few * (3 if noise.ndim == 3 else 1)


def test_residuals_of_an_image_with_few_frequencies(fake, monkeypatch):
    gpufft.use(monkeypatch)
    noise, profile = image((), (9, 11)), SMALL.replace(residual=1.0)
    expected = bm3d(noise, 10, profile=profile, backend="numba")
    assert_close(bm3d(fake.asarray(noise), 10, profile=profile).get(), expected, 255)


def sinogram(stack=()):
    """Values (angles, detector) with streaks, one of which fluctuates."""
    random = np.random.default_rng(0)
    angles, pixels = np.mgrid[:200, :60]
    clean = 40 * np.exp(-(((pixels - 30 - 5 * np.sin(angles / 30)) / 12) ** 2))
    streaks = random.normal(0, 1, (*stack, 1, 60))
    streaks[..., 11] += 12
    noise = random.normal(0, 0.2, (*stack, 200, 60))
    noise[..., 40] *= 30
    return clean + streaks + noise


@pytest.mark.parametrize("options", [
    {},
    {"strong": None},
    {"strength": 1.5, "levels": 0},
    {"stack": (2,)},
    {"dtype": "f4", "order": (1, 0), "angle_axis": 1, "detector_axis": 0},
    {"dtype": "u2"},
])  # fmt: skip
def test_streaks(fake, monkeypatch, options):
    gpufft.use_median(monkeypatch)
    options = {"profile": SMALL, "backend": "numba", **options}
    noise = sinogram(options.pop("stack", ()))
    noise = (noise.clip(0) * 10).astype(options.pop("dtype", "f8"))
    noise = noise.transpose(options.pop("order", range(noise.ndim)))
    expected = remove_streaks(noise, **options)
    there = fake.asarray(noise)
    result, bytes_ = copied(fake, lambda: remove_streaks(there, **options))
    assert isinstance(result, fake.ndarray)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(result.get(), expected, rtol=0, atol=1e-5 * np.ptp(expected))
    means = 8 * 60 * (64 + 2)  # over some angles, and two measures of each detector pixel
    assert bytes_ <= means * max(1, noise.size // 12000) < 8 * noise.size


def test_streaks_on_another_gpu(fake, monkeypatch):
    gpufft.use_median(monkeypatch)
    with fake.cuda.Device(1):
        there = fake.asarray(sinogram())
    result = remove_streaks(there, profile=SMALL)
    assert result.device.id == 1
    assert fake.device == 0
