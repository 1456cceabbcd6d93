"""Signal-dependent noise: transforms, their exact inverses, and estimation."""

import numpy as np
import pytest
from support.images import camera, noisy, psnr, scene

from fastrestore import PoissonGaussian, Rician, bm3d, estimate_poisson_gaussian

MODELS = [
    PoissonGaussian(1.0),
    PoissonGaussian(2.0, sigma=5.0, offset=100.0),
    PoissonGaussian(0.01, sigma=0.02),
]


def photons(clean, model, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.poisson((clean - model.offset) / model.gain)
    return model.gain * counts + model.offset + model.sigma * rng.standard_normal(clean.shape)


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("level", [0.0, 0.3, 2.0, 10.0, 60.0, 99.0, 101.0, 2000.0])
def test_inverse_is_unbiased(model, level):
    mean = model.offset + model.gain * level
    values = model.forward(photons(np.full(400_000, mean), model))
    found = model.inverse(values.mean())
    spread = np.hypot(np.sqrt(level), model.sigma / model.gain) * model.gain
    assert abs(found - mean) < 6 * spread / np.sqrt(400_000) + 2e-3 * model.gain
    if level >= 10:
        assert values.std() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0, 3.0, 10.0, 15.9, 16.1, 100.0])
def test_rician_inverse_is_unbiased(level):
    rng = np.random.default_rng(1)
    noise = 3 * rng.standard_normal((2, 400_000))
    values = Rician(3.0).forward(np.hypot(3 * level + noise[0], noise[1]))
    tolerance = 0.3 if level == 0 else 0.03  # near 0 the mean hardly depends on the signal
    assert Rician(3.0).inverse(values.mean()) == pytest.approx(3 * level, abs=tolerance)
    if level >= 3:
        assert values.std() == pytest.approx(1, abs=0.05)


def test_inverse_is_monotone_and_bounded():
    for model in MODELS:
        found = model.inverse(np.linspace(-3, 60, 20_000))
        assert (np.diff(found) >= -1e-9 * model.gain).all()
        assert found.min() == model.offset
    assert Rician(1.0).inverse(-1.0) == 0


@pytest.mark.parametrize("model", [PoissonGaussian(8.0), PoissonGaussian(4.0, 10.0, 50.0)], ids=str)
def test_bm3d_equals_transform_filter_inverse(model):
    clean = camera() + model.offset
    noisy = photons(clean, model)
    restored = bm3d(noisy, noise=model)
    assert psnr(clean, restored) > psnr(clean, noisy) + 5
    assert abs(restored.mean() - clean.mean()) < 0.5
    best = max(psnr(clean, bm3d(noisy, sigma)) for sigma in (15, 20, 25, 30, 35, 40))
    assert psnr(clean, restored) > best + 0.3
    steps = model.inverse(bm3d(model.forward(noisy), 1.0))
    np.testing.assert_array_equal(restored, steps)


def test_bm3d_with_rician_noise_dtype_pilot_and_range():
    clean = scene(48, 48)
    noise = 20 * np.random.default_rng(0).standard_normal((2, 48, 48))
    noisy = np.hypot(clean + noise[0], noise[1]).astype("f4")
    restored, info = bm3d(noisy, noise=Rician(20), data_range=255, return_info=True)
    assert restored.dtype == np.float32
    assert psnr(clean, restored) > psnr(clean, noisy) + 5
    assert info.noise == Rician(20)
    assert info.sigma == 1
    assert not info.estimated
    assert psnr(clean, bm3d(noisy, noise=Rician(20), pilot=clean)) > psnr(clean, restored)
    color = bm3d(np.stack([noisy, noisy.T, noisy]), noise=Rician(20), channel_axis=0)
    assert np.isfinite(color).all()


class Root:
    """Noise of variance 4 x, which a square root transforms to variance 1."""

    def forward(self, values):
        return np.sqrt(np.maximum(np.asarray(values, np.float64), 0))

    def inverse(self, stabilized):
        return np.maximum(stabilized, 0) ** 2 + 1

    def extent(self, data_range):
        return float(np.sqrt(data_range))


@pytest.mark.parametrize("options", [{}, {"data_range": 255}, {"backend": "numpy"}])
def test_custom_noise_model(options):
    clean = scene(48, 48) + 10
    noisy = clean + 2 * np.sqrt(clean) * np.random.default_rng(0).standard_normal(clean.shape)
    model = Root()
    restored, info = bm3d(noisy, noise=model, return_info=True, **options)
    assert info.noise is model
    assert psnr(clean, restored) > psnr(clean, noisy) + 5
    extent = {"data_range": 255**0.5} if "data_range" in options else {}
    steps = model.inverse(bm3d(model.forward(noisy), 1.0, **{**options, **extent}))
    np.testing.assert_array_equal(restored, steps)


@pytest.mark.parametrize(
    ("method", "returned", "error", "message"),
    [
        (
            "forward",
            lambda v: v[:, 1:],
            ValueError,
            r"of noise.forward has shape \(1, 31, 32\), but",
        ),
        ("forward", lambda v: v.tolist(), TypeError, "of noise.forward must be an array, got list"),
        ("forward", lambda v: None, TypeError, "of noise.forward must be an array, got NoneType"),
        ("forward", lambda v: v + 0j, TypeError, "of noise.forward is complex"),
        ("forward", lambda v: v * np.nan, ValueError, "of noise.forward, for .* that are NaN"),
        ("inverse", lambda v: v * np.nan, ValueError, "of noise.inverse, for .* that are NaN"),
        ("inverse", lambda v: v[:, :1, :1], ValueError, "of noise.inverse has shape"),
        ("inverse", lambda v: None, TypeError, "of noise.inverse must be an array, got NoneType"),
        ("extent", lambda v: None, TypeError, "of noise.extent must be a number of 0 or more"),
        ("extent", lambda v: -1.0, ValueError, "of noise.extent must be a number of 0 or more"),
        ("extent", lambda v: np.nan, ValueError, "of noise.extent must be a number of 0 or more"),
    ],
)
def test_a_noise_model_that_returns_something_else(method, returned, error, message):
    model = type("Model", (Root,), {method: lambda self, values: returned(values)})()
    with pytest.raises(error, match=f"the result {message}"):
        bm3d(scene(32, 32), noise=model, data_range=255, profile="fast", backend="numpy")


def test_a_noise_model_of_float32():
    image = noisy(scene(32, 32) + 30, 5)
    single = type("Single", (Root,), {"forward": lambda _, v: Root().forward(v).astype("f4")})()
    restored = bm3d(image, noise=single)
    assert restored.dtype == np.float64
    np.testing.assert_allclose(restored, bm3d(image, noise=Root()), rtol=1e-4)


def test_a_noise_model_cannot_change_the_image():
    image = scene(32, 32)
    before = image.copy()
    model = type("InPlace", (Root,), {"forward": lambda _, v: np.sqrt(v, out=v)})()
    with pytest.raises(ValueError, match="read-only"):
        bm3d(image, noise=model)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("missing", ["forward", "inverse", "extent"])
def test_a_noise_model_lacks_a_method(missing):
    methods = {k: v for k, v in vars(Root).items() if k[0] != "_" and k != missing}
    model = type("Model", (), methods)()
    with pytest.raises(TypeError, match="with the methods forward, inverse and extent, got <"):
        bm3d(scene(), noise=model)


@pytest.mark.parametrize(("gain", "sigma"), [(1, 0), (2, 10), (8, 5), (0, 10)])
def test_estimate(gain, sigma):
    clean = camera(0, 0, 512, 512)
    model = PoissonGaussian(gain or 1, sigma)
    rng = np.random.default_rng(2)
    noisy = photons(clean, model) if gain else clean + sigma * rng.standard_normal(clean.shape)
    found_gain, found_sigma = estimate_poisson_gaussian(noisy)
    for level in (20, 120, 220):
        expected = gain * level + sigma**2
        assert found_gain * level + found_sigma**2 == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize(
    ("error", "message", "make"),
    [
        (ValueError, r"gain must be a number above 0, got 0", lambda: PoissonGaussian(0)),
        (ValueError, r"gain must be .*got nan", lambda: PoissonGaussian(float("nan"))),
        (TypeError, r"gain must be .*got '1'", lambda: PoissonGaussian("1")),
        (ValueError, r"sigma must be .* of 0 or more, got -1", lambda: PoissonGaussian(1, -1)),
        (ValueError, r"offset must be .*got inf", lambda: PoissonGaussian(1, 0, np.inf)),
        (ValueError, r"sigma must be a number above 0, got 0", lambda: Rician(0)),
        (
            ValueError,
            r"specify the noise once: got both sigma=3 and noise=PoissonGaussian\(",
            lambda: bm3d(scene(), 3, noise=PoissonGaussian(1)),
        ),
        (
            ValueError,
            r"noise must be .* a PoissonGaussian, a Rician or another object with .*'poisson'",
            lambda: bm3d(scene(), noise="poisson"),
        ),
        (
            ValueError,
            r"image must be 32 pixels.*got \(8, 40\)",
            lambda: estimate_poisson_gaussian(np.ones((8, 40))),
        ),
        (TypeError, r"image must be an array", lambda: estimate_poisson_gaussian([1])),
    ],
)
def test_bad_input(error, message, make):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("model", [PoissonGaussian(2.0, 3.0), Rician(2.0)], ids=str)
def test_arguments_of_the_methods(model):
    with pytest.raises(ValueError, match=r"stabilized must be at most 1e\+60, got 1e\+300"):
        model.inverse(np.array([1.0, 1e300]))
    for value in (None, "x", [1, 2]):
        with pytest.raises(TypeError, match=r"data_range must be a number above 0, got"):
            model.extent(value)
