"""Batches of images on the GPU: one set of launches, and the results of one call for each image."""

import numpy as np
import pytest
from support.images import assert_close, noisy, scene

from fastrestore import Profile, bm3d
from fastrestore._algorithms import joined
from fastrestore.backends import cupy as package

SMALL = Profile(radius_basic=4, radius_final=4, group_basic=4, group_final=4)
STAGES = [
    "bm3d_match", "bm3d_rows", "bm3d_basic_rows", "bm3d_divide_rows",
    "bm3d_match", "bm3d_rows", "bm3d_rows", "bm3d_final_rows", "bm3d_divide_rows",
]  # fmt: skip


def batch(count=5, shape=(20, 23), channels=()):
    """Images (B, M, N, C) of different contrast."""
    images = [
        np.round(noisy(scene(*shape, seed=k), 10, k)) * (1 + k % 3)
        for k in range(count * int(np.prod(channels)))
    ]
    stacked = np.reshape(images, (count, -1, *shape)).astype(np.float32)
    return np.moveaxis(stacked, 1, -1) if channels else stacked[:, 0]


def own(launches):
    """Launches of our kernels, without those of CuPy."""
    return [name for name in launches if not name.startswith("cupy_")]


def one_by_one(images, sigmas, axis=0, **options):
    each = np.moveaxis(images, axis, 0)
    results = [bm3d(image, sigma, **options) for image, sigma in zip(each, sigmas, strict=True)]
    return np.moveaxis(results, 0, axis)


@pytest.mark.parametrize("count", [2, 5, 9])
def test_one_set_of_launches(fake, count):
    images = fake.asarray(batch(count))
    bm3d(images, 10, batch_axis=0, profile=SMALL)
    fake.log.clear()
    bm3d(images, 10, batch_axis=0, profile=SMALL)
    assert own(fake.launches()) == ["bm3d_mix", "bm3d_range", "bm3d_mix", *STAGES, "bm3d_mix"]
    for kind in ("h2d", "d2h", "sync", "compile"):
        assert fake.count(kind) == 0, kind


CASES = {
    "one level": (10, {}),
    "a level for each image": ([10, 5, 20, 10, 8], {}),
    "a range": (10, {"data_range": 255}),
    "float64": (10, {"dtype": "f8"}),
    "float16": (10, {"dtype": "f2"}),
    "8 bits": (10, {"dtype": "u1"}),
    "correlated noise": (None, {"noise_kernel": np.full((1, 3), 5.0)}),
    "basic stage": (10, {"stage": "basic", "strength": 1.3}),
    "sharpened": (10, {"stage": "basic", "profile": SMALL.replace(sharpen=1.4)}),
    "the same bits": (10, {"deterministic": True}),
}


@pytest.mark.parametrize("name", CASES)
def test_each_image_as_by_itself(fake, name):
    sigma, options = CASES[name]
    options = {"profile": SMALL, **options}
    images = batch().astype(options.pop("dtype", "f4"))
    sigmas = sigma if isinstance(sigma, list) else [sigma] * 5
    expected = one_by_one(images, sigmas, backend="numba", **options)
    result = bm3d(fake.asarray(images), sigma, batch_axis=0, **options)
    assert isinstance(result, fake.ndarray)
    assert result.dtype == expected.dtype
    assert_close(result.get(), expected, 255)
    assert fake.launches().count("bm3d_match") <= 2
    there = [fake.asarray(image) for image in images]
    alone = [bm3d(image, s, **options).get() for image, s in zip(there, sigmas, strict=True)]
    assert_close(result.get(), np.stack(alone), 255)
    if options.get("deterministic"):
        np.testing.assert_array_equal(result.get(), alone)


@pytest.mark.parametrize(("batch_axis", "channel_axis"), [(0, -1), (0, 1), (3, 0), (2, 3)])
def test_color(fake, batch_axis, channel_axis):
    images = batch(3, channels=(3,))
    expected = one_by_one(images, [10] * 3, channel_axis=-1, profile=SMALL, backend="numba")
    arranged = np.moveaxis(images, (0, 3), (batch_axis, channel_axis))
    result = bm3d(
        fake.asarray(arranged), 10, batch_axis=batch_axis, channel_axis=channel_axis, profile=SMALL
    )
    assert result.shape == arranged.shape
    assert_close(np.moveaxis(result.get(), (batch_axis, channel_axis), (0, 3)), expected, 255)
    assert fake.launches().count("bm3d_match") == 2


def test_levels_of_channels(fake):
    images, levels = batch(2, channels=(3,)), np.array([[5.0, 10, 15], [10, 5, 5]])
    options = {"channel_axis": -1, "profile": SMALL}
    expected = one_by_one(images, levels, backend="numba", **options)
    result = bm3d(fake.asarray(images), levels[:, None, None], batch_axis=0, **options)
    assert_close(result.get(), expected, 255)
    assert fake.launches().count("bm3d_match") == 2


def test_views_of_other_arrays(fake):
    """Arrays with gaps, and the last axis as that of the batch."""
    images = batch()
    wide = np.zeros((5, 22, 50), np.float32)
    wide[:, 1:21, 2:48:2] = images
    expected = bm3d(fake.asarray(images), 10, batch_axis=0, profile=SMALL, deterministic=True)
    options = {"profile": SMALL, "deterministic": True}
    view = fake.asarray(wide)[:, 1:21, 2:48:2]
    np.testing.assert_array_equal(bm3d(view, 10, batch_axis=0, **options).get(), expected.get())
    last = fake.asarray(np.moveaxis(images, 0, -1))
    result = bm3d(last, 10, batch_axis=-1, **options)
    np.testing.assert_array_equal(np.moveaxis(result.get(), -1, 0), expected.get())


def test_images_on_the_host_are_copied_together(fake, monkeypatch):
    monkeypatch.setattr(package, "least_size", {"image": 5 * 20 * 23})  # only all of them
    images = batch()
    expected = one_by_one(images, [10] * 5, backend="numba", profile=SMALL)
    bm3d(images, 10, batch_axis=0, profile=SMALL)
    fake.log.clear()
    result, infos = bm3d(images, 10, batch_axis=0, profile=SMALL, return_info=True)
    assert isinstance(result, np.ndarray)
    assert_close(result, expected, 255)
    assert fake.count("d2h") == fake.count("h2d") == 1
    assert [info.backend for info in infos] == ["cupy"] * 5
    assert [info.sigma for info in infos] == [10.0] * 5
    bm3d(images[:4], 10, batch_axis=0, profile=SMALL)  # too small
    assert fake.launches().count("bm3d_match") == 2


SINGLE = {
    "a constant": lambda images: images[1].fill(7),
    "far from 0": lambda images: images[1].__iadd__(1e6),
    "an outlier": lambda images: images[1].__setitem__((3, 3), 1e9),
}


@pytest.mark.parametrize("name", SINGLE)
def test_images_on_the_host_that_need_steps_of_their_own(fake, name):
    images = batch()
    SINGLE[name](images)
    expected = one_by_one(images, [10] * 5, backend="numba", profile=SMALL)
    result = bm3d(images, 10, batch_axis=0, profile=SMALL, backend="cupy")
    np.testing.assert_allclose(result[1], expected[1], atol=0.2)
    assert_close(np.delete(result, 1, 0), np.delete(expected, 1, 0), 255)


def test_options_with_which_images_are_restored_one_by_one(fake):
    images = fake.asarray(batch(3))
    for options in (
        {"sigma": np.linspace(5, 15, 20 * 23).reshape(20, 23)},
        {"sigma": 10, "pilot": images},
        {"sigma": [10, 0, 5]},
        {"sigma": 10, "mask": batch(3) > 20},
    ):
        fake.log.clear()
        result = bm3d(images, batch_axis=0, profile=SMALL, **options)
        assert fake.launches().count("bm3d_match") > 2
        one = {k: v[2] if getattr(v, "ndim", 0) == 3 else v for k, v in options.items()}
        one["sigma"] = 5 if isinstance(one["sigma"], list) else one["sigma"]
        assert_close(result[2].get(), bm3d(images[2], profile=SMALL, **one).get(), 255)


def test_a_batch_that_does_not_fit_is_restored_in_parts(fake):
    images = fake.asarray(batch(8))
    options = {"batch_axis": 0, "profile": SMALL, "deterministic": True}
    whole = bm3d(images, 10, **options).get()
    fake.log.clear()
    parts = bm3d(images, 10, max_memory=300_000, **options).get()
    np.testing.assert_array_equal(parts, whole)
    assert 2 < fake.launches().count("bm3d_match") < 16
    fake.limit = fake.live + images.nbytes + 300_000
    np.testing.assert_array_equal(bm3d(images, 10, **options).get(), whole)


def test_more_images_than_a_grid_can_have(fake, monkeypatch):
    monkeypatch.setattr("fastrestore._collaborative.together.MOST_PLANES", 2)
    images = fake.asarray(batch(3))
    expected = one_by_one(batch(3), [10] * 3, backend="numba", profile=SMALL)
    assert_close(bm3d(images, 10, batch_axis=0, profile=SMALL).get(), expected, 255)
    assert fake.launches().count("bm3d_match") == 4


def test_large_images_are_restored_one_by_one(fake, monkeypatch):
    monkeypatch.setattr(joined, "SMALL", 100)
    bm3d(fake.asarray(batch(3)), 10, batch_axis=0, profile=SMALL)
    assert fake.launches().count("bm3d_match") == 6


def test_images_smaller_than_a_block(fake):
    images = batch(3, (5, 6))
    expected = one_by_one(images, [10] * 3, backend="numba", profile=SMALL)
    result = bm3d(fake.asarray(images), 10, batch_axis=0, profile=SMALL)
    assert_close(result.get(), expected, 255)


def test_wrong_arguments_name_the_image(fake):
    images = fake.asarray(batch(3))
    for sigma, message in (
        ([1, 2, -4], "image 2 of the batch: sigma must be a number of 0 or more"),
        ([1, 2], "sigma must be one number, or 3, one for each image, got 2"),
    ):
        with pytest.raises(ValueError, match=message):
            bm3d(images, sigma, batch_axis=0, profile=SMALL)


def test_the_range_of_each_image_decides_which_blocks_match(fake):
    """Images times powers of two give the same result, times these."""
    image = batch(1)[0]
    factors = np.array([1, 2, 0.5], np.float32)
    images = factors[:, None, None] * image
    result = bm3d(
        fake.asarray(images), 10 * factors, batch_axis=0, profile=SMALL, deterministic=True
    ).get()
    for k, factor in enumerate(factors):
        assert_close(result[k] / factor, result[0], 255)
