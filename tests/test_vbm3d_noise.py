"""Noise of videos: models, specifications, and estimates from several frames."""

from dataclasses import replace

import numpy as np
import pytest
from support.clips import SMALL, striped, video
from support.images import assert_close, psnr

import fastrestore
from fastrestore import NoiseSpec, PoissonGaussian, vbm3d
from fastrestore._noise.stabilizer import Stabilizer, stabilizing

CLEAN, NOISY = video(5)
SPEC = NoiseSpec.white(20.0)
RADIUS = {"radius": 1, "profile": SMALL}
BRIGHTNESS = np.linspace(0, 255, 9)[None]
CURVED = replace(SPEC, brightness=BRIGHTNESS, levels=np.sqrt(4 + 3 * BRIGHTNESS))


def varying(clean, seed=0):
    """Noise of the specification CURVED."""
    return clean + CURVED.sample(clean, rng=seed)


def test_strength_multiplies_the_level():
    expected = vbm3d(NOISY, 30.0, **RADIUS)
    np.testing.assert_array_equal(vbm3d(NOISY, 20.0, strength=1.5, **RADIUS), expected)
    np.testing.assert_array_equal(vbm3d(NOISY, noise=SPEC, strength=1.5, **RADIUS), expected)
    np.testing.assert_array_equal(vbm3d(NOISY, noise=1.5 * SPEC, **RADIUS), expected)
    assert not np.array_equal(vbm3d(NOISY, 20.0, **RADIUS), expected)


@pytest.mark.parametrize("noise", [None, "white", "camera", SPEC, CURVED, PoissonGaussian(1)])
def test_strength_0_returns_the_frames(noise):
    np.testing.assert_array_equal(vbm3d(NOISY, noise=noise, strength=0, **RADIUS), NOISY)


@pytest.mark.parametrize("noise", [CURVED, PoissonGaussian(3, 2)], ids=["curve", "distribution"])
def test_frames_are_stabilized(noise):
    clean, _ = video(5, 64, 64)
    frames = varying(clean)
    result = vbm3d(frames, noise=noise)
    assert result.dtype == frames.dtype
    assert psnr(clean, result) > psnr(clean, vbm3d(frames, 20)) + 0.5
    assert abs((result - clean).mean()) < 0.3
    stream = vbm3d(iter(frames), noise=noise)
    np.testing.assert_array_equal(np.stack(list(stream)), result)


def test_a_model_is_a_transform_and_its_inverse():
    counts = np.random.default_rng(0).poisson(CLEAN).astype(np.uint16)
    model = PoissonGaussian(1)
    stabilized = vbm3d(model.forward(counts), 1, **RADIUS)
    result = vbm3d(counts, noise=model, **RADIUS)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, model.inverse(stabilized), rtol=1e-5)


def test_masks_repetitions_and_cuts_of_stabilized_frames():
    clean = np.concatenate([CLEAN, 255 - CLEAN[:, ::-1, ::-1]])
    frames = varying(clean)
    once = vbm3d(frames, noise=CURVED, **RADIUS)
    apart = [
        vbm3d(part, noise=CURVED, data_range=255, **RADIUS) for part in (frames[:5], frames[5:])
    ]
    both = vbm3d(frames, noise=CURVED, data_range=255, **RADIUS)
    np.testing.assert_array_equal(both, np.concatenate(apart))
    runs = (2, 1, 3, 1, 1, 1, 2, 1, 1, 4)
    repeated = vbm3d(np.repeat(frames, runs, 0), noise=CURVED, **RADIUS)
    np.testing.assert_array_equal(repeated, np.repeat(once, runs, 0))
    valid = np.ones(frames.shape, bool)
    valid[:, 10:14, 12:18] = False
    masked = vbm3d(np.where(valid, frames, np.nan), noise=CURVED, mask=valid, **RADIUS)
    assert (np.isnan(masked) == ~valid).all()
    assert psnr(clean[valid], masked[valid]) > psnr(clean, once) - 0.4


def test_correlated_noise_of_a_specification():
    clean, _ = video(5, 64, 64)
    frames, psd = striped(clean)
    power = psd / psd.mean()
    spec = replace(SPEC, spectrum=power[None, None])
    expected = vbm3d(frames, psd=psd)
    result = vbm3d(frames, noise=spec)
    assert psnr(clean, result) > psnr(clean, expected) - 0.2
    assert psnr(clean, result) > psnr(clean, vbm3d(frames, 20)) + 1


def test_channels_of_a_curve():
    """A channel without noise remains as it is."""
    frames = np.stack([varying(CLEAN), CLEAN.astype(float)], 1)
    levels = np.concatenate([CURVED.levels, np.zeros((1, 9))])
    spec = replace(
        NoiseSpec.white(20.0, 0.0), brightness=np.repeat(BRIGHTNESS, 2, 0), levels=levels
    )
    result = vbm3d(frames, noise=spec, channel_axis=1, colorspace=None, **RADIUS)
    np.testing.assert_array_equal(result[:, 1], frames[:, 1])
    assert psnr(CLEAN, result[:, 0]) > psnr(CLEAN, frames[:, 0]) + 3


def test_backends_agree(engine):
    frames = varying(CLEAN)
    expected = vbm3d(frames, noise=CURVED, backend="numpy", **RADIUS)
    assert_close(vbm3d(frames, noise=CURVED, backend=engine, **RADIUS), expected, 255)


def test_stabilized_noise_has_level_1_and_the_inverse_no_bias():
    table = Stabilizer.of(CURVED.brightness, CURVED.levels)
    for clean in (0, 3, 40, 200, 255):
        noisy = varying(np.full((1, 400, 400), float(clean)), clean)
        stabilized = table.forward(noisy)
        assert abs(stabilized.std() - 1) < 0.05
        mean = table.inverse(stabilized.mean(keepdims=True))
        assert abs(float(mean.item()) - clean) < 0.02 * np.sqrt(4 + 3 * clean)


def test_what_is_stabilized():
    assert stabilizing(SPEC) == (None, SPEC)
    model, noise = stabilizing(2 * CURVED)
    np.testing.assert_array_equal(noise.sigma, [2])
    assert model.extent(255) > 0
    expected = Stabilizer.of(CURVED.brightness, CURVED.levels)
    np.testing.assert_allclose(model.stabilized, expected.stabilized)


def test_info():
    _, info = vbm3d(NOISY, noise="white", strength=0.5, return_info=True, **RADIUS)
    assert (info.estimated, info.strength) == (True, 0.5)
    assert info.sigma == float(info.noise.sigma[0])
    assert abs(info.sigma - 20) < 3
    _, info = vbm3d(NOISY, noise=SPEC, return_info=True, **RADIUS)
    assert (info.estimated, info.noise, info.sigma) == (False, SPEC, 20.0)
    _, info = vbm3d(NOISY, 20, return_info=True, **RADIUS)
    assert (info.estimated, info.noise, info.sigma) == (False, None, 20.0)
    model = PoissonGaussian(2)
    _, info = vbm3d(np.abs(NOISY), noise=model, return_info=True, **RADIUS)
    assert (info.estimated, info.noise, info.sigma) == (False, model, 1.0)
    _, info = vbm3d(np.zeros((3, 20, 24)), return_info=True, **RADIUS)
    assert (info.estimated, info.sigma) == (True, 0.0)


def test_errors():
    with pytest.raises(ValueError, match="return_info is for arrays; the iterator that is"):
        vbm3d(iter(NOISY), 20, return_info=True)
    with pytest.raises(ValueError, match=r"noise must be 'auto', .* got 'pink'"):
        vbm3d(NOISY, noise="pink")
    with pytest.raises(ValueError, match=r"noise must be 'auto', .* got 'pink'"):
        next(vbm3d(iter(NOISY), noise="pink"))
    with pytest.raises(ValueError, match="specify the noise once: got both sigma=3 and noise="):
        vbm3d(NOISY, 3, noise="white")
    with pytest.raises(ValueError, match="noise is for 1 channel, but the image has 2"):
        vbm3d(np.stack([NOISY] * 2, 1), noise=SPEC, channel_axis=1)
    with pytest.raises((TypeError, ValueError), match="strength must be a number"):
        vbm3d(NOISY, 20, strength=-1)


def test_black_frames_at_the_start_do_not_decide():
    frames = np.concatenate([np.zeros((2, *NOISY.shape[1:]), np.float32), NOISY])
    options = {"noise": "white", "return_info": True, **RADIUS}
    result, info = vbm3d(frames, **options)
    expected, alone = vbm3d(NOISY, **options)
    np.testing.assert_array_equal(result[:2], 0)
    np.testing.assert_array_equal(result[2:], expected)
    assert info.sigma == alone.sigma
    assert fastrestore.metrics.psnr(CLEAN, result[2:], data_range=255) > 24
