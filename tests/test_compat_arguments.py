"""`fastrestore.compat.BM3Dv2` and `nlmeans`: arguments of filters for videos and volumes."""

import numpy as np
import pytest
from support.images import psnr, scene
from support.volumes import cells

import fastrestore
from fastrestore import Profile, bm3d, bm4d
from fastrestore.compat import BM3Dv2, nlmeans

SIGMA = 20.0
# The defaults of BM3Dv2
PROFILE = Profile.named("fast").replace(step_final=8, radius_basic=9, radius_final=9)


@pytest.fixture(scope="module")
def clean():
    return np.stack([np.roll(scene(40, 48), k, 1) for k in range(3)])


@pytest.fixture(scope="module")
def clip(clean):
    noise = np.random.default_rng(0).normal(0, SIGMA, clean.shape)
    return ((clean + noise) / 255).astype(np.float32)


def test_frames_one_by_one(clip, clean):
    profile = PROFILE.replace(step_basic=4, step_final=4)
    basic = BM3Dv2(clip, sigma=SIGMA, block_step=4)
    expected = bm3d(clip[1], SIGMA / 255, stage="basic", profile=profile)
    np.testing.assert_array_equal(basic[1], expected)
    final = BM3Dv2(clip, basic, sigma=SIGMA, block_step=4)
    assert psnr(clean, final * 255) > psnr(clean, basic * 255) > psnr(clean, clip * 255) + 4


def test_frames_together(clip, clean):
    together = BM3Dv2(clip, sigma=SIGMA, block_step=4, radius=2, ps_num=1, ps_range=6)
    assert psnr(clean, together * 255) > psnr(clean, BM3Dv2(clip, sigma=SIGMA) * 255) + 0.5


def test_units_of_integers(clip):
    codes = np.round(clip * 65535).clip(0, 65535).astype(np.uint16)
    restored = BM3Dv2(codes, sigma=SIGMA)
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, bm3d_of(codes), atol=1e-2)


def bm3d_of(codes):
    return np.stack([bm3d(one, SIGMA * 257, stage="basic", profile=PROFILE) for one in codes])


def test_chroma_is_matched_on_the_luminance(clip):
    channels = np.stack([clip, clip[::-1], clip[:, ::-1]], axis=-1)
    restored = BM3Dv2(channels, sigma=[SIGMA, 0, SIGMA], chroma=True)
    np.testing.assert_array_equal(restored[..., 1], channels[..., 1])
    np.testing.assert_array_equal(restored[..., 0], BM3Dv2(clip, sigma=SIGMA))
    assert BM3Dv2(channels, sigma=SIGMA, radius=1, chroma=True).shape == channels.shape


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        (r"clip must have the shape \(frames, M, N, 3\) with chroma=True", {"chroma": True}),
        (r"clip must have the shape \(frames, M, N\), got \(9, 9\)", {"clip": np.ones((9, 9))}),
        (
            r"must have the shape \(frames, M, N, 3\)",
            {"clip": np.ones((2, 9, 9, 4)), "chroma": True},
        ),
        (r"clip is empty, its shape is \(0, 9, 9\)", {"clip": np.ones((0, 9, 9))}),
        ("clip must hold integers or floats, got bool", {"clip": np.ones((2, 9, 9), bool)}),
        ("chroma must be True or False, got 'no'", {"chroma": "no"}),
        ("ref cannot be used with a radius", {"ref": np.ones((2, 9, 9)), "radius": 1}),
        ("radius must be a whole number from 0 to 16, got 17", {"radius": 17}),
        ("block_step must be a whole number from 1 to 8, got 9", {"block_step": 9}),
        ("bm_range must be a whole number from 0 to 127, got 128", {"bm_range": 128}),
        ("sigma must be a number of 0 or more, got -1", {"sigma": -1}),
        ("sigma must be a number of 0 or more, got .3, 3, 3", {"sigma": [3, 3, 3]}),
        (r"ref has shape \(1, 9, 9\), but clip has shape \(2, 9, 9\)", {"ref": np.ones((1, 9, 9))}),
    ],
)
def test_bad_arguments_of_videos(message, changes):
    with pytest.raises((TypeError, ValueError), match=message):
        BM3Dv2(**{"clip": np.ones((2, 9, 9)), **changes})


@pytest.fixture(scope="module")
def volumes():
    clean = np.moveaxis(cells(10, 24, 26), 0, 2)
    noise = np.random.default_rng(0).normal(0, SIGMA, (2, *clean.shape, 2))
    first = np.hypot(clean[..., None] + noise[0], noise[1])
    return clean, first


def test_volumes_of_magnitudes(volumes):
    clean, noisy = volumes
    restored = nlmeans(noisy, SIGMA)
    expected = bm4d(noisy[..., 1], noise=fastrestore.Rician(SIGMA))
    np.testing.assert_array_equal(restored[..., 1], expected)
    np.testing.assert_array_equal(nlmeans(noisy[..., 1], SIGMA, num_threads=1), expected)
    gaussian = nlmeans(noisy[..., 0], SIGMA, rician=False)
    np.testing.assert_array_equal(gaussian, bm4d(noisy[..., 0], SIGMA))
    assert psnr(clean, restored[..., 0]) > psnr(clean, noisy[..., 0]) + 4


def test_levels_and_masks(volumes):
    _, noisy = volumes
    restored = nlmeans(noisy, [SIGMA, 0], rician=False)
    np.testing.assert_array_equal(restored[..., 1], noisy[..., 1])
    mask = np.zeros(noisy.shape[:3], np.uint8)
    mask[4:-4, 4:-4] = 1
    restored = nlmeans(noisy, SIGMA, mask=mask)
    assert not restored[mask == 0].any()
    assert (restored[mask == 1] > 0).mean() > 0.9


def test_bad_arguments_of_volumes():
    with pytest.raises(
        ValueError, match=r"arr must have the shape \(X, Y, Z\) or .*, got \(9, 9\)"
    ):
        nlmeans(np.ones((9, 9)), 1)
    with pytest.raises(TypeError, match="nlmeans has no argument patch_radius; leave it out, BM4D"):
        nlmeans(np.ones((9, 9, 9)), 1, patch_radius=2)
    with pytest.raises(ValueError, match="sigma must be one number, or 2, one for each volume"):
        nlmeans(np.ones((9, 9, 9, 2)), [1, 1, 1])
