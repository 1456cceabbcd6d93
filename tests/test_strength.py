"""`strength` and `noise` of the functions that denoise, and what `return_info` tells of them."""

import numpy as np
import pytest

import fastrestore

RNG = np.random.default_rng(0)
CLEAN = np.add.outer(np.arange(48.0), 2 * np.arange(48.0))
NOISY = CLEAN + RNG.normal(0, 10, CLEAN.shape)
COUNTS = RNG.poisson(CLEAN).astype(np.uint16)
SPEC = fastrestore.NoiseSpec.white(10.0)


def bm4d(image, *args, **options):
    """Restore a volume made of an image."""
    volume = np.stack([np.roll(image, k, 0) for k in range(5)])
    return fastrestore.bm4d(volume, *args, slice_axis=0, **options)


CALLS = [fastrestore.bm3d, fastrestore.denoise, bm4d]


@pytest.mark.parametrize("call", CALLS)
def test_strength_multiplies_the_level(call):
    expected = call(NOISY, 15.0)
    np.testing.assert_array_equal(call(NOISY, 10.0, strength=1.5), expected)
    np.testing.assert_array_equal(call(NOISY, noise=SPEC, strength=1.5), expected)
    np.testing.assert_array_equal(call(NOISY, noise=1.5 * SPEC), expected)
    assert not np.array_equal(call(NOISY, 10.0), expected)


@pytest.mark.parametrize("noise", [None, "white", "camera", SPEC, fastrestore.PoissonGaussian(1)])
def test_strength_0_returns_the_image(noise):
    for image in (NOISY, COUNTS):
        restored = fastrestore.bm3d(image, noise=noise, strength=0)
        np.testing.assert_array_equal(restored, image)


@pytest.mark.parametrize("noise", ["white", fastrestore.PoissonGaussian(1), SPEC])
def test_more_strength_leaves_less_detail(noise):
    restored = [fastrestore.bm3d(NOISY, noise=noise, strength=s) for s in (0.3, 0.6, 1.0, 2.0)]
    details = [float(np.abs(np.diff(image, 2)).mean()) for image in restored]
    assert details == sorted(details, reverse=True)
    assert details[0] > 2 * details[-1]


def test_models_by_name():
    white = fastrestore.bm3d(NOISY, fastrestore.estimate_sigma(NOISY))
    np.testing.assert_array_equal(fastrestore.bm3d(NOISY, noise="white"), white)
    names = "'auto', 'white', 'correlated', 'signal-dependent', 'camera', a NoiseSpec"
    with pytest.raises(ValueError, match=f"noise must be {names}.* got 'pink'"):
        fastrestore.bm3d(NOISY, noise="pink")
    with pytest.raises(ValueError, match="specify the noise once: got both sigma=3 and noise="):
        fastrestore.bm3d(NOISY, 3, noise="white")


def test_channels_of_a_spec():
    with pytest.raises(ValueError, match="noise is for 1 channel, but the image has 3"):
        fastrestore.bm3d(np.stack([NOISY] * 3), noise=SPEC, channel_axis=0)


@pytest.mark.parametrize("bad", [-1, np.nan, "strong", None])
def test_bad_strength(bad):
    with pytest.raises((TypeError, ValueError), match="strength must be a number"):
        fastrestore.bm3d(NOISY, 10, strength=bad)


@pytest.mark.parametrize("call", CALLS)
def test_info(call):
    _, info = call(NOISY, noise="white", strength=0.5, return_info=True)
    assert info.estimated
    assert info.strength == 0.5
    assert info.sigma == float(info.noise.sigma[0])
    assert abs(info.sigma - 10) < 1.5
    _, info = call(NOISY, noise=SPEC, return_info=True)
    assert (info.estimated, info.noise, info.sigma) == (False, SPEC, 10.0)
    _, info = call(NOISY, 10, return_info=True)
    assert (info.estimated, info.noise, info.sigma) == (False, None, 10.0)
    model = fastrestore.PoissonGaussian(2)
    _, info = call(np.abs(NOISY), noise=model, return_info=True)
    assert (info.estimated, info.noise, info.sigma) == (False, model, 1.0)


def test_a_network_has_strength_and_no_noise():
    pytest.importorskip("torch")
    expected = fastrestore.denoise(NOISY, 15.0, method="unet")
    np.testing.assert_array_equal(
        fastrestore.denoise(NOISY, 10.0, strength=1.5, method="unet"), expected
    )
    with pytest.raises(ValueError, match="noise='white' is not used by method='unet'"):
        fastrestore.denoise(NOISY, noise="white", method="unet")
    with pytest.raises(ValueError, match=r"strength=2 is not used by method='dncnn'"):
        fastrestore.denoise(NOISY, 25, strength=2, method="dncnn", data_range=255)
