"""The level of white noise, and guides, on the GPU: as on the host, without copies of the image."""

import numpy as np
import pytest
from support import gpufft
from support.images import assert_close, noisy, scene

from fastrestore import Profile, bm3d, estimate_noise, estimate_sigma
from fastrestore._noise import estimate, level, mosaic

SMALL = Profile(radius_basic=4, radius_final=4, group_basic=4, group_final=4)
ROUNDING = 1e-6  # relative: sums are added in another order, and sums of products are exact


def copied(fake, call):
    """Return a result, and the bytes that were copied to the host at a time, at most."""
    fake.log.clear()
    result = call()
    return result, max([entry[1] for entry in fake.log if entry[0] == "d2h"], default=0)


def photograph(dtype="f4", shape=(72, 80)):
    values = noisy(scene(*shape), 10, 3).clip(0, 255)
    return (np.rint(values) if np.dtype(dtype).kind != "f" else values).astype(dtype)


def drawing():
    """Lines and text on paper, with gray edges."""
    random = np.random.default_rng(2)
    image = np.full((70, 70), 250.0)
    for k in range(5, 65, 6):
        image[k : k + 2, 5:60] = random.integers(0, 80)
        image[5:60, k] = random.integers(0, 80)
    image[1:] = (image[1:] + image[:-1]) / 2
    return image.round()


def beside_noise():
    image = drawing()
    image[:, 20:] = noisy(image[:, 20:] * 0 + 120, 8, 1)
    return image


def stars():
    image = np.random.default_rng(0).normal(50, 3, (80, 80))
    image[::3, ::3] += 2000 * np.random.default_rng(1).random((27, 27))
    return image


IMAGES = {
    **{kind: photograph(kind) for kind in ("f4", "f8", "u1", "u2", "i4", "f2")},
    "clipped": noisy(scene(72, 80) * 2 - 140, 12, 1).clip(0, 255).round(),
    "clipped above": noisy(scene(72, 80) + 60, 12, 1).clip(None, 255),
    "borders": np.pad(photograph(), 12),
    "drawing": drawing(),
    "beside noise": beside_noise(),
    "stars": stars(),
    "constant": np.full((30, 30), 7.0),
    "bitmap": np.random.default_rng(0).integers(0, 2, (40, 40)) * 255.0,
    "ramp": np.add.outer(np.arange(40.0), np.arange(50.0)),
    "small": photograph(shape=(12, 15)),
    "large numbers": photograph("f8") * 1e30 + 1e31,
    "transposed": photograph("f4", (90, 60)).T,
    "every second": photograph("u1", (150, 75))[::2],
}


@pytest.mark.parametrize("name", IMAGES)
def test_sigma_is_that_of_the_host(fake, monkeypatch, name):
    gpufft.use_median(monkeypatch)
    gpufft.use_unique(monkeypatch)
    image = IMAGES[name]
    expected = estimate_sigma(image)
    there = fake.asarray(image)
    if name == "every second":
        there = fake.asarray(photograph("u1", (150, 75)))[::2]
    found, most = copied(fake, lambda: estimate_sigma(there))
    assert isinstance(found, float)
    assert found == pytest.approx(expected, rel=ROUNDING, abs=0)
    if name != "small":  # which has too few patches
        assert most <= 10_300 < image.nbytes or image.nbytes < 15_000


def test_channels_and_masks(fake):
    image = np.stack([photograph(), 2 * photograph(), np.full((72, 80), 9.0)], -1)
    mask = np.ones((72, 80), bool)
    mask[20:30, 30:50] = mask[:, 5] = False
    image[~mask] = np.nan
    expected = estimate_sigma(image, -1, mask=mask)
    found, most = copied(fake, lambda: estimate_sigma(fake.asarray(image), -1, mask=mask))
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)
    assert expected[2] == 0 < expected[0]
    assert most <= 10_300
    own = np.stack([mask, ~mask, mask], -1)
    image[...] = np.nan_to_num(image, nan=3e4)
    few = estimate_sigma(fake.asarray(image), -1, mask=own)
    np.testing.assert_allclose(few, estimate_sigma(image, -1, mask=own), rtol=ROUNDING)


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_large_images_are_sampled(fake, monkeypatch, share):
    """By squares, if enough of their pixels are valid; patches are on a grid."""
    for name, value in {"LARGE": 5000, "SQUARE": 24, "SQUARES": 3, "MOST": 2000}.items():
        monkeypatch.setattr(estimate, name, value)
    monkeypatch.setattr(level, "MANY", 600)
    monkeypatch.setattr(level, "FEWEST", 250)
    image = photograph("u1", (95, 101))
    valid = np.random.default_rng(0).random(image.shape) < share if share < 1 else None
    if valid is not None:
        valid[30:80, 20:90] = True
        valid[:30] = valid[80:] = False
        valid[:, 24:] |= False
    expected = estimate_sigma(image, mask=valid)
    found = estimate_sigma(fake.asarray(image), mask=valid)
    assert found == pytest.approx(expected, rel=ROUNDING)


def test_sums_of_products_are_exact(fake):
    """They are whole numbers, so the order of threads does not change the result."""
    there, found = fake.asarray(photograph()), []
    for seed in range(3):
        fake.seed = seed
        found.append(estimate_sigma(there))
    assert found[0] == found[1] == found[2]


def wrong_images():
    for value in (np.nan, np.inf, 1e20):
        image = photograph()
        image[3, 7] = value
        yield image
    yield photograph("f8") * 1e70


@pytest.mark.parametrize("image", list(wrong_images()))
def test_errors_are_those_of_the_host(fake, image):
    """For values that are not finite, too large, or too far from the others."""
    for turned, options in ((image, {}), (np.stack([image[::-1]] * 2, -1), {"channel_axis": -1})):
        with pytest.raises(ValueError, match=r"^image has") as expected:
            estimate_sigma(turned, **options)
        with pytest.raises(ValueError, match=r"^image has") as found:
            estimate_sigma(fake.asarray(turned), **options)
        assert str(found.value) == str(expected.value)


def test_an_image_that_is_not_finite_is_not_restored(fake):
    image = photograph()
    image[3, 7] = np.nan
    with pytest.raises(ValueError, match=r"1 in all, the first is nan at \(3, 7\)"):
        bm3d(fake.asarray(image), noise="white", profile=SMALL)


def test_white_noise_by_its_name(fake):
    image = np.stack([photograph(), 2 * photograph()])
    options = {"channel_axis": 0, "model": "white"}
    found, most = copied(fake, lambda: estimate_noise(fake.asarray(image), **options))
    np.testing.assert_allclose(found.sigma, estimate_noise(image, **options).sigma, rtol=ROUNDING)
    assert most <= 10_300
    bitmap = fake.asarray(IMAGES["bitmap"])
    assert estimate_noise(bitmap, model="white").sigma == 0


def test_squares_of_a_very_large_image(fake, monkeypatch):
    monkeypatch.setattr(mosaic, "MOST", 4000)
    monkeypatch.setattr(mosaic, "SIDE", 32)
    image = photograph("u1", (75, 90))
    expected = estimate_noise(image, model="white").sigma
    with fake.cuda.Device(1):
        there = fake.asarray(image)
    found, most = copied(fake, lambda: estimate_noise(there, model="white"))
    np.testing.assert_allclose(found.sigma, expected, rtol=ROUNDING)
    assert most <= 10_300


def test_bm3d_estimates_white_noise_where_the_image_is(fake):
    image = photograph()
    found, most = copied(fake, lambda: bm3d(fake.asarray(image), noise="white", profile=SMALL))
    assert most <= 10_300
    assert_close(found.get(), bm3d(image, noise="white", profile=SMALL, backend="numba"), 255)


def test_the_rms_of_the_channels_that_vary(fake):
    image = np.stack([photograph(), 2 * photograph(), np.full((72, 80), 9.0, np.float32)])
    found, most = copied(fake, lambda: estimate.mean_sigma(fake.asarray(image)))
    assert found == pytest.approx(estimate.mean_sigma(image), rel=ROUNDING)
    assert most <= 10_300


@pytest.mark.parametrize("options", [
    {},
    {"channel_axis": -1},
    {"mask": True},
    {"max_memory": 6e5},
    {"dtype": "f8"},
])  # fmt: skip
def test_guides_stay_on_the_gpu(fake, options):
    options = {"profile": SMALL, **options}
    image, guide = (
        photograph(),
        (40 * noisy(scene(72, 80), 2, 9)).astype(options.pop("dtype", "f4")),
    )
    if "channel_axis" in options:
        image = np.stack([image, image[::-1], image[:, ::-1]], -1)
        guide = np.stack([guide, guide + 30, guide], -1)
    if options.get("mask"):
        options["mask"] = np.ones(image.shape, bool)
        options["mask"][20:24, 30:34] = False
    expected = bm3d(image, 10, guide=guide, backend="numba", **options)
    there = fake.asarray(image), fake.asarray(guide)
    found, most = copied(fake, lambda: bm3d(there[0], 10, guide=there[1], **options))
    assert most <= 10_300
    assert_close(found.get(), expected, 255)


def test_guides_on_the_host_and_for_images_on_the_host(fake):
    image, guide = photograph(), noisy(scene(72, 80), 2, 9).astype("f4")
    expected = bm3d(image, 10, guide=guide, profile=SMALL, backend="numba")
    mixed = bm3d(fake.asarray(image), 10, guide=guide, profile=SMALL)
    assert_close(mixed.get(), expected, 255)
    other = bm3d(image, 10, guide=fake.asarray(guide), profile=SMALL, backend="numba")
    np.testing.assert_array_equal(other, expected)


def test_a_guide_on_another_gpu(fake):
    with fake.cuda.Device(1):
        guide = fake.asarray(photograph())
    with pytest.raises(ValueError, match="guide is on GPU 1 and image on GPU 0; move one"):
        bm3d(fake.asarray(photograph()), 10, guide=guide, profile=SMALL)
