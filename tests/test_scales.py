"""Several scales of an image, for noise of long wavelengths."""

import numpy as np
import pytest
from skimage.data import camera
from support.images import assert_close

import fastrestore
from fastrestore import NoiseSpec
from fastrestore._collaborative import scales
from fastrestore._noise.applied import plane_noise

KERNEL = np.exp(-np.add.outer(np.arange(-6, 7) ** 2, np.arange(-6, 7) ** 2) / (2 * 2.0**2))
KERNEL /= np.linalg.norm(KERNEL)
SIGMA = 15.0


def noisy_part(side, channels=1):
    """Return a square of a photograph, and the same with noise of long wavelengths."""
    clean = camera()[:side, :side].astype(float)
    clean = np.stack([clean, 255 - clean, clean / 2][:channels], -1)
    white = np.random.default_rng(0).standard_normal((side + 12, side + 12, channels))
    windows = np.lib.stride_tricks.sliding_window_view(white, KERNEL.shape, axis=(0, 1))
    return clean, clean + SIGMA * np.einsum("yxcuv,uv->yxc", windows, KERNEL)


def spec(channels=1, levels=(1.0, 1.0)):
    """Return the noise of `noisy_part`, times levels at the brightness 0 and 255."""
    power = np.abs(np.fft.fft2(KERNEL, (32, 32))) ** 2
    spectrum = np.eye(channels)[..., None, None] * power / power.mean()
    curve = SIGMA * np.array([levels] * channels)
    return NoiseSpec(curve.mean(1), np.array([[0.0, 255.0]] * channels), curve, spectrum)


def test_halved_image():
    planes = np.arange(15, dtype=np.uint8).reshape(1, 3, 5)
    expected = [[[3, 5, 6.5], [10.5, 12.5, 14]]]
    assert scales.halved(planes).tolist() == expected
    assert scales.halved(planes).dtype == np.float32


def test_halved_noise_has_the_covariance_of_means():
    noise = plane_noise(spec(), np.zeros((1, 64, 64)))
    half = scales.halved_noise(noise)
    mean = np.fft.ifft2(np.fft.fft2(KERNEL, (64, 64)) * np.fft.fft2(np.ones((2, 2)) / 4, (64, 64)))
    expected = np.fft.ifft2(np.abs(np.fft.fft2(mean.real)) ** 2).real[::2, ::2]
    covariance = np.fft.ifft2(half.spectrum[0]).real * half.sigmas[0] ** 2 / SIGMA**2
    np.testing.assert_allclose(covariance[:6, :6], expected[:6, :6], atol=2e-3)


def test_halved_noise_of_correlated_channels():
    one = spec().spectrum[0, 0]
    pairs = np.array([[1, 0.5], [0.5, 1]])[..., None, None] * one
    levels = np.array([[1.0, 3.0], [2.0, 2.0]])
    source = NoiseSpec(levels.mean(1), np.array([[0.0, 1.0]] * 2), levels, pairs)
    noise = plane_noise(source, np.zeros((2, 64, 66)) + np.arange(66) / 65)
    half = scales.halved_noise(noise)
    np.testing.assert_allclose(half.cross[0, 1], half.cross[0, 0] / 2, atol=1e-6 * one.max())
    ratio = (half.sigmas / noise.sigmas)[:, None, None]
    level = half.map * half.sigmas[:, None, None]
    np.testing.assert_allclose(
        level, scales.halved(noise.map * noise.sigmas[:, None, None]) * ratio, rtol=0.01
    )


def test_only_long_wavelengths_need_a_coarser_scale():
    shape = (1, 64, 64)
    assert scales.has_coarser(plane_noise(spec(), np.zeros(shape)), shape)
    assert not scales.has_coarser(plane_noise(spec(), np.zeros(shape)), (1, 63, 64))
    assert not scales.has_coarser(plane_noise(NoiseSpec.white(1.0), np.zeros(shape)), shape)
    fine = np.abs(np.fft.fft2([[1.0, -1.0]], (32, 32))) ** 2 / 2
    source = NoiseSpec(np.ones(1), np.zeros((1, 1)), np.ones((1, 1)), fine[None, None])
    assert not scales.has_coarser(plane_noise(source, np.zeros(shape)), shape)


def test_low_frequencies_are_replaced_and_high_ones_kept():
    checks = (-1.0) ** np.add.outer(np.arange(21), np.arange(30))[None]
    fine = 5 + checks
    scales.replace_low(fine[:, :20], scales.halved(fine[:, :20]) + 3)
    np.testing.assert_allclose(fine[:, :20], 8 + checks[:, :20])


def test_coarser_scales_restore_more(monkeypatch):
    clean, noisy = noisy_part(128)
    several = fastrestore.bm3d(noisy, noise=spec(), channel_axis=-1)
    monkeypatch.setattr(scales, "COARSE", 2.0)
    single = fastrestore.bm3d(noisy, noise=spec(), channel_axis=-1)
    psnr = [fastrestore.metrics.psnr(clean, x, data_range=255) for x in (noisy, single, several)]
    assert psnr[1] > psnr[0] + 1
    assert psnr[2] > psnr[1] + 0.3


def test_tiles_and_threads_do_not_change_the_result():
    _, noisy = noisy_part(257, 3)
    options = {"noise": spec(3, (0.5, 1.5)), "profile": "fast", "channel_axis": -1}
    whole = fastrestore.bm3d(noisy, workers=1, **options)
    tiled = fastrestore.bm3d(noisy, workers=2, max_memory=8e6, **options)
    np.testing.assert_array_equal(tiled, whole)


def test_backends_agree():
    _, noisy = noisy_part(64, 3)
    options = {"noise": spec(3, (0.5, 1.5)), "profile": "fast", "channel_axis": -1}
    results = [fastrestore.bm3d(noisy, backend=name, **options) for name in ("numpy", "numba")]
    assert abs(results[0] - results[1]).max() < 0.5
    assert np.abs(results[0] - results[1]).mean() < 0.01


@pytest.mark.parametrize(
    ("dtype", "noise"), [("f4", spec(3, (0.5, 1.5))), ("u1", spec(3)), ("f4", "camera")]
)
def test_equal_on_a_gpu(cupy, dtype, noise):
    noisy = np.clip(noisy_part(65, 3)[1], 0, 255).astype(dtype)
    small = fastrestore.Profile.named("fast").replace(radius_basic=4, radius_final=4)
    options = {"noise": noise, "profile": small, "channel_axis": -1}
    expected = fastrestore.bm3d(noisy, backend="numba", **options)
    result = fastrestore.bm3d(cupy.asarray(noisy), **options).get()
    assert_close(result, expected, 255)


def test_invalid_pixels_have_no_influence():
    _, noisy = noisy_part(96, 3)
    valid = np.ones((96, 96), bool)
    valid[30:41, 50:71] = False
    options = {"noise": spec(3), "mask": valid, "channel_axis": -1}
    results = []
    for value in (0.0, np.nan):
        noisy[~valid] = value
        results.append(fastrestore.bm3d(noisy, **options))
    np.testing.assert_array_equal(results[0][valid], results[1][valid])
    assert np.isnan(results[1][~valid]).all()


def test_progress_counts_all_scales():
    _, noisy = noisy_part(64)
    seen = []
    fastrestore.bm3d(
        noisy, noise=spec(), channel_axis=-1, progress=lambda done, total: seen.append(done / total)
    )
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)
