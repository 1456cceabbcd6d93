"""`metrics.sure`: equal to the true error, on noise of all kinds; noise drawn from a NoiseSpec."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, uniform_filter
from skimage.data import camera
from support.images import noisy, scene

from fastrestore import PoissonGaussian, bm3d
from fastrestore._noise.spec import NoiseSpec
from fastrestore.metrics import sure

PHOTOGRAPH = camera()[100:292, 160:352].astype(float)

FREQUENCIES = np.add.outer(np.fft.fftfreq(16) ** 2, np.fft.fftfreq(16) ** 2)
LONG = 1 / (0.01 + FREQUENCIES)
LONG /= LONG.mean()


def correlated(sigma=20.0):
    """Noise whose neighbors are alike."""
    white = NoiseSpec.white(sigma)
    return NoiseSpec(white.sigma, white.brightness, white.levels, LONG[None, None])


def dependent():
    """Noise of counts: stronger where the image is bright."""
    brightness = np.linspace(0, 255, 30)
    levels = np.sqrt(16 + 2 * brightness)
    return NoiseSpec(
        np.array([17.0]), brightness[None], levels[None], NoiseSpec.white(1.0).spectrum
    )


def errors(restore, clean, spec, seeds=3):
    """Return the estimated and the true error, each for some draws of the noise."""
    rows = []
    for seed in range(seeds):
        image = clean + spec.sample(clean, rng=seed)
        rows.append((sure(restore, image, spec), np.mean((restore(image) - clean) ** 2)))
    return np.array(rows)


@pytest.mark.parametrize("spec", [NoiseSpec.white(20.0), correlated(), dependent()])
@pytest.mark.parametrize("clean", [PHOTOGRAPH, scene(192, 192).astype(float)])
def test_it_equals_the_true_error_of_a_linear_filter(spec, clean):
    estimates = errors(lambda image: gaussian_filter(image, 1.0), clean, spec)
    estimate, true = estimates.mean(0)
    assert estimate == pytest.approx(true, rel=0.04)


@pytest.mark.parametrize("spec", [NoiseSpec.white(20.0), correlated(), dependent()])
def test_it_equals_the_true_error_of_bm3d(spec):
    def restore(image):
        return bm3d(image, spec.sigma[0], data_range=255)

    estimate, true = errors(restore, PHOTOGRAPH, spec, 4).mean(0)
    assert estimate == pytest.approx(true, rel=0.05)


def test_it_is_exact_if_the_divergence_is_known():
    image = noisy(scene(40, 50), 20)
    for share in (0.0, 0.3, 1.0):
        expected = (1 - share) ** 2 * np.mean((image - 90) ** 2) - 400 + 2 * share * 400
        estimate = sure(lambda image, a=share: a * image + (1 - a) * 90, image, 20)
        assert estimate == pytest.approx(expected)
    mean = sure(lambda image: uniform_filter(image, 3, mode="wrap"), image, 20, probes=400)
    fit = np.mean((uniform_filter(image, 3, mode="wrap") - image) ** 2)
    assert mean == pytest.approx(fit - 400 + 2 * 400 / 9, abs=3)


def test_it_selects_nearly_the_best_level():
    image = PHOTOGRAPH + np.random.default_rng(0).normal(0, 30, PHOTOGRAPH.shape)
    results = {}
    for level in (15, 24, 30, 36, 60):

        def restore(image, level=level):
            return bm3d(image, level, data_range=255)

        true = np.mean((restore(image) - PHOTOGRAPH) ** 2)
        results[level] = (sure(restore, image, 30), true)
    chosen = min(results.values())
    best = min(true for _, true in results.values())
    assert 10 * np.log10(chosen[1] / best) < 0.05


def test_levels_of_channels_maps_and_counts():
    clean = np.stack([PHOTOGRAPH, PHOTOGRAPH[::-1]])
    rng = np.random.default_rng(0)
    sigmas = np.array([10.0, 30.0])
    image = clean + sigmas[:, None, None] * rng.standard_normal(clean.shape)

    def restore(image):
        return gaussian_filter(image, (0, 1, 1))

    true = np.mean((restore(image) - clean) ** 2)
    by_channel = sure(restore, image, sigmas, channel_axis=0)
    assert by_channel == pytest.approx(true, rel=0.05)
    assert sure(restore, image, sigmas[:, None, None]) == pytest.approx(by_channel)
    last = sure(
        lambda image: gaussian_filter(image, (1, 1, 0)), np.moveaxis(image, 0, -1), sigmas,
        channel_axis=-1,
    )  # fmt: skip
    assert last == pytest.approx(true, rel=0.05)
    counts = rng.poisson(clean / 5) * 5
    model = PoissonGaussian(5.0)
    true = np.mean((restore(counts.astype(float)) - clean) ** 2)
    assert sure(restore, counts, model, channel_axis=0) == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("fill", [np.nan, np.inf, 1e9])
def test_invalid_pixels_have_no_influence(fill):
    clean, valid = PHOTOGRAPH, np.random.default_rng(1).random(PHOTOGRAPH.shape) > 0.1
    image = clean + dependent().sample(clean)

    def restore(image):
        return bm3d(image, 17, mask=valid, profile="fast")

    def restored(image):
        return np.where(valid, restore(np.where(valid, image, 0)), image)

    expected = sure(restored, np.where(valid, image, 0), dependent(), mask=valid)
    assert sure(restored, np.where(valid, image, fill), dependent(), mask=valid) == expected
    true = np.mean((restored(image) - clean)[valid] ** 2)
    assert expected == pytest.approx(true, rel=0.1)


def test_without_noise_it_is_the_distance_from_the_image():
    image = scene(20, 30).astype(np.uint8)
    assert sure(lambda image: image + 3, image, 0) == pytest.approx(9)
    assert image.dtype == np.uint8


def test_seeds():
    image = noisy(scene(40, 50), 20)
    results = [
        sure(lambda image: bm3d(image, 20, profile="fast"), image, 20, seed=s) for s in (0, 0, 1)
    ]
    assert results[0] == results[1] != results[2]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"restore": 3}, TypeError, "restore must be a function of an image, got 3"),
        ({"restore": lambda image: image[1:]}, ValueError, r"result of restore has shape \(7, 9\)"),
        ({"restore": lambda image: image * np.nan}, ValueError, "result of restore has values th"),
        ({"restore": lambda image: None}, TypeError, "result of restore must be an array, got"),
        ({"image": np.ones((0, 3))}, ValueError, r"image must have pixels, its shape is \(0, 3\)"),
        ({"image": np.full((8, 9), np.nan)}, ValueError, "image.*NaN"),
        ({"noise": -2}, ValueError, "noise must be a standard deviation .*NoiseSpec, got -2"),
        ({"noise": "white"}, TypeError, "noise must be a standard deviation .*, got 'white'"),
        ({"noise": NoiseSpec}, TypeError, "noise must be a standard deviation"),
        ({"noise": np.ones(5)}, ValueError, r"broadcasts to \(8, 9\).*, got shape \(5,\)"),
        ({"noise": NoiseSpec.white(1, 2)}, ValueError, "image has 1 channels, but the noise is t"),
        ({"channel_axis": 4}, ValueError, "channel_axis=4 is not an axis"),
        ({"mask": np.zeros((8, 9), bool)}, ValueError, "mask is False everywhere"),
        ({"probes": 0}, ValueError, "probes must be a whole number from 1"),
        ({"seed": -1}, ValueError, "seed must be a whole number of 0 or more, got -1"),
    ],
)
def test_bad_input(changes, error, message):
    arguments = {"restore": lambda image: image, "image": np.ones((8, 9)), "noise": 2.0}
    with pytest.raises(error, match=message):
        sure(**arguments | changes)


def test_drawn_noise_has_level_spectrum_and_correlation():
    matrix = np.array([[1, 0.5], [0.5, 1]])
    spectrum = matrix[:, :, None, None] * LONG
    brightness = np.array([[0.0, 100.0], [0.0, 200.0]])
    levels = np.array([[2.0, 12.0], [5.0, 5.0]])
    spec = NoiseSpec(np.array([7.0, 5.0]), brightness, levels, spectrum)
    clean = np.full((400, 400, 2), 50.0)
    np.testing.assert_allclose(spec.variance(clean, channel_axis=-1)[0, 0], [49, 25])
    noise = spec.sample(clean, channel_axis=2, rng=np.random.default_rng(3))
    z = noise / [7, 5]
    assert np.mean(z**2, (0, 1)) == pytest.approx(1, rel=0.1)
    assert np.mean(z[..., 0] * z[..., 1]) == pytest.approx(0.5, abs=0.05)
    expected = np.fft.ifft2(LONG).real
    for shift in ((0, 1), (1, 1), (0, 4)):
        moved = np.roll(z, shift, (0, 1))[8:, 8:]
        assert np.mean(z[8:, 8:, 0] * moved[..., 0]) == pytest.approx(expected[shift], abs=0.05)
    np.testing.assert_array_equal(noise, spec.sample(clean, channel_axis=-1, rng=3))
    frames = correlated().sample(np.zeros((3, 100, 100)))
    assert np.corrcoef(frames.reshape(3, -1))[0, 1] < 0.1
    with pytest.raises(TypeError, match="rng must be a whole number"):
        spec.sample(clean, channel_axis=-1, rng="a")
    with pytest.raises(ValueError, match=r"image has shape \(9,\), but the spectrum .* has 2 axes"):
        correlated().sample(np.zeros(9))


def test_counts_drawn_from_their_model():
    model = PoissonGaussian(2.0, 3.0, 100.0)
    clean = np.full((300, 300), 140.0)
    noise = model.sample(clean)
    assert model.variance(clean)[0, 0] == 2 * 40 + 9
    assert noise.var() == pytest.approx(89, rel=0.03)
    assert abs(noise.mean()) < 0.2
