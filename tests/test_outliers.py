"""Fill values without a mask: an error if float32 cannot represent them, else no influence."""

import warnings

import numpy as np
import pytest
from support.images import camera, noisy, psnr, scene

import fastrestore as fr

SIGMA = 10
CLEAN = camera(height=232, width=64)
IMAGE = noisy(CLEAN, SIGMA).astype("f4")
HOLE = (slice(8, 24), slice(20, 44))
KNOWN = np.ones(IMAGE.shape, bool)
KNOWN[HOLE] = False
GIVEN = {"sigma": SIGMA, "data_range": 255}


def with_fill(value, image=IMAGE, place=HOLE):
    out = image.copy()
    out[place] = value
    return out


HUGE = (1e20, 9.97e36, -3.4e38, 1e25)
CALLS = {
    "bm3d": lambda image: fr.bm3d(image, SIGMA),
    "bm3d, sigma estimated": fr.bm3d,
    "bm3d, model": lambda image: fr.bm3d(image, noise=fr.PoissonGaussian(gain=1, sigma=5)),
    "BM3DPlan": lambda image: fr.BM3DPlan(image.shape, image.dtype, SIGMA)(image),
    "bm4d": lambda image: fr.bm4d(np.stack([image[:40]] * 4, 2), SIGMA),
    "vbm3d": lambda image: fr.vbm3d(np.stack([image * 0, image]), SIGMA),
    "denoise": lambda image: fr.denoise(image, SIGMA),
    "demosaic": fr.demosaic,
    "sharpen": lambda image: fr.sharpen(image, SIGMA),
    "inpaint": lambda image: fr.inpaint(image, IMAGE > 250),
    "deblur": lambda image: fr.deblur(image, np.ones((3, 3)) / 9, SIGMA),
    "deblur, sigma estimated": lambda image: fr.deblur(image, np.ones((3, 3)) / 9),
    "remove_streaks": fr.remove_streaks,
    "denoise_burst": lambda image: fr.denoise_burst([IMAGE, image], SIGMA),
    "super_resolve": lambda image: fr.super_resolve(
        image, 2, model="pnp", psf=np.ones((3, 3)) / 9, sigma=SIGMA
    ),
    "pnp": lambda image: fr.inverse.pnp(image, fr.inverse.Blur(np.ones((3, 3)) / 9), SIGMA),
}
SUBJECTS = {"bm4d": "volume", "vbm3d": "frame 1", "demosaic": "mosaic", "denoise_burst": "frame 1",
            "remove_streaks": "sinogram", "pnp": "the initial estimate from data"}  # fmt: skip
WITHOUT_MASK = ("demosaic", "sharpen", "deblur", "deblur, sigma estimated", "remove_streaks",
                "denoise_burst", "super_resolve", "pnp")  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize("place", [HOLE, (9, 21)])
def test_fill_values_that_float32_cannot_represent_beside_the_image(name, value, place):
    position = {"bm4d": r"\({}, {}, 0\)"}.get(name, r"\({}, {}\)")
    position = position.format(*(k if isinstance(k, int) else k.start for k in place))
    subject = SUBJECTS.get(name, "image")
    cure = "replace" if name in WITHOUT_MASK else "missing" if name == "inpaint" else "by mask="
    quoted = f"{value:g}".replace("+", r"\+")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        message = f"{subject} has the value {quoted} at {position}.*{cure}"
        with pytest.raises(ValueError, match=message):
            CALLS[name](with_fill(value, place=place))


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"inpaint"}))
def test_nan_names_no_mask_where_there_is_none(name):
    with pytest.raises(ValueError, match="NaN or infinite") as caught:
        CALLS[name](with_fill(np.nan))
    assert ("mask=" in str(caught.value)) == (name not in WITHOUT_MASK)


@pytest.mark.parametrize(
    "estimate",
    [fr.estimate_sigma, fr.estimate_psd, fr.estimate_poisson_gaussian, fr.psd_from_flat_field],
)
def test_noise_is_not_estimated_beside_fill_values(estimate):
    """They returned 0, as if there were no noise."""
    with pytest.raises(ValueError, match=r"has the value 9.97e\+36 at .*invalid pixels"):
        estimate(with_fill(9.97e36))


def test_the_message():
    with pytest.raises(
        ValueError, match=r"the first of 384 such values; most of the others are"
    ) as e:
        fr.bm3d(with_fill(1e20), SIGMA)
    assert "and float32 cannot represent both; leave invalid pixels out by" in str(e.value)
    with pytest.raises(ValueError, match=r"value -3e\+38 at \(8, 20\), the first of 768 such"):
        fr.bm3d(with_fill(1e30, with_fill(-3e38), (slice(100, 116), slice(20, 44))), SIGMA)
    with pytest.raises(ValueError, match=r"value -2.14748e\+09 at \(8, 20\)"):
        fr.bm3d(with_fill(-(2**31), (IMAGE / 64).astype("i4")), 0.3)
    with pytest.raises(ValueError, match=r"value 1e\+20 at \(8, 20\), the first of 384"):
        fr.bm3d(with_fill(1e20, with_fill(np.nan, place=(0, 0))), SIGMA, mask=np.isfinite(
            with_fill(np.nan, place=(0, 0))))  # fmt: skip


@pytest.mark.parametrize("value", [-9999.0, 65535.0, 1e5, 1e6, -1e7, 1e9, 3e9])
def test_smaller_fill_values_have_no_influence(value, engine):
    """Around them, valid pixels are restored as well, and beyond 90 pixels equal bits."""
    expected = fr.bm3d(IMAGE, **GIVEN, backend=engine)
    result = fr.bm3d(with_fill(value), **GIVEN, backend=engine)
    np.testing.assert_array_equal(result[24 + 90 :], expected[24 + 90 :])
    assert psnr(CLEAN[KNOWN], result[KNOWN]) > psnr(CLEAN[KNOWN], expected[KNOWN]) - 0.2
    np.testing.assert_allclose(result[HOLE], value, rtol=1e-2)


@pytest.mark.parametrize("value", [-1e6, 1e9])
def test_with_estimates(value):
    """A fill value over 30 % of the image changes neither the noise level nor the range."""
    place = (slice(0, 70), slice(None))
    result = fr.bm3d(with_fill(value, place=place))
    assert (result[place] == np.float32(value)).all()
    assert psnr(CLEAN[70:], result[70:]) > psnr(CLEAN[70:], fr.bm3d(IMAGE)[70:]) - 0.3


def test_an_offset_is_found_beside_a_fill_value():
    """Without the offset, float32 would round to 64."""
    image = IMAGE.astype("f8") + 1e9
    expected = fr.bm3d(image, **GIVEN)
    result = fr.bm3d(with_fill(0.0, image), **GIVEN)
    np.testing.assert_allclose(result[24 + 90 :], expected[24 + 90 :], atol=1e-3)
    assert (result[HOLE] == 0).all()


def test_videos_and_volumes():
    frames = np.stack([IMAGE[:40, k : k + 40] for k in range(4)])
    given = frames.copy()
    given[1, 8:20, 8:20] = 1e8
    for restore in (fr.vbm3d, fr.bm4d):
        result, expected = restore(given, SIGMA), restore(frames, SIGMA)
        assert (result[1, 8:20, 8:20] == np.float32(1e8)).all()
        known = given < 1e8
        assert np.sqrt(np.mean((result - expected)[known] ** 2)) < 3


@pytest.mark.parametrize(
    "image",
    [
        np.eye(32),  # no range
        1e7 * np.eye(32) + noisy(np.zeros((32, 32)), SIGMA),
        np.where(scene(32, 32) > 100, 1.0, 0) + 1e-17 * scene(32, 32),
        np.exp(np.linspace(-30, 30, 1024)).reshape(32, 32),
        np.full((32, 32), 7.0),
        (scene(32, 32) > 100) * np.int16(30000) * 2 - 30000,
    ],
)
@pytest.mark.parametrize("sigma", [None, SIGMA, 1e5])
def test_other_images_are_restored(image, sigma):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(fr.bm3d(image, sigma)).all()


def test_networks():
    pytest.importorskip("torch")
    net = fr.nets.load("unet-gray")
    with pytest.raises(ValueError, match=r"image has the value 1e\+20 at \(8, 20\).*replace"):
        fr.nets.apply(net, with_fill(1e20)[:64], SIGMA)
