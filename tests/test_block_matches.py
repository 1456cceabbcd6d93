"""Block matches that are kept and used for other images: `matches=` of `bm3d` and `bm4d`."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from support.images import assert_close, noisy, psnr, scene
from support.volumes import cells

from fastrestore import BackendUnavailableError, BlockMatches, Profile, bm3d, bm4d


@pytest.fixture(scope="module")
def clean():
    return scene(48, 56)


@pytest.fixture(scope="module")
def image(clean):
    return np.round(noisy(clean, 25))


def kept(image, sigma=25, function=bm3d, **options):
    return function(image, sigma, matches=True, return_info=True, **options)


NARROW = Profile.named("np").replace(radius_basic=4, radius_final=4)


@pytest.mark.parametrize("host", ["numpy", "numba"])
def test_an_image_and_its_own_matches_give_the_same_bits(image, host):
    small, options = image[:24, :28], {"profile": NARROW, "backend": host}
    restored, info = kept(small, **options)
    np.testing.assert_array_equal(restored, bm3d(small, 25, **options))
    np.testing.assert_array_equal(bm3d(small, 25, matches=info.matches, **options), restored)


def test_blocks_are_not_matched_again(image):
    info = kept(image)[1]
    blurred = np.full_like(image, 100.0) + np.random.default_rng(1).normal(0, 25, image.shape)
    other = bm3d(blurred, 25, matches=info.matches)
    assert np.abs(other - bm3d(blurred, 25)).max() > 1  # other groups
    used = kept(blurred)[1].matches.basic.offsets
    assert (used != info.matches.basic.offsets).any()


def test_backends_agree_on_given_matches(image):
    small, other = image[:24, :28], np.round(image[-24:, :28])
    info = kept(small, profile=NARROW)[1]
    results = [
        bm3d(other, 25, profile=NARROW, matches=info.matches, backend=name)
        for name in ("numpy", "numba")
    ]
    assert_close(results[1], results[0], 255)


def test_a_stage_without_matches_is_matched_anew(image):
    restored, info = kept(image)
    assert kept(image, stage="basic")[1].matches.final is None
    assert kept(image, pilot=restored)[1].matches.basic is None
    for part in (BlockMatches(), BlockMatches(basic=info.matches.basic)):
        np.testing.assert_array_equal(bm3d(image, 25, matches=part), restored)
    assert kept(image, 0)[1].matches.basic is None  # nothing was filtered


def test_channels_share_the_matches_of_the_luminance(clean):
    color = np.stack([clean, clean[::-1], clean * 0.5], axis=-1)
    image = noisy(color, 25)
    restored, info = kept(image, channel_axis=-1)
    np.testing.assert_array_equal(bm3d(image, 25, channel_axis=-1, matches=info.matches), restored)
    assert psnr(color[..., 0], bm3d(image[..., 0], 25, matches=info.matches)) > 28


def test_refiltering_and_masks(image):
    mask = np.ones(image.shape, bool)
    mask[10:14, 20:30] = False
    for options in ({"profile": "refilter"}, {"mask": mask}):
        restored, info = kept(image, **options)
        again = bm3d(image, 25, matches=info.matches, **options)
        np.testing.assert_array_equal(again, restored)


def test_estimated_noise_of_several_scales(clean):
    streaks = np.random.default_rng(0).normal(0, 30, (clean.shape[0] + 40, clean.shape[1]))
    image = clean + sum(streaks[k : k + 48] for k in range(20)) / 8
    restored, info = kept(image, None, noise="correlated")
    np.testing.assert_array_equal(restored, bm3d(image, noise="correlated"))
    assert info.matches.basic.sizes.shape == (15, 17)  # of the finest scale


def test_volumes():
    volume = cells(10, 24, 26) + np.random.default_rng(0).normal(0, 15, (10, 24, 26))
    restored, info = kept(volume, 15, bm4d)
    np.testing.assert_array_equal(bm4d(volume, 15, matches=info.matches), restored)
    flat, info = kept(volume[:3], 15, bm4d)
    np.testing.assert_array_equal(bm4d(volume[:3], 15, matches=info.matches), flat)
    with pytest.raises(ValueError, match=r"matches.basic are for .* reference blocks"):
        bm4d(volume, 15, matches=info.matches)


def test_copies(image):
    restored, info = kept(image)
    for matches in (copy.deepcopy(info.matches), pickle.loads(pickle.dumps(info.matches))):
        np.testing.assert_array_equal(bm3d(image, 25, matches=matches), restored)


def test_batches(image):
    batch = np.stack([image, image[::-1]])
    restored, infos = kept(batch, batch_axis=0)
    np.testing.assert_array_equal(bm3d(batch[1], 25, matches=infos[1].matches), restored[1])
    same = bm3d(np.stack([batch[1]] * 2), 25, matches=infos[1].matches, batch_axis=0)
    np.testing.assert_array_equal(same[1], restored[1])


def test_wrong_matches(image):
    matches = kept(image)[1].matches
    far = matches.basic._replace(offsets=matches.basic.offsets + np.int16(30))
    odd = matches.basic._replace(sizes=matches.basic.sizes * 0 + np.int16(3))
    for changed in (far, odd):
        with pytest.raises(ValueError, match=r"matches.basic has blocks outside"):
            bm3d(image, 25, matches=dataclasses.replace(matches, basic=changed))
    with pytest.raises(ValueError, match=r"are for 15x17 reference blocks with groups of 16, but"):
        bm3d(image[:40], 25, matches=matches)
    with pytest.raises(ValueError, match="have 15x17 reference blocks with groups of 8"):
        bm3d(image, 25, matches=matches, profile=Profile.named("np").replace(group_basic=8))
    with pytest.raises(TypeError, match=r"matches must be True.* got 3"):
        bm3d(image, 25, matches=3)
    with pytest.raises(TypeError, match=r"matches.basic must be Matches or None, got 3"):
        bm3d(image, 25, matches=BlockMatches(3))
    with pytest.raises(ValueError, match="add return_info=True"):
        bm3d(image, 25, matches=True)
    with pytest.raises(ValueError, match="leave out max_memory or matches"):
        bm3d(image, 25, matches=matches, max_memory=1e9)


def test_a_backend_that_cannot_keep_them(image, monkeypatch):
    from fastrestore.backends import numba

    monkeypatch.setattr(numba, "capabilities", numba.capabilities - {"matches"})
    with pytest.raises(BackendUnavailableError, match="lacks the capability 'matches'"):
        kept(image, backend="numba")


def test_match_channel(clean):
    flat = np.full_like(clean, 128.0)
    image = noisy(np.stack([flat, flat, clean]), 25)
    options = {"channel_axis": 0, "colorspace": None}
    on_flat, on_mean, on_clean = (
        psnr(clean, bm3d(image, 25, match_channel=k, **options)[2]) for k in (0, None, 2)
    )
    assert on_flat + 0.3 < on_mean < on_clean
    with pytest.raises(ValueError, match="match_channel=1 is for channels that are not transf"):
        bm3d(image, 25, match_channel=1, channel_axis=0)
    with pytest.raises(ValueError, match="match_channel"):
        bm3d(image, 25, match_channel=3, **options)


def test_pilots_of_volumes():
    clean = cells(10, 24, 26)
    volume = clean + np.random.default_rng(0).normal(0, 15, clean.shape)
    basic = bm4d(volume, 15, stage="basic")
    assert_close(bm4d(volume, 15, pilot=basic), bm4d(volume, 15), 255)
    assert psnr(clean, bm4d(volume, 15, pilot=clean)) > psnr(clean, bm4d(volume, 15)) + 1.5
    moved = bm4d(np.moveaxis(volume, 0, 2), 15, pilot=np.moveaxis(clean, 0, 2))
    expected = np.moveaxis(bm4d(volume, 15, pilot=clean), 0, 2)
    assert_close(moved, expected, 255)
    channels = np.stack([volume, volume[::-1]])
    guided = bm4d(channels, 15, channel_axis=0, pilot=np.stack([clean, clean[::-1]]))
    assert psnr(clean, guided[0]) > psnr(clean, bm4d(volume, 15)) + 1.5
    with pytest.raises(ValueError, match="pilot guides the final stage"):
        bm4d(volume, 15, pilot=basic, stage="basic")
    with pytest.raises(ValueError, match=r"pilot has shape"):
        bm4d(volume, 15, pilot=basic[1:])
    with pytest.raises(ValueError, match=r"pilot has values that are NaN"):
        bm4d(volume, 15, pilot=np.where(basic > 100, np.nan, basic))


@pytest.mark.parametrize("function", [bm3d, bm4d])
@pytest.mark.parametrize(
    ("keyword", "advice"),
    [
        ("sigma_psd", "write sigma= .* or psd="),
        ("stage_arg", "write stage='basic' .* or pilot="),
        ("blockmatches", "write matches=True"),
        ("z", "is the first argument"),
    ],
)
def test_keywords_of_the_package_bm3d(function, keyword, advice):
    with pytest.raises(
        TypeError, match=f"{function.__name__} has no argument {keyword}; .*{advice}"
    ):
        function(np.zeros((8, 8)), **{keyword: 1})
