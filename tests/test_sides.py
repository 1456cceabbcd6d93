"""Blocks of any sides: stages against the specification, and fields of profiles by axis."""

import numpy as np
import pytest
from support.images import assert_close, noisy, scene
from support.stages import assert_same_matches
from support.volumes import cells, integer

from fastrestore import Profile, bm3d, bm4d, vbm3d
from fastrestore._collaborative import sides
from fastrestore._collaborative.stage import Statistics, make_stage
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

EXECUTION = Execution(2)


def by_axis(block, step, radius, **others):
    """Return a profile whose stages have the same blocks."""
    fields = {"block": block, "step": step, "radius": radius}
    both = {f"{name}_{which}": n for name, n in fields.items() for which in ("basic", "final")}
    return Profile.named("np").replace(**{"group_basic": 8, "group_final": 16, **both, **others})


PROFILES = {
    "row": by_axis((32,), (8,), (12,)),
    "wide": by_axis((4, 8), (3, 5), (2, 6)),
    "odd": by_axis((5, 3), (4, 2), (0, 7), transform_basic="dct"),
    "steps": by_axis((8, 8), (4, 7), (3, 3)),
    "alone": by_axis((2, 16), (2, 9), (3, 3), group_basic=1, group_final=1),
    "weighted": by_axis(
        (4, 8), (3, 5), (2, 6), size_weight_basic=1, size_weight_final=0.5, match_noise_basic=0,
        match_final=300, match_noise_final=0.1,
    ),
    "strict": by_axis((4, 16), (4, 9), (3, 3), match_basic=0, match_noise_basic=0, match_final=1),
}  # fmt: skip
IMAGE = integer(noisy(scene(22, 47), 15))
POWER = np.abs(np.fft.fft2(np.random.default_rng(0).uniform(0.2, 1, (2, 3)), IMAGE.shape)) ** 2
MAP = np.linspace(0.5, 2, IMAGE.size).reshape(1, *IMAGE.shape)
NOISES = {
    "white": PlaneNoise.white(15.0),
    "correlated": PlaneNoise(np.array([15.0]), None, (POWER / POWER.mean())[None]),
    "map": PlaneNoise(np.array([15.0]), MAP, None),
    "both": PlaneNoise(np.array([15.0]), MAP, (POWER / POWER.mean())[None]),
}


def compared(engine, profile, noise, images, ndim):
    """Compare both stages of a backend with the specification."""
    noisy_images, pilot = images
    for which in ("basic", "final"):
        stage = make_stage(profile, which, Statistics(noise, 255.0, noise.channel(0), ndim))
        assert stage.has_sides or ndim == 2
        given = (noisy_images,) if which == "basic" else (noisy_images, pilot)
        found = []
        for backend in (select("numpy"), select(engine)):
            matches = backend.bm4d_match(noisy_images[0], stage, EXECUTION)
            found.append((matches, backend.bm4d_filter(given, matches, stage, EXECUTION)))
        (expected, one), (actual, other) = found
        assert_same_matches(actual, expected)
        assert_close(other, one, 255)


@pytest.mark.parametrize("noise", NOISES)
def test_stages_equal_the_specification_for_each_noise(engine, noise):
    clean = integer(scene(22, 47))[None]
    compared(engine, PROFILES["wide"], NOISES[noise], (IMAGE[None], clean), 2)


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "wide"])
def test_stages_equal_the_specification_for_each_profile(engine, profile):
    clean = integer(scene(22, 47))[None]
    images = np.stack([IMAGE, IMAGE[::-1]]), np.concatenate([clean, clean[:, ::-1]])
    noise = PlaneNoise.white(15.0, 10.0)
    compared(engine, PROFILES[profile], noise, images, 2)


def test_stages_equal_the_specification_for_volumes_over_time(engine):
    clean = np.stack([cells(5, 8, 9, seed=0), cells(5, 8, 9, seed=0), cells(5, 8, 9, seed=1)])
    image = integer(clean + np.random.default_rng(0).normal(0, 15, clean.shape))
    narrow = {"radius_basic": (1, 1, 2, 2), "radius_final": (1, 0, 2, 3)}
    profile = Profile.named("time").replace(group_basic=8, group_final=8, **narrow)
    compared(engine, profile, PlaneNoise.white(15.0), (image[None], integer(clean)[None]), 4)


def test_squares_give_the_same_as_kernels_for_squares():
    image = noisy(scene(40, 44), 20)
    plain = bm3d(image, 20, profile=Profile.named("np"))
    tall = by_axis((8, 8), (3, 3), (19, 19)).replace(group_basic=16, group_final=32)
    np.testing.assert_array_equal(bm3d(image, 20, profile=tall), plain)


def test_kernels_for_any_sides_give_the_same_as_kernels_for_squares():
    profile = Profile.named("np").replace(group_basic=8, group_final=8)
    noise = PlaneNoise.white(15.0)
    backend = select("numba")
    from fastrestore.backends.numba import sides as stages

    for which in ("basic", "final"):
        stage = make_stage(profile, which, Statistics(noise, 255.0, noise, 2))
        given = (IMAGE[None],) if which == "basic" else (IMAGE[None], IMAGE[None])
        expected = backend.bm3d_match(IMAGE, stage, EXECUTION)
        assert_same_matches(stages.match(IMAGE, stage, EXECUTION), expected)
        other = stages.filter_groups(given, expected, stage, EXECUTION)
        assert_close(other, backend.bm3d_filter(given, expected, stage, EXECUTION), 255)


def test_workers_tiles_and_scales_give_the_same_bits():
    image = noisy(scene(60, 150), 15)
    profile = PROFILES["wide"]
    whole = bm3d(image, 15, profile=profile, workers=1)
    np.testing.assert_array_equal(bm3d(image, 15, profile=profile, workers=3), whole)
    np.testing.assert_array_equal(bm3d(image / 8, 15 / 8, profile=profile), whole / 8)
    tiled = bm3d(image, 15, profile=profile, max_memory=3e5)
    np.testing.assert_array_equal(tiled, whole)


def test_fewer_sides_than_axes_are_those_of_the_last_axes():
    volume = noisy(cells(3, 20, 24), 15)
    flat = by_axis((4, 8), (3, 3), (3, 3))
    results = bm4d(volume, 15, profile=flat, slice_axis=0, data_range=255)
    one = by_axis((1, 4, 8), (1, 3, 3), (0, 3, 3))
    np.testing.assert_array_equal(
        bm4d(volume, 15, profile=one, slice_axis=0, data_range=255), results
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block_basic": (8, 8)}, "step_basic must have one number for each axis.*got 3"),
        ({"block": (8, 8), "step": (3,), "radius": (5, 5)}, r"step_basic must have as many"),
        ({"block": (8, 65), "step": (3, 3), "radius": (5, 5)}, "number of block_basic.*64, got 65"),
        ({"block": (8, 8), "step": (3, 9), "radius": (5, 5)}, "number of step_basic.*8, got 9"),
        ({"block": (8, 8), "step": (3, 3), "radius": (5, 128)}, "radius_basic must.*127, got 128"),
        ({"block": (1, 1), "step": (1, 1), "radius": (5, 5)}, r"a block must.*\(1, 1\) has 1"),
        ({"block": (64, 64), "step": (1, 1), "radius": (5, 5)}, "block must have 2 to.*has 4096"),
        ({"block": (2,) * 5, "step": (1,) * 5, "radius": (5,) * 5}, "1 to 4 numbers"),
        ({"block": (), "step": (), "radius": ()}, r"must have 1 to 4 numbers.*got \(\)"),
        ({"block": (8.0, 8), "step": (1, 1), "radius": (5, 5)}, "whole number.*got 8.0"),
    ],
)  # fmt: skip
def test_bad_sides(changes, message):
    changes = {n if "_" in n else f"{n}_basic": value for n, value in changes.items()}
    with pytest.raises((TypeError, ValueError), match=message):
        Profile(**changes)


def test_fields_of_profiles():
    profile = PROFILES["wide"]
    assert profile.block_basic == (4, 8)
    assert eval(repr(profile), {"Profile": Profile}) == profile
    assert hash(profile) == hash(by_axis([4, 8], np.array([3, 5]).tolist(), [2, 6]))
    assert sides.of(profile, "block", "basic", 3) == (1, 4, 8)
    assert sides.of(profile, "radius", "basic", 3) == (0, 2, 6)


def test_what_does_not_support_sides_says_so(tmp_path):
    image, wide = noisy(scene(30, 34), 20), PROFILES["wide"]
    with pytest.raises(ValueError, match="which videos do not support: write one number"):
        vbm3d(image[None], 20, profile=wide)
    with pytest.raises(ValueError, match="which maps of uncertainty do not support"):
        bm3d(image, 20, profile=wide, uncertainty=True, return_info=True)
    with pytest.raises(ValueError, match="which arrays do not support"):
        bm3d(image, 20, profile=wide.replace(window_basic=np.ones(8)))
    with pytest.raises(ValueError, match=r"block_basic=\(1, 4, 8\) has 3 numbers.*2 axes"):
        bm3d(image, 20, profile=by_axis((1, 4, 8), (1, 3, 3), (0, 3, 3)))
    with pytest.raises(ValueError, match=r"needs a block of 2, 4, .*, not 6; write .dct"):
        bm3d(image, 20, profile=by_axis((6, 4), (3, 3), (3, 3)))


def test_matches_are_kept():
    image, wide = noisy(scene(30, 34), 20), PROFILES["wide"]
    restored, info = bm3d(image, 20, profile=wide, matches=True, return_info=True)
    np.testing.assert_array_equal(bm3d(image, 20, profile=wide, matches=info.matches), restored)


def test_invalid_pixels_take_no_part():
    clean = scene(40, 44)
    image = noisy(clean, 10)
    image[10:13, 20:25] = np.nan
    valid = np.isfinite(image)
    restored = bm3d(image, 10, profile=PROFILES["wide"], mask=valid)
    assert np.isnan(restored[~valid]).all()
    assert np.std((restored - clean)[valid]) < 7
