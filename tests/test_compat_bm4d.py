"""`fastrestore.compat.bm4d`: the interface of the package bm4d."""

import numpy as np
import pytest
from support.images import assert_close, psnr
from support.volumes import cells

import fastrestore
from fastrestore import Profile
from fastrestore.compat import bm4d as package
from fastrestore.compat.bm4d import BM4DProfile, BM4DStages, bm4d, bm4d_multichannel

SIGMA = 15 / 255


@pytest.fixture(scope="module")
def clean():
    return np.moveaxis(cells(12, 24, 26), 0, 2) / 255


@pytest.fixture(scope="module")
def noisy(clean):
    return clean + np.random.default_rng(0).normal(0, SIGMA, clean.shape)


def white(shape):
    return np.full(shape, SIGMA**2 * np.prod(shape))


def test_every_public_name_of_the_package():
    assert set(package.__all__) == {
        "BM4DProfile", "BM4DProfile2D", "BM4DProfile2DComplex", "BM4DProfile2DRefilter",
        "BM4DProfileBM3D", "BM4DProfileBM3DComplex", "BM4DProfileComplex", "BM4DProfileLC",
        "BM4DProfileRefilter", "BM4DStages", "BlockMatchStorage", "bm4d", "bm4d_multichannel",
        "gaussian_kernel", "gaussian_kernel_3d", "profiles",
    }  # fmt: skip


def test_it_is_the_function_of_the_library_in_float64(clean, noisy):
    restored = bm4d(noisy, SIGMA)
    np.testing.assert_array_equal(restored, fastrestore.bm4d(noisy, SIGMA))
    assert psnr(clean * 255, restored * 255) > psnr(clean * 255, noisy * 255) + 5
    assert bm4d(noisy.astype(np.float32), [SIGMA]).dtype == np.float64
    assert_close(bm4d(noisy, white(noisy.shape)), restored, 1)


def test_images_and_thin_volumes(noisy):
    image = bm4d(noisy[..., 0], SIGMA)
    assert image.shape == (24, 26, 1)
    np.testing.assert_array_equal(image, bm4d(noisy[..., :1], SIGMA))
    np.testing.assert_allclose(bm4d(noisy[..., 0], white((24, 26))), image, atol=1e-3)
    assert bm4d(noisy[..., :4], SIGMA).shape == (24, 26, 4)
    assert bm4d(noisy[:4], SIGMA).shape == (4, 26, 12)


def test_profiles(noisy):
    squares = bm4d(noisy, SIGMA, "8x8")
    expected = fastrestore.bm4d(
        noisy,
        SIGMA,
        slice_axis=2,
        profile=Profile.named("np").replace(
            slices_basic=1,
            step_slices_basic=1,
            slices_final=1,
            step_slices_final=1,
            radius_basic=7,
            radius_final=7,
            match_basic=450.0,
            match_noise_basic=2.5,
            match_final=60.0,
            match_noise_final=0.05,
            threshold=3.0,
        ),
    )
    np.testing.assert_array_equal(squares, expected)
    np.testing.assert_array_equal(bm4d(noisy, SIGMA, package.BM4DProfile2D()), squares)
    np.testing.assert_array_equal(bm4d(noisy, SIGMA, "refilter"), bm4d(noisy, SIGMA))
    for kind in ("BM3D", "LC", "2DRefilter"):
        given = getattr(package, f"BM4DProfile{kind}")()
        assert np.abs(bm4d(noisy, SIGMA, given) - bm4d(noisy, SIGMA)).max() > 1e-4
    for kind in ("Complex", "2DComplex", "BM3DComplex"):
        with pytest.raises(ValueError, match=f"BM4DProfile{kind} is for complex volumes"):
            bm4d(noisy, SIGMA, getattr(package, f"BM4DProfile{kind}")())


CHANGES = {
    "transform_local_ht_name": ("dct", {"transform_basic": "dct"}),
    "transform_local_wiener_name": (
        "hadamard", {"transform_final": "hadamard", "block_final": 4, "slices_final": 4}
    ),
    "bs_ht": ((2, 2, 4), {"block_basic": 2, "slices_basic": 4}),
    "step_wiener": ((2, 2, 2), {"step_final": 2, "step_slices_final": 2}),
    "search_window_ht": ((3, 3, 3), {"radius_basic": 3, "radius_slices_basic": 3}),
    "max_stack_size_ht": (5, {"group_basic": 4}),
    "max_stack_size_wiener": (8, {"group_final": 8}),
    "tau_match": (2.9527 / 2, {"match_basic": 350.0}),
    "tau_match_wiener": (0.7689 * 2, {"match_final": 600.0}),
    "lambda_thr": (3.5, {"threshold": 3.5}),
    "mu2": (1.5, {"wiener": 1.5}),
    "beta": (0.5, {"kaiser_basic": 0.5}),
    "beta_wiener": (3, {"kaiser_final": 3.0}),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_attributes_change_the_algorithm(noisy, name):
    value, fields = CHANGES[name]
    given = BM4DProfile()
    setattr(given, name, value)
    if name == "transform_local_wiener_name":
        given.bs_wiener = (4, 4, 4)
    restored = bm4d(noisy, SIGMA, given)
    axis = 2 if name == "bs_ht" else None
    profile = Profile.named("volume").replace(**fields)
    expected = fastrestore.bm4d(noisy, SIGMA, profile=profile, slice_axis=axis)
    np.testing.assert_array_equal(restored, expected)
    assert np.abs(restored - bm4d(noisy, SIGMA)).max() > 1e-6


def test_other_attributes(noisy):
    given = BM4DProfile()
    given.nf, given.k, given.num_threads, given.split_block_extraction = 0, 0, 1, (True,) * 3
    np.testing.assert_array_equal(bm4d(noisy, SIGMA, given), bm4d(noisy, SIGMA))
    given.filter_strength = 0.5
    expected = fastrestore.bm4d(noisy, SIGMA, strength=0.5)
    np.testing.assert_array_equal(bm4d(noisy, SIGMA, given), expected)
    given.set_sharpen(1.5)
    assert given.sharpen_alpha_3d == 1.5
    modes = (BM4DStages.HARD_THRESHOLDING, BM4DStages.WIENER_FILTERING)
    assert [given.get_block_size(each) for each in modes] == [(4, 4, 4), (5, 5, 5)]
    assert [given.get_step_size(each) for each in modes] == [(3, 3, 3), (3, 3, 3)]
    assert [given.get_max_3d_size(each) for each in modes] == [16, 32]
    assert [given.get_search_window(each) for each in modes] == [(7, 7, 7), (7, 7, 7)]
    assert [given.get_block_threshold(each) for each in modes] == [2.9527, 0.7689]


def test_stages_and_block_matches(clean, noisy):
    basic = bm4d(noisy, SIGMA, stage_arg=BM4DStages.HARD_THRESHOLDING)
    np.testing.assert_array_equal(basic, fastrestore.bm4d(noisy, SIGMA, stage="basic"))
    assert psnr(clean, bm4d(noisy, SIGMA, stage_arg=clean)) > psnr(clean, basic) + 1
    restored, matches = bm4d(noisy, SIGMA, blockmatches=(True, True))
    assert all(isinstance(each, package.BlockMatchStorage) for each in matches)
    np.testing.assert_array_equal(bm4d(noisy, SIGMA, blockmatches=matches), restored)
    assert np.abs(bm4d(noisy[::-1], SIGMA, blockmatches=matches)[::-1] - restored).max() > 1e-3


def test_channels(clean, noisy):
    pair = np.stack([noisy, noisy[::-1]])
    restored = bm4d_multichannel(pair, SIGMA)
    np.testing.assert_array_equal(restored, fastrestore.bm4d(pair, SIGMA, channel_axis=0))
    for z, sigma in (
        (list(pair), [SIGMA, SIGMA]),
        (tuple(pair), white(noisy.shape)),
        (list(pair), [white(noisy.shape)] * 2),
    ):
        listed = bm4d_multichannel(z, sigma)
        assert isinstance(listed, list)
        assert_close(np.array(listed), restored, 1)
    guided = bm4d_multichannel(pair, SIGMA, stage_arg=[clean, clean[::-1]])
    assert psnr(clean, guided[1][::-1]) > psnr(clean, restored[1][::-1])
    images = bm4d_multichannel(pair[..., 0], SIGMA)
    assert images.shape == (2, 24, 26, 1)


def test_kernels():
    kernel = package.gaussian_kernel_3d((3, 3, 5), 1.0, 1.0, 2.0)
    assert kernel.shape == (3, 3, 5)
    assert kernel.sum() == pytest.approx(1)
    assert package.gaussian_kernel is not None


def changed(**attributes):
    given = BM4DProfile()
    for name, value in attributes.items():
        setattr(given, name, value)
    return given


@pytest.mark.parametrize(
    ("error", "message", "changes"),
    [
        (ValueError, "z must have three axes, .* bm4d_multichannel", {"z": np.ones((2, 9, 9, 9))}),
        (ValueError, r"z of shape \(4, 3, 3\) is smaller than a block", {"z": np.ones((4, 3, 3))}),
        (TypeError, "profile must be one of 'np', 'refilter', '8x8', or", {"profile": "lc"}),
        (ValueError, "needs an estimate", {"stage_arg": BM4DStages.WIENER_FILTERING}),
        (ValueError, r"sigma_psd of shape \(9, 9\) does not fit", {"sigma_psd": np.ones((9, 9))}),
        (ValueError, "refilter' is not supported for volumes", {
            "profile": "refilter", "sigma_psd": 1 + (np.indices((9, 9, 9))[0] > 0),
        }),
        (ValueError, r"bs_ht=\(4, 2, 4\): the numbers for rows and col", {"bs_ht": (4, 2, 4)}),
        (ValueError, r"bs_ht=\(4, 4, 9\): slices_basic must be", {"bs_ht": (4, 4, 9)}),
        (TypeError, "step_ht must be three numbers, got 3", {"step_ht": 3}),
        (ValueError, "sharpen_alpha=2 is not supported: only images", {"sharpen_alpha": 2}),
        (ValueError, "min_3d_size_ht=1 is not supported", {"min_3d_size_ht": 1}),
        (ValueError, "transform 'fft' is unknown", {"transform_local_ht_name": "fft"}),
    ],
)  # fmt: skip
def test_bad_input(error, message, changes):
    arguments = {"z": np.random.default_rng(0).random((9, 9, 9)), "sigma_psd": 0.1}
    own = {name: value for name, value in changes.items() if hasattr(BM4DProfile, name)}
    arguments |= {name: value for name, value in changes.items() if name not in own}
    if own:
        arguments["profile"] = changed(**own)
    with pytest.raises(error, match=message):
        bm4d(**arguments)


def test_bad_channels(noisy):
    with pytest.raises(ValueError, match=r"z must have the shape \(C, M, N, P\), got \(24, 26\)"):
        bm4d_multichannel(noisy[..., 0], SIGMA)
    with pytest.raises(ValueError, match="for each of 2 channels"):
        bm4d_multichannel([noisy, noisy], [SIGMA] * 3)
