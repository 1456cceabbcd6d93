"""Correlated noise: specified by its spectrum or its kernel, on both backends."""

import numpy as np
import pytest
from support.images import assert_close, camera, noisy, psnr, scene
from support.stages import assert_same_matches, image_stage

import fastrestore
from fastrestore import Profile, bm3d, psd_from_kernel
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

v, u = np.mgrid[-7:8, -7:8]
KERNELS = {
    "line": np.ones((1, 9)),
    "diagonal": 1.0 * (u == v),  # left and right are not alike
    "blur": np.exp(-(u**2 + v**2) / 3),
    "wave": np.cos(1.1 * u + 0.6 * v) * np.exp(-(u**2 + v**2) / 30),
}
KERNELS = {name: 20 * kernel / np.linalg.norm(kernel) for name, kernel in KERNELS.items()}


def noise_of(kernel, shape, seed=3):
    """Noise that does not wrap around."""
    from scipy.signal import fftconvolve

    size = [a + b - 1 for a, b in zip(shape, kernel.shape, strict=True)]
    return fftconvolve(np.random.default_rng(seed).standard_normal(size), kernel, mode="valid")


def spoilt(clean, kernel, seed=3):
    return clean + noise_of(kernel, clean.shape, seed)


def test_psd_of_white_noise_equals_sigma(backend):
    clean = scene(40, 52)
    image = clean + 20 * np.random.default_rng(0).standard_normal(clean.shape)
    expected = bm3d(image, 20, backend=backend)
    for psd in (np.full((40, 52), 400.0 * image.size), np.full((40, 52), 400 * 40 * 52, "i8")):
        np.testing.assert_array_equal(bm3d(image, psd=psd, backend=backend), expected)
    np.testing.assert_array_equal(bm3d(image, noise_kernel=[[20]], backend=backend), expected)


def test_nearly_white_psd_is_close_to_sigma():
    clean = camera(60, 100, 128, 128)
    image = clean + 25 * np.random.default_rng(0).standard_normal(clean.shape)
    frequency = np.abs(np.fft.fftfreq(128))
    tilted = 1 + 0.02 * (frequency[:, None] + frequency - 0.5)  # 1 % at most
    tilted *= 625 * image.size
    plain, colored = bm3d(image, 25), bm3d(image, psd=tilted)
    assert abs(psnr(clean, plain) - psnr(clean, colored)) < 0.05


@pytest.mark.parametrize(("name", "gain"), [("line", 2), ("diagonal", 2), ("blur", 1), ("wave", 5)])
def test_psd_improves_psnr(name, gain):
    clean = camera(60, 100, 160, 160)
    image = spoilt(clean, KERNELS[name])
    psd = psd_from_kernel(KERNELS[name], image.shape)
    score = psnr(clean, bm3d(image, psd=psd))
    assert score > psnr(clean, bm3d(image, 20)) + gain
    assert psnr(clean, bm3d(image, noise_kernel=KERNELS[name])) == pytest.approx(score, abs=0.02)


def test_refiltering_improves_psnr_for_band_limited_noise():
    clean = camera(60, 100, 160, 160)
    gains = {}
    for name, kernel in KERNELS.items():
        image = spoilt(clean, kernel)
        once, twice = (
            psnr(clean, bm3d(image, noise_kernel=kernel, profile=profile))
            for profile in ("np", "refilter")
        )
        gains[name] = twice - once
    assert gains["wave"] > 1
    assert min(gains.values()) > -0.1


@pytest.mark.parametrize("name", sorted(KERNELS))
@pytest.mark.parametrize("profile", ["np", "vn", "refilter"])
def test_backends_agree(name, profile):
    image = np.round(spoilt(scene(44, 52), KERNELS[name]))
    options = {"noise_kernel": KERNELS[name], "profile": profile}
    results = [bm3d(image, backend=each, **options) for each in ("numpy", "numba")]
    assert_close(results[1], results[0], 255)


@pytest.mark.parametrize("name", sorted(KERNELS))
@pytest.mark.parametrize("profile", ["np", "lc", "vn"])
@pytest.mark.parametrize("which", ["basic", "final"])
def test_match_lists_are_identical(engine, name, profile, which):
    image = np.round(spoilt(scene(48, 51), KERNELS[name])).astype(np.float32)
    power = psd_from_kernel(KERNELS[name], (96, 96)) / 96**2 / 400
    noise = PlaneNoise(np.array([20.0]), spectrum=power[None])
    stage = image_stage(Profile.named(profile), which, noise, 255.0)
    assert np.ptp(stage.match_bias) > 0
    # A whole number, as image and distances are, so that rounding does not decide
    stage.match_bias[:] = np.round(stage.match_bias / 3) * 3
    run = Execution(2)
    expected, actual = (select(each).bm3d_match(image, stage, run) for each in ("numpy", engine))
    assert_same_matches(actual, expected)


def test_blocks_with_the_same_noise_are_avoided():
    """With noise of vertical period 8, blocks 8 rows apart would match because of their noise."""
    rows = np.arange(64)
    power = np.zeros((64, 64))
    power[[8, -8], 0] = 64**2 / 2
    image = np.random.default_rng(0).normal(0, 1, (64, 64))
    image += 20 * np.sin(2 * np.pi * rows / 8)[:, None]
    noise = PlaneNoise(np.array([20.0]), spectrum=power[None])
    found = {}
    for gamma in (0.0, 3.0):
        profile = Profile(match_correlation_basic=gamma, radius_basic=12)
        stage = image_stage(profile, "basic", noise, 100.0)
        matches = select("numba").bm3d_match(image.astype(np.float32), stage, Execution(1))
        assert (matches.sizes == 16).all()
        found[gamma] = np.mean(np.abs(matches.offsets[..., 1:, 0]) % 8 == 0)
    assert found[0.0] > 0.95
    assert found[3.0] < 0.05


def test_one_spectrum_or_one_per_channel():
    clean = np.stack([scene(56, 60), 0.7 * scene(56, 60) + 20, scene(56, 60, seed=4)], axis=-1)
    kernels = [KERNELS["line"], KERNELS["wave"], KERNELS["line"].T]
    image = np.stack([spoilt(clean[..., c], kernels[c], c) for c in range(3)], axis=-1)
    psd = np.stack([psd_from_kernel(kernel, (56, 60)) for kernel in kernels], axis=-1)
    for name in ("opp", "pca", None):
        options = {"channel_axis": -1, "colorspace": name}
        result = bm3d(image, psd=psd, **options)
        assert psnr(clean, result) > psnr(clean, bm3d(image, 20, **options)) + 1
        assert_close(bm3d(image, psd=psd, backend="numpy", **options), result, 255)
    same = np.stack([spoilt(clean[..., c], kernels[0], c) for c in range(3)], axis=-1)
    shared = bm3d(same, psd=psd[..., 0], channel_axis=-1)
    repeated = np.repeat(psd[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(bm3d(same, psd=repeated, channel_axis=-1), shared)
    one = bm3d(same[..., :1], psd=psd[..., 0], channel_axis=-1)
    np.testing.assert_array_equal(one[..., 0], bm3d(same[..., 0], psd=psd[..., 0]))
    gray = np.repeat(same[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(bm3d(gray, psd=psd[..., 0], channel_axis=-1)[..., 1], one[..., 0])


def test_kernels_for_each_channel():
    clean = np.stack([scene(48, 48), scene(48, 48, seed=4)])
    image = np.stack([spoilt(clean[0], KERNELS["blur"]), spoilt(clean[1], KERNELS["wave"])])
    kernels = np.stack([KERNELS["blur"], KERNELS["wave"]])
    restored = bm3d(image, noise_kernel=kernels, channel_axis=0)
    assert psnr(clean, restored) > psnr(clean, bm3d(image, 20, channel_axis=0)) + 1
    with pytest.raises(ValueError, match=r"noise_kernel has 2 channels, the image 3"):
        bm3d(np.zeros((3, 48, 48)), noise_kernel=kernels, channel_axis=0)


def test_units_workers_and_unchanged_input():
    kernel = KERNELS["diagonal"]
    image = spoilt(scene(45, 50), kernel)
    before = image.copy()
    expected = bm3d(image, noise_kernel=kernel)
    np.testing.assert_array_equal(bm3d(4 * image, noise_kernel=4 * kernel), 4 * expected)
    np.testing.assert_array_equal(bm3d(image, noise_kernel=kernel, workers=3), expected)
    assert_close(bm3d(image / 255, noise_kernel=kernel / 255) * 255, expected, 255)
    refiltered = [bm3d(image, noise_kernel=kernel, profile="refilter", workers=n) for n in (1, 3)]
    assert_close(refiltered[1], refiltered[0], 255)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("profile", ["np", "refilter"])
def test_degenerate_cases_give_finite_results(profile):
    for shape in ((1, 1), (2, 9), (5, 3), (2, 40)):
        small = np.arange(float(np.prod(shape))).reshape(shape)
        result = bm3d(small, noise_kernel=KERNELS["blur"], profile=profile)
        assert np.isfinite(result).all()
        psd = psd_from_kernel(KERNELS["wave"], shape)
        assert np.isfinite(bm3d(small, psd=psd, profile=profile)).all()
    clean = scene(40, 44)
    np.testing.assert_array_equal(bm3d(clean, psd=np.zeros((40, 44))), clean)
    single = np.zeros((40, 44))
    single[3, 5] = single[-3, -5] = 1e9  # one wave and nothing else
    assert np.isfinite(bm3d(clean, psd=single, profile=profile)).all()
    still = np.stack([clean, np.full_like(clean, 7), clean])
    psd = np.stack([psd_from_kernel(KERNELS["line"], (40, 44))] * 2 + [np.zeros((40, 44))])
    result = bm3d(still, psd=psd, channel_axis=0, profile=profile)
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result[2], still[2])
    many = np.repeat(clean[None], 64, axis=0) + np.arange(64)[:, None, None]
    assert np.isfinite(bm3d(many, psd=psd[0], channel_axis=0, profile="fast")).all()


def test_refilter_with_white_and_poisson_noise():
    clean = scene(48, 48)
    image = clean + 20 * np.random.default_rng(0).standard_normal(clean.shape)
    plain, refiltered = (bm3d(image, 20, profile=each) for each in ("np", "refilter"))
    assert psnr(clean, refiltered) > psnr(clean, plain) - 0.2
    counts = np.random.default_rng(0).poisson(clean).astype(float)
    model = fastrestore.PoissonGaussian(1, 0)
    assert psnr(clean, bm3d(counts, noise=model, profile="refilter")) > psnr(clean, counts) + 2


LOPSIDED = np.ones((16, 16))
LOPSIDED[2, 3] = 5
BAD = [
    (r"psd must have the shape of the image, \(16, 16\), got \(16, 9\)", np.ones((16, 9))),
    (r"psd must not be negative, got -1.0 at \(0, 2\)", np.where(np.arange(16) == 2, -1.0, 1)),
    (r"symmetric.*got 5 at \(2, 3\) and 1 at \(-2, -3\).*ifftshift", LOPSIDED),
    (r"psd has values that are NaN or infinite", np.full((16, 16), np.nan)),
]


@pytest.mark.parametrize(("message", "psd"), BAD)
def test_bad_spectra(message, psd):
    if psd.ndim == 1:
        psd = np.tile(psd, (16, 1))
    with pytest.raises(ValueError, match=message):
        bm3d(scene(16, 16), psd=psd)


def test_a_spectrum_in_other_units_warns():
    image = spoilt(scene(32, 32), KERNELS["line"])
    psd = psd_from_kernel(KERNELS["line"], image.shape) / image.size**2
    with pytest.warns(
        UserWarning, match=r"gives noise of sigma=0.0195.*\*\*2, not normalized"
    ) as caught:
        bm3d(image, psd=psd)
    assert caught[0].filename == __file__  # at the caller's line


def test_more_bad_input():
    image, ones = scene(16, 16), np.ones((16, 16))
    with pytest.raises(
        ValueError,
        match=r"noise once: got both sigma=5 and psd=array of shape \(16, 16\); only a map",
    ):
        bm3d(image, 5, psd=ones)
    with pytest.raises(
        ValueError,
        match=r"once: got both noise_kernel=array of shape \(16, 16\) and noise=PoissonGaussian",
    ):
        bm3d(image, noise_kernel=ones, noise=fastrestore.PoissonGaussian(1, 0))
    with pytest.raises(ValueError, match=r"noise_kernel must have 2 axes.*got \(16,\)"):
        bm3d(image, noise_kernel=ones[0])
    with pytest.raises(ValueError, match=r"psd must have the shape of a channel, \(16, 16\), or"):
        bm3d(np.stack([image] * 3), psd=ones[:3], channel_axis=0)
    with pytest.raises(TypeError, match=r"psd is complex \(complex128\); it must be real"):
        bm3d(image, psd=ones + 1j)
    with pytest.raises(ValueError, match=r"'refilter' filters the residual again.*sigma is a map"):
        bm3d(image, np.linspace(1, 9, 16), profile="refilter")


def test_refiltering_a_channel_without_noise(recwarn):
    image = noisy(scene(24, 24), 20)
    pair = np.stack([image, image[::-1]], -1)
    psd = np.stack([psd_from_kernel(np.full((1, 3), 10.0), (24, 24)), np.zeros((24, 24))], -1)
    restored = bm3d(pair, psd=psd, channel_axis=2, profile="refilter")
    assert not recwarn.list
    np.testing.assert_array_equal(restored[..., 1], pair[..., 1])
