"""`fastrestore.compat.bm3d`: the interface of the package bm3d."""

import copy
import pickle

import numpy as np
import pytest
from support.images import assert_close, psnr, scene

import fastrestore
from fastrestore import Profile
from fastrestore.compat import bm3d as package
from fastrestore.compat.bm3d import BM3DProfile, BM3DStages, bm3d, bm3d_deblurring, bm3d_rgb

SIGMA = 25 / 255
# "np" with the numbers for white noise
NUMBERS = {
    "threshold": 3.0,
    "wiener": 0.4,
    "size_weight_final": 1.0,
    "match_final": 1000.0,
    "match_noise_final": 0.5,
}
WHITE = Profile.named("np").replace(**NUMBERS)


@pytest.fixture(scope="module")
def clean():
    return scene(48, 56) / 255


@pytest.fixture(scope="module")
def noisy(clean):
    return clean + np.random.default_rng(0).normal(0, SIGMA, clean.shape)


@pytest.fixture(scope="module")
def color(clean):
    return np.stack([clean, clean[::-1], clean[:, ::-1]], axis=-1)


@pytest.fixture(scope="module")
def noisy_color(color):
    return color + np.random.default_rng(0).normal(0, SIGMA, color.shape)


def white(shape, sigma=SIGMA):
    return np.full(shape[:2], sigma**2 * shape[0] * shape[1])


def test_every_public_name_of_the_package():
    assert set(package.__all__) == {
        "BM3DProfile", "BM3DProfileDeb", "BM3DProfileHigh", "BM3DProfileLC", "BM3DProfileRefilter",
        "BM3DProfileVN", "BM3DProfileVNOld", "BM3DStages", "bm3d", "bm3d_deblurring", "bm3d_rgb",
        "gaussian_kernel", "profiles", "rgb_to",
    }  # fmt: skip
    assert {each.name: each.value for each in BM3DStages} == {
        "HARD_THRESHOLDING": 1, "WIENER_FILTERING": 2, "ALL_STAGES": 3,
    }  # fmt: skip


def test_it_is_the_function_of_the_library_in_float64(noisy):
    expected = fastrestore.bm3d(noisy, SIGMA, profile=WHITE)
    for z in (noisy, noisy.tolist(), noisy[..., None]):
        restored = bm3d(z, SIGMA)
        np.testing.assert_array_equal(restored, expected)
        assert restored.dtype == np.float64
    assert bm3d(noisy.astype(np.float32), SIGMA).dtype == np.float64
    levels = np.round(noisy * 255).clip(0, 255).astype(np.uint8)
    expected = fastrestore.bm3d(levels.astype(float), 25, profile=WHITE)
    np.testing.assert_array_equal(bm3d(levels, 25), expected)


@pytest.mark.parametrize(
    "sigma", [np.float32(SIGMA), np.array(SIGMA), [SIGMA], (SIGMA,), np.array([SIGMA]), "psd"]
)
def test_spellings_of_sigma(noisy, sigma):
    sigma = white(noisy.shape) if isinstance(sigma, str) else sigma
    assert_close(bm3d(noisy, sigma), bm3d(noisy, SIGMA), 1)


def test_power_spectra(clean):
    kernel = np.ones((1, 9)) / 3 * SIGMA
    rng = np.random.default_rng(0)
    noise = np.fft.ifft2(
        np.fft.fft2(rng.standard_normal(clean.shape)) * np.fft.fft2(kernel, clean.shape)
    ).real
    psd = np.abs(np.fft.fft2(kernel, clean.shape)) ** 2 * clean.size
    restored = bm3d(clean + noise, psd)
    np.testing.assert_array_equal(restored, fastrestore.bm3d(clean + noise, psd=psd))
    assert psnr(clean * 255, restored * 255) > psnr(clean * 255, bm3d(clean + noise, SIGMA) * 255)
    small = np.abs(np.fft.fft2(kernel, (24, 28))) ** 2 * 24 * 28
    np.testing.assert_allclose(bm3d(clean + noise, small), restored, atol=0.02)
    repeated = bm3d(clean + noise, psd, "refilter")
    assert np.abs(repeated - restored).max() > 1e-3


@pytest.mark.parametrize("name", ["np", "refilter", "vn", "vn_old", "high", "deb"])
def test_profiles_by_name_and_as_objects(clean, noisy, name):
    restored = bm3d(noisy, SIGMA, name)
    assert psnr(clean * 255, restored * 255) > 27
    suffix = {"np": "", "vn_old": "VNOld", "vn": "VN"}.get(name, name.capitalize())
    given = getattr(package, f"BM3DProfile{suffix}")()
    np.testing.assert_array_equal(bm3d(noisy, SIGMA, profile=given), restored)


def test_stages(clean, noisy):
    basic = bm3d(noisy, SIGMA, stage_arg=BM3DStages.HARD_THRESHOLDING)
    np.testing.assert_array_equal(
        basic, fastrestore.bm3d(noisy, SIGMA, stage="basic", profile=WHITE)
    )
    final = bm3d(noisy, SIGMA, stage_arg=BM3DStages.ALL_STAGES)
    np.testing.assert_array_equal(final, bm3d(noisy, SIGMA))
    guided = bm3d(noisy, SIGMA, stage_arg=clean.tolist())
    np.testing.assert_array_equal(
        guided, fastrestore.bm3d(noisy, SIGMA, pilot=clean, profile=WHITE)
    )
    assert_close(bm3d(noisy, SIGMA, stage_arg=basic), final, 1)


def test_block_matches_are_kept_and_used(noisy):
    restored, (basic, final) = bm3d(noisy, SIGMA, blockmatches=(True, True))
    np.testing.assert_array_equal(restored, bm3d(noisy, SIGMA))
    again = bm3d(noisy, SIGMA, blockmatches=(basic, final))
    np.testing.assert_array_equal(again, restored)
    other = noisy[::-1]
    used = bm3d(other, SIGMA, blockmatches=(basic, False))
    assert np.abs(used - bm3d(other, SIGMA)).max() > 1e-3
    assert bm3d(other, SIGMA, blockmatches=[basic, None]).shape == other.shape
    mixed, (none, found) = bm3d(other, SIGMA, blockmatches=(basic, True))
    np.testing.assert_array_equal(mixed, used)
    assert none is None
    assert (found.offsets != final.offsets).any()
    assert bm3d(noisy, SIGMA, blockmatches=(True, False))[1][1] is None
    only = bm3d(noisy, SIGMA, stage_arg=restored, blockmatches=(True, True))[1]
    assert only[0] is None
    assert only[1] is not None


def test_channels_are_matched_on_the_first(color, noisy_color):
    expected = fastrestore.bm3d(
        noisy_color, SIGMA, channel_axis=-1, colorspace=None, match_channel=0, profile=WHITE
    )
    np.testing.assert_array_equal(bm3d(noisy_color, SIGMA), expected)
    levels = [SIGMA, 0, 2 * SIGMA]
    restored = bm3d(noisy_color, levels)
    np.testing.assert_array_equal(restored[..., 1], noisy_color[..., 1])
    for psd in (white(color.shape), np.stack([white(color.shape)] * 3, -1)):
        assert_close(bm3d(noisy_color, psd), expected, 1)
    _, matches = bm3d(noisy_color, SIGMA, blockmatches=(True, True))
    again = bm3d(noisy_color, SIGMA, blockmatches=matches)
    np.testing.assert_array_equal(again, expected)


def test_rgb(color, noisy_color):
    for name, space in (("opp", "opp"), ("YCbCr", "ycbcr")):
        restored = bm3d_rgb(noisy_color, SIGMA, colorspace=name)
        expected = fastrestore.bm3d(
            noisy_color, SIGMA, channel_axis=-1, colorspace=space, profile=WHITE
        )
        np.testing.assert_array_equal(restored, expected)
    levels = [SIGMA, SIGMA / 2, SIGMA]
    assert np.abs(bm3d_rgb(noisy_color, levels) - restored).max() > 1e-3
    assert_close(bm3d_rgb(noisy_color, white(color.shape), colorspace="YCbCr"), restored, 1)
    flat = np.stack([noisy_color[..., 0], np.full(color.shape[:2], 0.5), noisy_color[..., 2]], -1)
    assert np.isfinite(bm3d_rgb(flat, SIGMA)).all()


CHANGES = {
    "transform_2d_ht_name": ("dct", {"transform_basic": "dct"}),
    "transform_2d_wiener_name": ("haar", {"transform_final": "haar"}),
    "gamma": (1.5, {"match_correlation_basic": 1.5, "match_correlation_final": 1.5}),
    "bs_ht": (4, {"block_basic": 4}),
    "bs_wiener": (11, {"block_final": 11}),
    "step_ht": (5, {"step_basic": 5}),
    "step_wiener": (2, {"step_final": 2}),
    "max_3d_size_ht": (13, {"group_basic": 8}),
    "max_3d_size_wiener": (4, {"group_final": 4}),
    "search_window_ht": (13, {"radius_basic": 6}),
    "search_window_wiener": (11, {"radius_final": 5}),
    "tau_match": (6000, {"match_basic": 6000.0}),
    "tau_match_wiener": (200, {"match_final": 500.0}),
    "lambda_thr3d": (3.5, {"threshold": 3.5}),
    "mu2": (1.5, {"wiener": 1.5}),
    "beta": (0, {"kaiser_basic": 0.0}),
    "beta_wiener": (3, {"kaiser_final": 3.0}),
    "denoise_residual": (True, {"iterations": 4}),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_attributes_change_the_algorithm(noisy, name):
    value, fields = CHANGES[name]
    given = BM3DProfile()
    setattr(given, name, value)
    options = {"sigma": SIGMA}
    if name in ("gamma", "denoise_residual"):
        options = {"psd": psd_of_lines(noisy.shape)}
    base = WHITE if "sigma" in options else Profile.named("np")
    restored = bm3d(noisy, next(iter(options.values())), given)
    expected = fastrestore.bm3d(noisy, **options, profile=base.replace(**fields))
    np.testing.assert_array_equal(restored, expected)
    assert np.abs(restored - fastrestore.bm3d(noisy, **options, profile=base)).max() > 1e-6


def psd_of_lines(shape):
    return np.abs(np.fft.fft2(np.ones((1, 5)) * SIGMA / 5**0.5, shape)) ** 2 * np.prod(shape)


def test_other_attributes(noisy):
    given, expected = BM3DProfile(), bm3d(noisy, SIGMA)
    given.nf, given.k, given.max_pad_size, given.print_info = 0, 0, 3, True
    given.num_threads = 1
    np.testing.assert_array_equal(bm3d(noisy, SIGMA, given), expected)
    given.filter_strength = 1.5
    stronger = fastrestore.bm3d(noisy, SIGMA, strength=1.5, profile=WHITE)
    np.testing.assert_array_equal(bm3d(noisy, SIGMA, given), stronger)
    repeated = package.BM3DProfileRefilter()
    repeated.residual_thr, repeated.lambda_thr3d_re, repeated.mu2_re = 1.5, 3.0, 1.0
    profile = Profile.named("refilter").replace(
        residual=1.35 / 4, threshold_residual=3.0, wiener_residual=1.0
    )
    psd = psd_of_lines(noisy.shape)
    expected = fastrestore.bm3d(noisy, psd=psd, profile=profile)
    np.testing.assert_array_equal(bm3d(noisy, psd, repeated), expected)
    repeated.denoise_residual = False
    assert np.abs(bm3d(noisy, psd, repeated) - expected).max() > 1e-6


def test_nothing_is_printed(noisy, capfd):
    given = BM3DProfile()
    given.print_info = True
    bm3d(np.stack([noisy] * 2, -1), SIGMA, given, blockmatches=(True, True))
    assert capfd.readouterr() == ("", "")


def test_sharpening(clean, noisy, noisy_color):
    given = BM3DProfile()
    given.sharpen_alpha = 1.4
    sharp = WHITE.replace(sharpen=1.4)
    basic = fastrestore.bm3d(noisy, SIGMA, stage="basic", profile=sharp)
    ht = BM3DStages.HARD_THRESHOLDING
    np.testing.assert_array_equal(bm3d(noisy, SIGMA, given, ht), basic)
    final = fastrestore.bm3d(noisy, SIGMA, pilot=basic, profile=WHITE)
    np.testing.assert_array_equal(bm3d(noisy, SIGMA, given), final)
    np.testing.assert_array_equal(
        bm3d(noisy, SIGMA, given, stage_arg=clean), bm3d(noisy, SIGMA, stage_arg=clean)
    )
    channels = bm3d(np.stack([noisy, noisy[::-1]], -1), [SIGMA, SIGMA], given, ht)
    np.testing.assert_allclose(channels[..., 0], basic, atol=1e-6)
    plain = bm3d(np.stack([noisy, noisy[::-1]], -1), SIGMA, stage_arg=ht)
    assert np.diff(channels[..., 1]).std() > 1.02 * np.diff(plain[..., 1]).std()
    _, (first, second) = bm3d(noisy, SIGMA, given, blockmatches=(True, True))
    reused = bm3d(noisy, SIGMA, given, blockmatches=(first, second))
    np.testing.assert_array_equal(reused, final)
    assert bm3d_rgb(noisy_color, SIGMA, given).shape == noisy_color.shape


def test_profiles_are_objects_with_the_attributes_of_the_package():
    given = package.BM3DProfileHigh()
    assert given.step_ht == 2
    assert given.lambda_thr3d == 2.5
    given.step_ht = 1
    for other in (copy.deepcopy(given), pickle.loads(pickle.dumps(given))):
        assert other.step_ht == 1
    assert package.BM3DProfileHigh.step_ht == 2  # not the class
    stages = (BM3DStages.HARD_THRESHOLDING, BM3DStages.WIENER_FILTERING, BM3DStages.ALL_STAGES)
    vn = package.BM3DProfileVN()
    assert [vn.get_block_size(each) for each in stages] == [8, 11, 8]
    assert [vn.get_step_size(each) for each in stages] == [4, 6, 4]
    assert [vn.get_max_3d_size(each) for each in stages] == [32, 32, 32]
    assert [vn.get_search_window(each) for each in stages] == [39, 39, 39]
    assert [vn.get_block_threshold(each) for each in stages] == [3000, 3500, 3000]
    with pytest.raises(AttributeError, match="BM3DProfileVN has no attribute 'stepp'; its"):
        vn.stepp = 3

    class Own(package.BM3DProfileLC):
        step_ht = 5

    image = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    own = Profile.named("lc").replace(step_basic=5, **NUMBERS)
    expected = fastrestore.bm3d(image, 0.1, profile=own)
    np.testing.assert_array_equal(bm3d(image, 0.1, Own()), expected)


def test_where_the_package_is_defective(clean, noisy):
    assert np.isfinite(bm3d(noisy[:8, :8], SIGMA)).all()
    hot = noisy.copy()
    hot[20, 20] = 1e3
    away = np.ones(noisy.shape, bool)
    away[12:29, 12:29] = False
    assert psnr(clean[away], bm3d(hot, SIGMA)[away]) > psnr(clean[away], noisy[away]) + 4
    np.testing.assert_allclose(bm3d(noisy, 0), noisy)
    assert np.isfinite(bm3d(noisy, SIGMA, "refilter")).all()


def blurred(clean, psf):
    size = [(0, n - m) for n, m in zip(clean.shape, psf.shape, strict=True)]
    origin = [-(m // 2) for m in psf.shape]
    transfer = np.fft.fft2(np.roll(np.pad(psf, size), origin, (0, 1)))
    return np.fft.ifft2(np.fft.fft2(clean) * transfer).real


@pytest.mark.parametrize("shape", [(7, 7), (6, 7)])
def test_deblurring(clean, shape):
    psf = package.gaussian_kernel(shape, 1.2)
    image, rng = blurred(clean, psf), np.random.default_rng(0)
    noisy = image + rng.normal(0, 0.01, clean.shape)
    before = psnr(clean * 255, noisy * 255)
    for sigma_psd in (0.01, np.array(0.01), white(clean.shape, 0.01)):
        assert psnr(clean * 255, bm3d_deblurring(noisy, sigma_psd, psf) * 255) > before + 4
    lines = psd_of_lines(clean.shape) / 100
    noise = np.fft.fft2(rng.standard_normal(clean.shape)) * np.sqrt(lines / clean.size)
    noisy = image + np.fft.ifft2(noise).real
    right = psnr(clean * 255, bm3d_deblurring(noisy, lines, 5 * psf, "deb") * 255)
    assert right > psnr(clean * 255, bm3d_deblurring(noisy, 0.01, psf, "deb") * 255) + 0.5
    channels = np.stack([noisy, noisy[::-1]], -1)
    restored = bm3d_deblurring(channels, np.stack([lines, lines], -1), psf[:, ::-1])
    assert restored.shape == channels.shape
    assert psnr(clean * 255, restored[..., 0] * 255) > before + 4
    assert bm3d_deblurring(channels, [0.01, 0.02], psf).shape == channels.shape


def changed(**attributes):
    given = BM3DProfile()
    for name, value in attributes.items():
        setattr(given, name, value)
    return given


@pytest.mark.parametrize(
    ("error", "message", "changes"),
    [
        (ValueError, r"z must have two or three axes, got shape \(8,\)", {"z": np.ones(8)}),
        (ValueError, r"z of shape \(7, 9\) is smaller than a block of 8x8", {"z": np.ones((7, 9))}),
        (ValueError, r"z is empty, its shape is \(9, 9, 0\)", {"z": np.ones((9, 9, 0))}),
        (ValueError, "sigma_psd must be a number of 0 or more.* nan", {"sigma_psd": np.nan}),
        (ValueError, "z is complex, which is not supported", {"z": np.ones((8, 8)) + 1j}),
        (ValueError, "z has values that are NaN", {"z": np.full((8, 8), np.nan)}),
        (TypeError, "z must be an array of real numbers, got 'a'", {"z": "a"}),
        (TypeError, "z is a masked array", {"z": np.ma.zeros((8, 8))}),
        (ValueError, "sigma_psd must be a number of 0 or more.* -0.1", {"sigma_psd": -0.1}),
        (ValueError, "sigma_psd must be one number.* 1 channels", {"sigma_psd": [0.1, 0.2]}),
        (TypeError, "sigma_psd must be an array of real numbers, got None", {"sigma_psd": None}),
        (ValueError, r"sigma_psd of shape \(9, 9, 2\) does", {"sigma_psd": np.ones((9, 9, 2))}),
        (ValueError, "sigma_psd must be symmetric", {"sigma_psd": np.indices((16, 16))[0]}),
        (ValueError, "sigma_psd must not be negative", {"sigma_psd": -np.ones((16, 16))}),
        (TypeError, "profile must be one of 'np', .*'deb', or .* got 'lc'", {"profile": "lc"}),
        (TypeError, "profile must be one of .* got 3", {"profile": 3}),
        (ValueError, "WIENER_FILTERING needs an est", {"stage_arg": BM3DStages.WIENER_FILTERING}),
        (TypeError, "stage_arg must be a BM3DStages, or .* got 2", {"stage_arg": 2}),
        (ValueError, r"stage_arg has shape \(9, 9\), but z has", {"stage_arg": np.ones((9, 9))}),
        (TypeError, "blockmatches must be a pair of .* got True", {"blockmatches": True}),
        (TypeError, r"blockmatches must be a pair of .* got \(1, 2\)", {"blockmatches": (1, 2)}),
        (ValueError, "transform_3rd_dim_name='dct' is not", {"transform_3rd_dim_name": "dct"}),
        (ValueError, "dec_level=1 is not supported", {"dec_level": 1}),
        (ValueError, "transform 'dst' is unknown", {"transform_2d_ht_name": "dst"}),
        (ValueError, "bs_ht=40: block_basic must be a whole number from 2", {"bs_ht": 40}),
        (ValueError, "step_ht=9: step_basic must be", {"step_ht": 9}),
        (TypeError, "search_window_ht='a': ", {"search_window_ht": "a"}),
        (ValueError, "tau_match=-1: the number must be", {"tau_match": -1}),
        (ValueError, "sharpen_alpha must be .* 0.5", {"sharpen_alpha": 0.5}),
        (ValueError, "num_threads must be .* -1", {"num_threads": -1}),
        (ValueError, "filter_strength must be .* -1", {"filter_strength": -1}),
        (ValueError, "residual_thr must be .* 0", {"residual_thr": 0, "denoise_residual": True}),
    ],
)  # fmt: skip
def test_bad_input(error, message, changes):
    arguments = {"z": np.random.default_rng(0).random((16, 16)), "sigma_psd": 0.1}
    own = {name: value for name, value in changes.items() if hasattr(BM3DProfile, name)}
    arguments |= {name: value for name, value in changes.items() if name not in own}
    if own:
        arguments["profile"] = changed(**own)
    with pytest.raises(error, match=message):
        bm3d(**arguments)


@pytest.mark.parametrize(
    ("function", "message", "z", "others"),
    [
        (bm3d_rgb, r"z must have the shape \(M, N, 3\), got \(9, 9\)", np.ones((9, 9)), {}),
        (bm3d_rgb, "colorspace must be one of .* got 'x'", np.ones((9, 9, 3)), {"colorspace": "x"}),
        (bm3d_deblurring, "z must have two or three axes", np.ones(9), {"psf": np.ones((3, 3))}),
        (bm3d_deblurring, "psf must not have negative", np.ones((9, 9)), {"psf": [[2, -1]]}),
        (bm3d_deblurring, "psf must have two axes", np.ones((9, 9)), {"psf": [1.0]}),
    ],
)  # fmt: skip
def test_bad_input_of_other_functions(function, message, z, others):
    with pytest.raises(ValueError, match=message):
        function(z, 0.1, **others)
