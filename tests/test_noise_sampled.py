"""Estimates from parts: large images, and windows that tell noise from texture."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import fastrestore as fr

TALL, WIDE = 1200, 1800  # more pixels than are looked at


def large(sigma):
    """A large ramp with noise."""
    ramp = np.add.outer(np.arange(TALL) / 8, np.arange(WIDE) / 16)
    return ramp + np.random.default_rng(0).normal(0, sigma, ramp.shape)


def test_sigma_of_a_large_image():
    assert fr.estimate_sigma(large(6)) == pytest.approx(6, rel=0.03)


def test_valid_pixels_of_a_large_image():
    image = large(6)
    image[:, : WIDE // 2] = np.nan
    assert fr.estimate_sigma(image, mask=np.isfinite(image)) == pytest.approx(6, rel=0.03)
    image[:, : WIDE - 60] = np.nan  # hardly any of the squares is valid
    assert fr.estimate_sigma(image, mask=np.isfinite(image)) == pytest.approx(6, rel=0.05)


def smooth_noise(shape, sigma):
    """Noise of a camera, which blurs it."""
    noise = gaussian_filter(np.random.default_rng(5).standard_normal(shape), (0.8, 0.8, 0))
    return sigma * noise / noise.std()


@pytest.mark.parametrize("sigma", [6, 9, 12])
@pytest.mark.parametrize("name", ["astronaut", "rocket"])
def test_noise_of_a_camera_of_any_level(name, sigma):
    import skimage.data

    clean = getattr(skimage.data, name)()[:256, 100:356].astype(float)
    spec = fr.estimate_noise(clean + smooth_noise(clean.shape, sigma), channel_axis=-1)
    assert spec.model == "camera"
    np.testing.assert_allclose(spec.sigma, sigma, rtol=0.25)


@pytest.mark.parametrize("model", ["auto", "camera"])
def test_a_drawing_in_color(model):
    rng = np.random.default_rng(1)
    marks = np.kron(rng.integers(0, 2, (64, 64)), np.ones((4, 4)))
    drawing = np.stack([255 * marks, 200 - 100 * marks, 40 + 85 * marks])
    spec = fr.estimate_noise(drawing, channel_axis=0, model=model)
    assert np.isfinite(spec.sigma).all()
    if model == "auto":
        assert not spec.sigma.any()
        np.testing.assert_array_equal(fr.bm3d(drawing, channel_axis=0), drawing)


def test_strength_is_monotone_if_the_level_was_lowered():
    import skimage.data

    clean = skimage.data.rocket()[:128, 100:228].astype(float)
    image = clean + smooth_noise(clean.shape, 8)
    results, infos = zip(
        *[
            fr.bm3d(image, channel_axis=-1, noise="camera", strength=s, return_info=True)
            for s in (0.7, 0.9, 1.0, 1.1, 1.3)
        ],
        strict=True,
    )
    removed = [float((image - result).std()) for result in results]
    assert removed == sorted(removed)
    for info in infos:
        np.testing.assert_array_equal(info.sigma, infos[0].sigma)


@pytest.mark.parametrize("factor", [2.0**-60, 2.0**80])
def test_the_choice_does_not_depend_on_units(factor):
    import skimage.data

    clean = skimage.data.rocket()[:128, 100:228].astype(float)
    image = clean + smooth_noise(clean.shape, 8)
    spec = fr.estimate_noise(image, channel_axis=-1)
    scaled = fr.estimate_noise(factor * image, channel_axis=-1)
    assert spec.model == scaled.model == "camera"
    np.testing.assert_allclose(scaled.sigma, factor * spec.sigma, rtol=1e-3)
