"""Plug-and-play restoration: operators, the three methods, invalid denoisers and arguments."""

import doctest

import numpy as np
import pytest
from scipy import ndimage
from scipy.sparse.linalg import aslinearoperator
from skimage.data import camera
from support.images import scene

from fastrestore import bm3d, inverse, super_resolve
from fastrestore._algorithms import deblur as deblur_module
from fastrestore.inverse import Blur, Decimation, Forward, Mask, plug_and_play, pnp
from fastrestore.inverse import operators as operators_module
from fastrestore.inverse.iterations import _rotate, _rotate_back, squared_norm
from fastrestore.inverse.missing import fill_nearest

BOX = np.full((5, 5), 1 / 25)
ASKEW = np.array([[1, 2, 0, 0], [0, 3, 4, 2]]) / 12
HOLES = np.random.default_rng(0).random((24, 32)) < 0.5


def operators():
    """Each kind, with the shapes of its images and data."""
    matrix = np.random.default_rng(1).normal(size=(100, 24 * 32)) / 30
    return {
        "periodic": (Blur(BOX, "periodic"), (24, 32)),
        "reflect": (Blur(BOX), (24, 32)),
        "mask": (Mask(HOLES), (24, 32)),
        "decimation": (Decimation(BOX, 2), (12, 16)),
        "mirrored decimation": (Decimation(ASKEW, 2, "reflect"), (12, 16)),
        "functions": (Forward(lambda x: 2 * x[:10], lambda y: 2 * np.pad(y, ((0, 14), (0, 0))),
                              shape=(24, 32)), (10, 32)),
        "matrix": (Forward(aslinearoperator(matrix), shape=(24, 32)), (100,)),
    }  # fmt: skip


def forward_data(name):
    """Return the data of a scene."""
    forward, shape = operators()[name]
    forward.check(np.zeros(shape))
    return forward.apply(scene(24, 32)).reshape(shape)


@pytest.mark.parametrize("name", operators())
def test_adjoints(name):
    """<A x, y> = <x, A^T y>."""
    forward, shape = operators()[name]
    rng = np.random.default_rng(2)
    data, image = rng.normal(size=shape), rng.normal(size=(24, 32))
    forward.check(data)
    one = (forward.apply(image).reshape(shape) * data).sum()
    assert one == pytest.approx((image * forward.adjoint(data)).sum())


@pytest.mark.parametrize(
    "name", ["periodic", "reflect", "mask", "decimation", "mirrored decimation"]
)
def test_all_operators_take_gradient_steps(name):
    forward, data = operators()[name][0], forward_data(name)
    found = pnp(data, forward, 1.0, method="pgm", iterations=5, return_history=True)
    assert found.image.shape == (24, 32)
    assert found.history[-1]["data"] < found.history[0]["data"]


@pytest.mark.parametrize("name", operators())
def test_proximal_minimizes_the_sum_of_squares(name):
    """No small change of the image makes the sum of squares less."""
    forward, shape = operators()[name]
    rng = np.random.default_rng(3)
    data = rng.normal(size=shape)
    forward.check(data)
    near = rng.normal(size=(24, 32))
    found = forward.proximal(near, data, 0.3)

    def cost(x):
        rest = forward.apply(x).reshape(data.shape) - data
        return (rest**2).sum() + 0.3 * ((x - near) ** 2).sum()

    least = cost(found)
    for _ in range(5):
        way = rng.normal(size=found.shape)
        slope = (cost(found + 1e-4 * way) - cost(found - 1e-4 * way)) / 2e-4
        assert abs(slope) < 2e-3 * np.abs(way).sum() * max(1, least) / 1e2
        assert cost(found + 0.01 * way) > least
    assert forward.initial_estimate(data).shape == (24, 32)


def test_decimation_keeps_the_first_pixel():
    """The first call sets the shape, from a large or a small image."""
    large = scene(24, 32)
    for psf, boundary, mode in ((BOX, "periodic", "wrap"), (ASKEW, "reflect", "reflect")):
        forward = Decimation(psf, 4, boundary)
        expected = ndimage.convolve(large, psf, mode=mode)[::4, ::4]
        np.testing.assert_allclose(forward.apply(large), expected, atol=1e-9)
        assert forward.apply(scene(40, 20)).shape == (10, 5)
        assert Decimation(psf, 4, boundary).adjoint(np.ones((6, 8))).shape == (24, 32)
    with pytest.raises(ValueError, match=r"shape \(25, 32\), which is not a multiple of factor=4"):
        Decimation(BOX, 4).apply(scene(25, 32))


def test_the_norm_of_an_operator():
    forward = Blur(BOX, "periodic")
    assert 1 < squared_norm_of(forward) < 1.06
    matrix = np.random.default_rng(2).normal(size=(20, 24 * 32)) * np.linspace(1, 2, 20)[:, None]
    other = Forward(aslinearoperator(matrix), shape=(24, 32))
    largest = np.linalg.norm(matrix, 2) ** 2
    assert largest < squared_norm(other, np.zeros((24, 32))) < 1.1 * largest


def squared_norm_of(forward):
    forward.check(np.zeros((24, 32)))
    forward.adjoint = forward.apply  # symmetric
    return squared_norm(forward, np.zeros((24, 32)))


@pytest.mark.parametrize("turn", range(8))
def test_rotations_are_undone(turn):
    image = np.random.default_rng(0).normal(size=(5, 7))
    np.testing.assert_array_equal(_rotate_back(_rotate(image, turn), turn), image)


def problem(sigma=2.0):
    clean = camera()[100:164, 180:244].astype(float)
    noise = np.random.default_rng(1).normal(0, sigma, clean.shape)
    return clean, ndimage.convolve(clean, BOX, mode="wrap") + noise


@pytest.mark.parametrize("method", ["hqs", "admm", "pgm"])
def test_all_methods_restore(method):
    clean, data = problem()
    result = pnp(
        data,
        Blur(BOX, "periodic"),
        2.0,
        method=method,
        data_range=255,
        truth=clean,
        return_history=True,
    )
    assert ((result.image - clean) ** 2).mean() < 0.6 * ((data - clean) ** 2).mean()
    assert result.stopped == "iterations"
    scores = [entry["psnr"] for entry in result.history]
    assert scores[-1] > scores[0]
    assert scores[-1] == pytest.approx(10 * np.log10(255**2 / ((result.image - clean) ** 2).mean()))
    assert {"sigma", "data", "change", "psnr"} == set(result.history[0])
    sigmas = [entry["sigma"] for entry in result.history]
    assert sigmas[0] == pytest.approx(49)
    assert sigmas[-1] == pytest.approx(2)


def forward_of(psf):
    return lambda image: ndimage.convolve(image, psf, mode="wrap")


def test_any_denoiser():
    _, data = problem()
    calls = []

    def gaussian(image, sigma):
        calls.append((image.shape, sigma))
        return ndimage.gaussian_filter(image, sigma / 30)

    result = pnp(data, Blur(BOX, "periodic"), 2.0, denoiser=gaussian, iterations=3)
    assert result.shape == data.shape
    assert [shape for shape, _ in calls] == [(64, 64)] * 3
    assert calls[0][1] > calls[1][1] > calls[2][1]
    chosen = pnp(data, Blur(BOX, "periodic"), 2.0, denoiser=gaussian, sigmas=[9, 4])
    assert chosen.shape == data.shape
    assert [sigma for _, sigma in calls[3:]] == [9, 4]


def test_self_ensemble():
    clean = camera()[100:140, 180:244].astype(float)
    data = forward_of(BOX)(clean) + np.random.default_rng(1).normal(0, 2, clean.shape)
    shapes = []

    def keep(image, sigma):
        shapes.append(image.shape)
        return bm3d(image, sigma, stage="basic")

    result = pnp(data, Blur(BOX, "periodic"), 2.0, denoiser=keep, self_ensemble=True, start=data)
    assert set(shapes) == {(40, 64), (64, 40)}
    assert result.shape == (40, 64)
    assert ((result - clean) ** 2).mean() < ((data - clean) ** 2).mean() / 2


def test_iterations_stop_at_convergence():
    _, data = problem()
    seen = []
    result = pnp(
        data, Blur(BOX, "periodic"), 2.0, iterations=50, sigmas=[2.0] * 50, tolerance=5e-3,
        return_history=True, callback=lambda k, image: seen.append((k, image.shape)),
    )  # fmt: skip
    assert result.stopped == "tolerance"
    assert len(result.history) == len(seen) < 50
    assert seen[0] == (0, (64, 64))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_types(dtype):
    _, data = problem()
    result = pnp(data.clip(0, 255).astype(dtype), Blur(BOX, "periodic"), 2.0, iterations=2)
    assert result.dtype == (np.float64 if dtype == np.float64 else np.float32)


def test_invalid_denoisers():
    _, data = problem()
    forward = Blur(BOX, "periodic")

    def third(result):
        """Return the image twice, then something else."""
        count = iter(range(9))
        return lambda image, sigma: image if next(count) < 2 else result(image)

    for result, message in (
        (lambda image: image[1:], r"returned shape \(63, 64\) in iteration 2, for an image of"),
        (lambda image: None, "returned None in iteration 2"),
        (lambda image: image * np.nan, "NaN or infinite in iteration 2, for sigma="),
    ):
        with pytest.raises(ValueError, match=message):
            pnp(data, forward, 2.0, denoiser=third(result))


def test_divergence_stops():
    """A denoiser that amplifies the image more than the data step can correct."""
    _, data = problem()
    with pytest.raises(inverse.DivergenceError, match="iteration 3 diverged: the squared residual"):
        pnp(
            data, Mask(np.zeros(data.shape, bool)), 2.0, sigmas=[40, 30, 25, 10, 5],
            denoiser=lambda image, sigma: image * (100 if sigma < 20 else 1),
        )  # fmt: skip


def test_no_growth_over_many_iterations():
    """Memory does not grow with the number of iterations."""
    import tracemalloc

    _, data = problem()
    forward, sizes = Blur(BOX), []

    def callback(k, image):
        if k in (20, 199):
            sizes.append(tracemalloc.get_traced_memory()[0])

    bm3d(data, 2.0, stage="basic")
    tracemalloc.start()
    pnp(
        data, forward, 2.0, iterations=200, callback=callback,
        denoiser=lambda image, sigma: bm3d(image, sigma, stage="basic", data_range=255),
    )  # fmt: skip
    tracemalloc.stop()
    assert sizes[1] < sizes[0] + 300_000


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"forward": BOX}, TypeError, r"forward must be .* got an array of shape \(5, 5\);"),
        ({"method": "sgd"}, ValueError, "method must be one of 'hqs', 'admm', 'pgm', got 'sgd'"),
        ({"iterations": 0}, ValueError, "iterations must be a whole number from 1 .*, got 0"),
        ({"sigmas": [1.0, -2.0]}, ValueError, "sigmas must be numbers above 0, .*, got -2"),
        ({"sigmas": [1.0], "iterations": 3}, ValueError, "sigmas has 1 numbers for 3 iterations"),
        ({"denoiser": "blur"}, ValueError, "denoiser must be callable or one of .*, got 'blur'"),
        ({"denoiser": "dncnn"}, ValueError, "'dncnn' has no input for the noise level"),
        ({"sigmas": []}, ValueError, r"sigmas must be numbers above 0, .*, got \[\]"),
        ({"sigmas": np.array([20, -10])}, ValueError, r"sigmas must be .*, got -10 at \(1,\)$"),
        ({"regularization": 0}, ValueError, "regularization must be a number above 0"),
        ({"regularization": 0.5, "method": "pgm"}, ValueError, "regularization=0.5 is for "),
        ({"start": np.zeros((3, 3))}, ValueError, r"start has shape \(3, 3\), but the image"),
        ({"truth": np.zeros((3, 3))}, ValueError, r"truth has shape \(3, 3\), but the image"),
        ({"self_ensemble": 1}, TypeError, "self_ensemble must be True or False"),
        ({"forward": Mask(np.zeros((3, 3), bool))}, ValueError, r"mask has shape \(3, 3\), but"),
    ],
)  # fmt: skip
def test_bad_arguments(change, error, message):
    _, data = problem()
    given = {"forward": Blur(BOX, "periodic"), "sigma": 2.0} | change
    with pytest.raises(error, match=message):
        pnp(data, **given)


@pytest.mark.parametrize("forward", [Blur(BOX), Mask(HOLES), Decimation(BOX, 2)])
@pytest.mark.parametrize("shape", [(24, 32, 3), (99,)])
def test_colors_and_flat_data_raise(forward, shape):
    with pytest.raises(ValueError, match=r"data must have two axes .*, got shape \(\d"):
        pnp(np.zeros(shape), forward, 1.0)


def test_invalid_adjoints():
    """The blur itself is not, if the PSF is not symmetric; a nearly exact adjoint passes."""
    blur = forward_of(ASKEW)
    true = Blur(ASKEW, "periodic")
    data = scene(24, 32)
    for wrong in (blur, lambda y: 5 * true.adjoint(y)):
        with pytest.raises(ValueError, match=r"adjoint is not the adjoint of apply: .* is \d"):
            pnp(data, Forward(blur, wrong, shape=(24, 32)), 1.0)
    pnp(data, Forward(blur, lambda y: 1.02 * true.adjoint(y), shape=(24, 32)), 1.0, iterations=1)
    with pytest.raises(ValueError, match=r"adjoint returns shape \(3,\), but the image has shape"):
        pnp(data, Forward(blur, lambda y: np.zeros(3), shape=(24, 32)), 1.0)


def test_missing_pixels_may_be_nan():
    clean = scene(24, 32)
    damaged = np.where(HOLES, np.nan, clean)
    found = pnp(damaged, Mask(HOLES), 1.0, iterations=2)
    np.testing.assert_array_equal(found, pnp(clean, Mask(HOLES), 1.0, iterations=2))
    damaged[~HOLES] = np.nan
    with pytest.raises(ValueError, match="data has values that are NaN"):
        pnp(damaged, Mask(HOLES), 1.0)


def test_the_range_of_the_psnr():
    """It is that of the truth unless `data_range` is given."""
    clean, data = problem()
    for given, peak in (({}, np.ptp(clean)), ({"data_range": 255}, 255.0)):
        found = pnp(
            data,
            Blur(BOX, "periodic"),
            2.0,
            iterations=2,
            truth=clean,
            return_history=True,
            **given,
        )
        error = ((found.image - clean) ** 2).mean()
        assert found.history[-1]["psnr"] == pytest.approx(10 * np.log10(peak**2 / error))


def test_bad_operators():
    with pytest.raises(TypeError, match="a forward operator needs two functions, apply and adj"):
        Forward(lambda x: x, shape=(3, 3))
    with pytest.raises(ValueError, match="the operator takes 9 numbers, but an image"):
        Forward(aslinearoperator(np.eye(9)), shape=(4, 4))
    with pytest.raises(ValueError, match="each number of shape must be a whole number"):
        Forward(lambda x: x, lambda x: x, shape=(0, 3))
    with pytest.raises(ValueError, match="boundary must be one of"):
        Blur(BOX, "zero")
    with pytest.raises(TypeError, match=r"factor must be a whole number from 1 to 10000, got 1\.5"):
        Decimation(BOX, 1.5)
    with pytest.raises(ValueError, match=r"data has shape \(5, 5\), but the operator returns"):
        pnp(np.zeros((5, 5)), Forward(lambda x: x, lambda y: y, shape=(4, 4)), 1.0)


def test_the_nearest_pixel():
    data = np.arange(12.0).reshape(3, 4)
    mask = np.zeros((3, 4), bool)
    mask[0, :2] = mask[1, 0] = True
    np.testing.assert_array_equal(fill_nearest(data, mask), [[5, 5, 2, 3], [8, 5, 6, 7], data[2]])


@pytest.mark.parametrize("scale", [2, 3])
def test_larger_images_without_a_network(scale):
    """Better than cubic interpolation, at the border, too."""
    clean = camera()[100:196, 180:276].astype(np.float64)
    psf = np.zeros((11, 11))
    psf[5, 5] = 1
    psf = ndimage.gaussian_filter(psf, 1.2)
    psf /= psf.sum()
    small = ndimage.convolve(clean, psf, mode="reflect")[::scale, ::scale]
    places = np.meshgrid(*2 * (np.arange(96) / scale,), indexing="ij")
    cubic = ndimage.map_coordinates(small, places, order=3, mode="mirror")
    options = {"model": "pnp", "psf": psf, "data_range": 255}
    larger = super_resolve(small, scale, **options)
    assert larger.shape == clean.shape
    for part in (np.s_[:], np.s_[:8], np.s_[:, -8:], np.s_[-2:], np.s_[:, -1]):
        assert np.abs((larger - clean)[part]).mean() < 0.95 * np.abs((cubic - clean)[part]).mean()
    colors = super_resolve(np.stack([small] * 3, -1), scale, channel_axis=-1, **options)
    np.testing.assert_allclose(colors[..., 1], larger, atol=1e-9)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, ValueError, "model='pnp' needs psf"),
        (
            {"psf": BOX, "scale": 0},
            ValueError,
            "scale must be a whole number from 1 .*, got 0",
        ),
        ({"psf": BOX, "device": "cpu"}, ValueError, "device='cpu' is for networks, not for model"),
        ({"psf": BOX, "tile": 64}, ValueError, "tile=64 is for networks"),
        ({"psf": 2 * BOX}, ValueError, "psf must sum to 1"),
        ({"psf": BOX, "sigma": -1}, ValueError, "sigma must"),
        ({"psf": BOX, "denoiser": "best"}, ValueError, "denoiser must be callable or one of"),
        (
            {"psf": BOX, "model": "srresnet"},
            ValueError,
            "psf=.* is for model='pnp', not for model='srr",
        ),
    ],
)
def test_bad_larger_images(given, error, message):
    with pytest.raises(error, match=message):
        super_resolve(np.zeros((9, 9)), **({"model": "pnp"} | given))


@pytest.mark.parametrize("module", [deblur_module, operators_module, plug_and_play])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
