"""Power spectra from kernels, flat fields and images, and the residual for refiltering."""

import numpy as np
import pytest
from support.images import camera, psnr, scene

from fastrestore import bm3d, estimate_psd, psd_from_flat_field, psd_from_kernel
from fastrestore._collaborative.refilter import remaining_of_channel, resampled


def line_noise(shape, rng, width=5):
    white = rng.standard_normal((*shape[:-1], shape[-1] + width - 1))
    return sum(white[..., k : k + shape[-1]] for k in range(width))


def test_a_kernel_gives_the_measured_spectrum():
    kernel = np.array([[1.0, 2, 3], [0, -1, 4]])
    psd = psd_from_kernel(kernel, (24, 20))
    white = np.random.default_rng(0).standard_normal((3000, 24, 20))
    response = np.fft.fft2(kernel, (24, 20))
    measured = (np.abs(np.fft.fft2(white) * response) ** 2).mean(0)
    np.testing.assert_allclose(psd, measured, rtol=0.12)
    assert psd.sum() / psd.size**2 == pytest.approx((kernel**2).sum())
    assert psd_from_kernel(np.ones((1, 50)), (8, 8)).sum() > 0  # wraps around


@pytest.mark.parametrize("shape", [(40,), (6, 8, 10), (3, 4, 6, 8)])
def test_kernels_of_any_axes(shape):
    kernel = np.random.default_rng(0).normal(0, 1, (2,) * len(shape))
    psd = psd_from_kernel(kernel, shape)
    assert psd.shape == shape
    assert psd.sum() / psd.size**2 == pytest.approx((kernel**2).sum())
    with pytest.raises(ValueError, match=f"noise_kernel must have {len(shape)} axes"):
        psd_from_kernel(kernel[None], shape)


def test_spectrum_from_flat_fields():
    rng = np.random.default_rng(0)
    shading = np.add.outer(np.arange(40.0), np.arange(48.0))
    frames = 1000 + shading + line_noise((60, 40, 48), rng)
    truth = psd_from_kernel(np.ones((1, 5)), (40, 48))
    psd = psd_from_flat_field(frames)
    assert np.median(np.abs(psd / truth - 1)) < 0.2
    assert psd.sum() == pytest.approx(truth.sum(), rel=0.05)
    other = psd_from_flat_field(frames, (64, 30), reach=12)
    assert other.shape == (64, 30)
    assert other.sum() / other.size**2 == pytest.approx(5, rel=0.1)
    rough, steady = (psd_from_flat_field(frames[0] - shading, reach=n) for n in (None, 10))
    errors = [np.median(np.abs(each - truth)) / truth.mean() for each in (rough, steady)]
    assert errors[1] < 0.8 * errors[0]
    assert steady.sum() / steady.size**2 == pytest.approx(5, rel=0.15)


def test_equal_flat_fields_count_once():
    """Frames with the same noise do not make the mean of the frames more accurate."""
    frames = np.random.default_rng(3).normal(100, 5, (3, 20, 24))
    expected = psd_from_flat_field(frames)
    np.testing.assert_array_equal(psd_from_flat_field(np.repeat(frames, 2, 0)), expected)
    np.testing.assert_array_equal(psd_from_flat_field(frames[[0, 1, 0, 2, 1]]), expected)
    single = psd_from_flat_field(frames[:1])
    np.testing.assert_array_equal(psd_from_flat_field(frames[[0, 0]]), single)
    dark = np.zeros((10, 20, 24))  # clipped at black, nearly everywhere: equal, but independent
    dark[3, 4, 5] = 1
    assert psd_from_flat_field(dark).sum() / dark[0].size ** 2 == pytest.approx(1 / 10 / 480)


def test_spectrum_from_flat_fields_improves_psnr():
    rng = np.random.default_rng(1)
    clean = camera(60, 100, 128, 128)
    image = clean + 10 * line_noise(clean.shape, rng)
    frames = 10 * line_noise((10, *clean.shape), rng)
    true = psnr(clean, bm3d(image, psd=psd_from_kernel(np.full((1, 5), 10.0), image.shape)))
    assert psnr(clean, bm3d(image, psd=psd_from_flat_field(frames))) > true - 0.2
    assert psnr(clean, bm3d(image, psd=psd_from_flat_field(frames[:1], reach=8))) > true - 0.4
    assert true > psnr(clean, bm3d(image, 10 * 5**0.5)) + 2


def test_the_spectrum_is_estimated_from_the_image():
    rng = np.random.default_rng(1)
    clean = camera(40, 60, 200, 200)
    image = clean + 10 * line_noise(clean.shape, rng)
    psd = estimate_psd(image)
    assert psd.shape == image.shape
    assert psd.sum() / psd.size**2 == pytest.approx(500, rel=0.25)
    assert psd[:, :10].mean() > 10 * psd[:, 40:60].mean()  # slow and fast changes across
    white = psnr(clean, bm3d(image, noise="white"))
    assert psnr(clean, bm3d(image, psd=psd)) > white + 3
    color = np.stack([image, 2 * image], axis=-1)
    both = estimate_psd(color, channel_axis=-1)
    np.testing.assert_allclose(both[..., 1], 4 * both[..., 0], rtol=1e-9)
    assert np.isfinite(estimate_psd(np.zeros((32, 40)))).all()


def test_refilter_residual_keeps_signal():
    rng = np.random.default_rng(0)
    residual = rng.standard_normal((64, 64)).astype(np.float32)
    kept, power = remaining_of_channel(residual, np.ones((1, 1)), 1.5, 1)
    assert kept.std() < 0.1
    assert power.mean() < 0.05
    wave = np.cos(2 * np.pi * np.arange(64) / 8).astype(np.float32)
    kept, power = remaining_of_channel(residual + wave, np.ones((1, 1)), 1.5, 1)
    assert np.corrcoef(kept.mean(0), wave)[0, 1] > 0.98
    assert (kept.mean(0) @ wave) / (wave @ wave) == pytest.approx(1, abs=0.15)


def test_resampling_keeps_the_variance():
    kernel = np.exp(-(np.linspace(-2, 2, 9) ** 2))[None] * [[1], [2], [1]]
    power = psd_from_kernel(kernel, (48, 40)) / (48 * 40)
    for shape in ((96, 80), (32, 64), (48, 40)):
        assert resampled(power, shape).mean() == pytest.approx(power.mean(), rel=0.02)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (
            TypeError,
            "shape must be 2 whole numbers above 0, got 64",
            lambda: psd_from_kernel([[1]], 64),
        ),
        (ValueError, r"noise_kernel must have 2 axes", lambda: psd_from_kernel([1.0], (8, 8))),
        (ValueError, r"noise_kernel has values", lambda: psd_from_kernel([[np.inf]], (8, 8))),
        (ValueError, r"frames must have the shape", lambda: psd_from_flat_field(np.ones(5))),
        (ValueError, r"frames has values", lambda: psd_from_flat_field(np.full((2, 4, 4), np.nan))),
        (ValueError, r"reach must be", lambda: psd_from_flat_field(np.ones((2, 4, 4)), reach=0)),
        (ValueError, r"image must be 32 pixels", lambda: estimate_psd(scene(16, 40))),
        (ValueError, r"image must have 2 axes", lambda: estimate_psd(np.ones((40, 40, 3)))),
    ],
)
def test_bad_input(error, message, call):
    with pytest.raises(error, match=message):
        call()
