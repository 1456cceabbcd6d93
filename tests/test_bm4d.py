"""`bm4d`: quality, channels, noise, types, and messages for bad input."""

import numpy as np
import pytest
from support.images import assert_close, psnr, scene
from support.volumes import cells

import fastrestore
from fastrestore import Profile, bm3d, bm4d

SIGMA = 15.0


@pytest.fixture(scope="module")
def clean():
    return cells()


@pytest.fixture(scope="module")
def noisy(clean):
    return clean + SIGMA * np.random.default_rng(1).standard_normal(clean.shape)


@pytest.fixture(scope="module")
def restored(noisy):
    return bm4d(noisy, SIGMA)


def test_noise_is_removed(clean, noisy, restored):
    assert restored.shape == clean.shape
    assert restored.dtype == np.float64
    assert psnr(clean, restored) > psnr(clean, noisy) + 7
    slices = np.array([bm3d(one, SIGMA) for one in noisy])
    assert psnr(clean, restored) > psnr(clean, slices) + 0.5


def test_the_basic_stage_alone_is_worse(clean, noisy, restored):
    basic = bm4d(noisy, SIGMA, stage="basic")
    assert psnr(clean, noisy) + 5 < psnr(clean, basic) < psnr(clean, restored)


def test_whole_call_equals_the_specification(engine):
    clean = cells(8, 16, 18)
    noisy = np.round(clean + SIGMA * np.random.default_rng(0).standard_normal(clean.shape))
    narrow = Profile.named("volume").replace(
        radius_basic=3, radius_final=3, radius_slices_basic=2, radius_slices_final=2
    )
    expected, actual = (
        bm4d(noisy, SIGMA, profile=narrow, backend=name) for name in ("numpy", engine)
    )
    assert_close(actual, expected, 255)


def test_workers_and_repeats_give_the_same_bits(noisy, restored):
    for workers in (1, 3):
        np.testing.assert_array_equal(bm4d(noisy, SIGMA, workers=workers), restored)


def test_units(noisy, restored):
    twice = bm4d(2.0**-5 * noisy, 2.0**-5 * SIGMA)
    np.testing.assert_array_equal(twice, 2.0**-5 * restored)
    moved = bm4d(3 * noisy - 70, 3 * SIGMA)
    np.testing.assert_allclose(moved, 3 * restored - 70, atol=0.1)
    far = bm4d(noisy + 1e6, SIGMA)
    np.testing.assert_allclose(far - 1e6, restored, atol=0.1)


def test_types_and_layouts(noisy, restored):
    narrow = bm4d(noisy.astype(np.float32), SIGMA)
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, restored, atol=0.05)
    eight = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
    whole = bm4d(eight, SIGMA)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole, bm4d(eight.astype(np.float64), SIGMA), atol=1e-3)
    turned = np.asfortranarray(noisy)[:, ::-1][:, ::-1]
    np.testing.assert_array_equal(bm4d(turned, SIGMA), restored)


def test_input_is_not_changed(noisy):
    before = noisy.copy()
    noisy.flags.writeable = False
    bm4d(noisy, SIGMA)
    np.testing.assert_array_equal(noisy, before)


def test_slices_are_across_the_shortest_axis(noisy, restored):
    for axis in (1, 2):
        turned = np.moveaxis(noisy, 0, axis)
        for slice_axis in (None, axis, axis - 3):
            back = np.moveaxis(bm4d(turned, SIGMA, slice_axis=slice_axis), axis, 0)
            np.testing.assert_array_equal(back, restored)
    assert not np.array_equal(bm4d(noisy, SIGMA, slice_axis=2), restored)


def assert_same(actual, expected):
    """Equal up to rounding: fixed-point sums depend on the range of all channels."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-4)


def test_channels_share_the_groups_of_match_channel(clean, noisy, restored):
    other = 200 - 0.4 * clean
    second = other + 5 * np.random.default_rng(5).standard_normal(clean.shape)
    both = np.stack([noisy, second], axis=-1)
    first = bm4d(both, (SIGMA, 5), channel_axis=-1)
    assert_same(first[..., 0], restored)
    assert psnr(other, first[..., 1]) > psnr(other, second) + 5
    swapped = bm4d(both, (SIGMA, 5), channel_axis=3, match_channel=-1)
    assert_same(swapped[..., 1], bm4d(second, 5))
    front = bm4d(np.moveaxis(both, -1, 0), (SIGMA, 5), channel_axis=0, slice_axis=1)
    np.testing.assert_array_equal(front[0], first[..., 0])


def test_channel_without_noise_is_unchanged(noisy):
    both = np.stack([noisy, noisy + 1])
    result = bm4d(both, (SIGMA, 0), channel_axis=0)
    np.testing.assert_array_equal(result[1], both[1])


def test_one_slice_equals_bm3d():
    image = scene(40, 44) + SIGMA * np.random.default_rng(2).standard_normal((40, 44))
    np.testing.assert_allclose(bm4d(image[None], SIGMA)[0], bm3d(image, SIGMA), atol=0.02)
    np.testing.assert_allclose(bm4d(image[:, None], SIGMA)[:, 0], bm3d(image, SIGMA), atol=0.02)


@pytest.mark.parametrize("slices", [2, 3, 4])
def test_few_slices_are_better_than_one(slices):
    clean = np.stack([scene(40, 44)] * slices)
    noisy = clean + SIGMA * np.random.default_rng(2).standard_normal(clean.shape)
    alone = np.array([bm3d(one, SIGMA) for one in noisy])
    assert psnr(clean, bm4d(noisy, SIGMA)) > psnr(clean, alone) + 0.3 * slices


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 9), (5, 2, 3), (6, 5, 4), (9, 1, 12)])
def test_small_volumes(backend, shape):
    volume = np.random.default_rng(0).normal(100, 10, shape)
    result = bm4d(volume, 10, backend=backend)
    assert result.shape == shape
    assert np.isfinite(result).all()
    if volume.size > 50:
        assert np.abs(result - 100).mean() < np.abs(volume - 100).mean()


def test_no_noise_and_no_structure(noisy):
    np.testing.assert_array_equal(bm4d(noisy, 0), noisy)
    flat = np.full((6, 8, 9), 7.5)
    np.testing.assert_array_equal(bm4d(flat, 3), flat)


def test_unknown_sigma_is_estimated(clean, noisy, restored):
    assert abs(psnr(clean, bm4d(noisy)) - psnr(clean, restored)) < 0.5


def test_map_of_sigma(clean):
    level = np.linspace(2, 30, clean.shape[2]) * np.ones(clean.shape)
    level[:, :4] = 0
    noisy = clean + level * np.random.default_rng(4).standard_normal(clean.shape)
    denoised = bm4d(noisy, level)
    np.testing.assert_array_equal(denoised[:, :4], noisy[:, :4])
    single = max(psnr(clean, bm4d(noisy, sigma)) for sigma in (10, 15, 20))
    assert psnr(clean, denoised) > single + 0.5
    same = bm4d(noisy, np.full((1, 1, clean.shape[2]), SIGMA))
    np.testing.assert_array_equal(same, bm4d(noisy, SIGMA))
    wide = bm4d(noisy.transpose(1, 2, 0), level.transpose(1, 2, 0))
    np.testing.assert_array_equal(wide.transpose(2, 0, 1), denoised)


def test_psd_of_white_noise_equals_sigma(noisy, restored):
    psd = np.full(noisy.shape, SIGMA**2 * noisy.size)
    np.testing.assert_array_equal(bm4d(noisy, psd=psd), restored)


def test_correlated_noise(clean):
    kernel = SIGMA * np.full((3, 1, 3), 1 / 3)
    rng = np.random.default_rng(7)
    white = rng.standard_normal(np.add(clean.shape, (2, 0, 2)))
    noise = sum(
        kernel[k, 0, m] * white[k : k + clean.shape[0], :, m : m + clean.shape[2]]
        for k in range(3)
        for m in range(3)
    )
    noisy, psd = clean + noise, fastrestore.psd_from_kernel(kernel, clean.shape)
    assert abs(psd.sum() / psd.size**2 - SIGMA**2) < 1e-9 * psd.size
    denoised = bm4d(noisy, psd=psd)
    assert psnr(clean, denoised) > psnr(clean, bm4d(noisy, SIGMA)) + 2
    turned = bm4d(noisy.transpose(2, 0, 1), psd=psd.transpose(2, 0, 1))
    np.testing.assert_allclose(turned.transpose(1, 2, 0), denoised, atol=0.01)


def test_rician_noise(clean):
    rng, signal = np.random.default_rng(8), clean.astype(float)
    signal[:, :, :12] = 0  # air
    real, imaginary = rng.normal(0, SIGMA, (2, *clean.shape))
    magnitude = np.hypot(signal + real, imaginary)
    denoised = bm4d(magnitude, noise=fastrestore.Rician(SIGMA))
    assert psnr(signal, denoised) > psnr(signal, bm4d(magnitude, SIGMA)) + 1
    assert abs(denoised[:, 4:-4, 3:9].mean()) < 8


def test_data_range(noisy):
    whole = bm4d(noisy, SIGMA, data_range=255)
    assert not np.array_equal(whole, bm4d(noisy, SIGMA, data_range=25))


def test_progress(noisy):
    seen = []
    bm4d(noisy, SIGMA, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (100, 100)


BAD = [
    (TypeError, "slice_axis must be a whole number, got 1.5", {"slice_axis": 1.5}),
    (ValueError, "slice_axis=3 is not an axis", {"slice_axis": 3}),
    (ValueError, "match_channel must be from -1 to 0, got 1", {"match_channel": 1}),
    (TypeError, "match_channel must be", {"match_channel": None}),
    (ValueError, "sigma must be a number of 0 or more", {"sigma": -1}),
    (ValueError, "specify the noise once: got both", {"psd": np.ones((12, 32, 36))}),
    (ValueError, r"psd must have the shape of the image", {"sigma": None, "psd": np.ones((2, 3))}),
    (
        ValueError,
        "a PoissonGaussian, a Rician or another object",
        {"sigma": None, "noise": "rician"},
    ),
    (ValueError, "profile 'nope' is unknown", {"profile": "nope"}),
    (TypeError, "profile must be a name or a Profile, got 3", {"profile": 3}),
    (ValueError, "profile 'refilter' is not supported for volumes", {"profile": "refilter"}),
    (ValueError, "block_basic of a volume must be", {"profile": Profile(block_basic=12)}),
    (ValueError, "stage must be", {"stage": "last"}),
    (ValueError, "data_range", {"data_range": 0}),
    (ValueError, "there is no such backend", {"backend": "nope"}),
    (ValueError, r"4 axes for channel_axis=0, got shape \(12, 32, 36\)", {"channel_axis": 0}),
]


@pytest.mark.parametrize(("kind", "message", "options"), BAD, ids=[row[1] for row in BAD])
def test_bad_arguments(noisy, kind, message, options):
    with pytest.raises(kind, match=message):
        bm4d(noisy, **{"sigma": 1, **options})


SHAPES = [
    (lambda v: v[0], {}, r"3 axes, got shape \(32, 36\); for an image use bm3d"),
    (lambda v: v[None], {}, r"3 axes, got shape \(1, 12, 32, 36\); channels need channel_axis="),
    (lambda v: v[:0], {}, r"empty, its shape is \(0, 32, 36\)"),
    (lambda v: v[None], {"channel_axis": 4}, "channel_axis=4 is not an axis"),
    (lambda v: v[None], {"channel_axis": 0, "slice_axis": 0}, "slice_axis=0 is the axis of chann"),
    (lambda v: v, {"sigma": None, "psd": np.arange(13824).reshape(12, 32, 36)}, "at .0, 0, 1"),
]


@pytest.mark.parametrize(("shape", "options", "message"), SHAPES, ids=[row[2] for row in SHAPES])
def test_bad_shapes(noisy, shape, options, message):
    with pytest.raises(ValueError, match=message):
        bm4d(shape(noisy), **{"sigma": 1, **options})


def test_a_list_raises():
    with pytest.raises(TypeError, match="volume must be an array"):
        bm4d([[[1.0]]], 1)


def test_nan_raises_with_its_position(noisy):
    bad = noisy.copy()
    bad[2, 3, 4] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinite, 1 in all.* at \(2, 3, 4\)"):
        bm4d(bad, SIGMA)


def test_sigma_in_other_units_warns(noisy):
    with pytest.warns(UserWarning, match="sigma=25 exceeds the whole range"):
        bm4d(noisy / 255, 25)
