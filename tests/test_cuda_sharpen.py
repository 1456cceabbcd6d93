"""Sharpening on the GPU."""

import numpy as np
import pytest
from support.images import assert_close, noisy, scene

from fastrestore import Profile, sharpen
from fastrestore.backends import cupy as package

SMALL = Profile(radius_basic=5, group_basic=4)
LIMITS = 64  # bytes of the range of an image


def image(channels=()):
    clean = scene(30, 34)
    each = [np.round(noisy(clean, 10, k)) for k in range(int(np.prod(channels)))]
    return (np.stack(each, -1) if channels else each[0]).astype(np.float32)


@pytest.mark.parametrize("alpha", [1.2, 2.0])
@pytest.mark.parametrize("options", [
    {},
    {"data_range": 255, "strength": 0.5},
    {"channels": (3,)},
    {"channels": (2,), "sigma": [8, 12]},
    {"dtype": "u1"},
    {"dtype": "f8"},
])  # fmt: skip
def test_an_image_on_the_gpu_is_sharpened_there(fake, alpha, options):
    options = {"profile": SMALL, "sigma": 10, **options}
    channels = options.pop("channels", ())
    if channels:
        options["channel_axis"] = -1
    noise = image(channels).clip(0, 255).astype(options.pop("dtype", "f4"))
    expected = sharpen(noise, alpha=alpha, backend="numba", **options)
    there = fake.asarray(noise)
    sharpen(there, alpha=alpha, **options)
    fake.log.clear()
    result = sharpen(there, alpha=alpha, **options)
    assert isinstance(result, fake.ndarray)
    assert_close(result.get(), expected, 255)
    copied = [entry[1] for entry in list(fake.log) if entry[0] == "d2h"]
    assert sum(copied[:-1]) <= LIMITS  # the last one is that of this test


def test_a_large_image_on_the_host_is_sharpened_on_the_gpu(fake, monkeypatch):
    monkeypatch.setattr(package, "least_size", {"sharpen": 30 * 34})
    result, info = sharpen(image(), 10, profile=SMALL, return_info=True)
    assert info.backend == "cupy"
    _, info = sharpen(image()[:, :33], 10, profile=SMALL, return_info=True)
    assert info.backend == "numba"
    assert_close(result, sharpen(image(), 10, profile=SMALL, backend="numba"), 255)


def test_values_that_are_not_finite(fake):
    noise = image()
    noise[3, 4] = np.nan
    result = sharpen(fake.asarray(noise), 10, profile=SMALL)
    assert np.isfinite(result.get()[25:, 25:]).all()
    everywhere = np.full((12, 13), np.nan, np.float32)
    assert np.isnan(sharpen(fake.asarray(everywhere), 10, profile=SMALL).get()).all()
