"""Gradients of the stages of BM3D by CUDA kernels, against the numpy backend."""

import numpy as np
import pytest
import torch
from support.gradients import BLOCKS, NOISES, PROFILES, SMALL, Case, are_close, by_kernels
from support.images import noisy, scene

import fastrestore
from fastrestore import bm3d, nets
from fastrestore._collaborative.tape import recording
from fastrestore.backends.cupy import _layout
from fastrestore.backends.select import select

CASES = [(which, noise) for which in ("basic", "final") for noise in NOISES]
FACTORS = {
    "threshold_factors": np.random.default_rng(4).uniform(0.6, 1.4, (5, 8, 8)),
    "wiener_factors": np.random.default_rng(5).uniform(0.3, 3, (7, 8, 8)),
}


@pytest.mark.parametrize(
    ("which", "noise", "profile"),
    [
        *((*case, SMALL) for case in CASES),
        ("final", "map", PROFILES["single blocks"]),
        ("basic", "map", PROFILES["weighted"]),
        ("final", "map", PROFILES["weighted"]),
        ("basic", "white", SMALL.replace(group_basic=16, match_basic=1e6)),
        ("basic", "map", BLOCKS),
        ("final", "white", BLOCKS),
        ("basic", "white", SMALL.replace(**FACTORS)),
        ("final", "map", SMALL.replace(**FACTORS)),
        ("final", "white", SMALL.replace(transform_final="bior1.5")),  # not orthogonal
    ],
)
def test_kernels_agree_with_the_specification(cupy, which, noise, profile):
    case = Case(which, noise, profile, (26, 29))
    expected = case.backward(select("numpy"), np.float32)
    assert are_close(by_kernels(cupy, case), expected)


def test_fixed_sums_do_not_depend_on_the_order(cupy):
    case = Case("final", "map", SMALL)
    first, again = (by_kernels(cupy, case, deterministic=True) for _ in range(2))
    assert are_close(first, case.backward(select("numpy"), np.float32))
    for a, b in zip(first.images, again.images, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first.scale, again.scale)
    np.testing.assert_array_equal(first.variances, again.variances)


def test_less_shared_memory(cupy, monkeypatch):
    """Where all blocks of a group do not fit, they are transformed in parts."""
    case = Case("final", "map", SMALL)
    expected = by_kernels(cupy, case)
    monkeypatch.setattr(_layout, "FREE_SHARED", 0)
    monkeypatch.setattr(_layout, "most_shared", lambda: 4 * (2 * 64 + 64 + 24 + 2 + 2 * 11))
    layout = _layout.backward_layout(_layout.Blocks.of(case.stage))
    assert layout.part == 2
    assert are_close(by_kernels(cupy, case), expected, 1e-6)


@pytest.mark.parametrize("factor", [1e-30, 1e30, 0.0])
def test_gradients_of_any_size(cupy, factor):
    case = Case("final", "map")
    expected = by_kernels(cupy, case, deterministic=True)
    case.gradient *= factor
    found = by_kernels(cupy, case, deterministic=True)
    assert np.allclose(found.images[0], factor * expected.images[0], rtol=1e-4, atol=1e-6 * factor)


def test_gradients_that_are_not_finite(cupy):
    case = Case("final", "map")
    case.gradient[0, 3, 3] = np.nan
    found = by_kernels(cupy, case, deterministic=True)
    assert np.isnan(found.images[0][0, 3, 3])


def test_images_on_a_gpu_are_recorded(cupy):
    """The tape keeps what a call has on the GPU, also while other calls run."""
    image = np.round(noisy(scene(26, 30), 20)).astype(np.float32)
    gradient = np.random.default_rng(0).standard_normal((1, 26, 30))

    def taped(given, **options):
        with recording() as tape:
            result = bm3d(given, 20.0, profile=SMALL, **options)
        bm3d(given[::-1], 10.0, profile=SMALL, **options)
        return result, tape.backward(gradient, False)

    result, (found, level, _) = taped(cupy.asarray(image))
    assert isinstance(result, cupy.ndarray)
    _, (expected, known, _) = taped(image, backend="numpy")
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(level, known, rtol=1e-4)


@pytest.mark.parametrize("sigma", [0.1, torch.linspace(0.06, 0.13, 20).expand(17, 20)])
def test_modules_pass_gradients(cupy, sigma):
    shape = (1, 3, 17, 20)
    clean = np.reshape([scene(17, 20, seed=k) / 255 for k in range(3)], shape)
    noise = 0.1 * np.random.default_rng(1).standard_normal(shape)
    batch = torch.tensor(clean + noise, dtype=torch.float32)
    weights = torch.randn(shape, generator=torch.Generator().manual_seed(0))

    def gradients(backend):
        image, level = (torch.as_tensor(each).clone().requires_grad_() for each in (batch, sigma))
        module = nets.BM3D(profile=SMALL, data_range=1.0, backend=backend)
        return torch.autograd.grad((module(image, level) * weights).sum(), (image, level))

    for found, expected in zip(gradients("cupy"), gradients("numba"), strict=True):
        assert float((found - expected).abs().max()) < 1e-3 * float(expected.abs().max())


def test_too_little_memory_is_explained(fake):
    image = torch.tensor(noisy(scene(150, 160), 20), dtype=torch.float32)[None, None]
    image.requires_grad_()
    profile = SMALL.replace(radius_basic=1, radius_final=1, step_basic=8, step_final=8)
    module = nets.BM3D(profile=profile, backend="cupy")
    fake.limit = 1_200_000
    result = module(image, 20.0)
    with pytest.raises(NotImplementedError, match="tiles, because the memory of the GPU is too sm"):
        result.sum().backward()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "block_basic": 4,
            "group_final": 2,  # not by rows
            "threshold_factors": FACTORS["threshold_factors"][:, :4, :4],
        },
    ],
)
def test_factors(cupy, changes):
    image = np.round(noisy(scene(30, 33), 20)).astype(np.float32)
    profile = SMALL.replace(**FACTORS | changes)
    expected = bm3d(image, 20.0, profile=profile, backend="numpy")
    found = bm3d(cupy.asarray(image), 20.0, profile=profile).get()
    np.testing.assert_allclose(found, expected, atol=0.02)
    plain = bm3d(image, 20.0, profile=profile.replace(wiener_factors=None), backend="numpy")
    assert np.abs(plain - expected).max() > 1


def test_factors_with_maps_films_and_batches(cupy):
    films = np.round(noisy(np.stack([scene(24, 27, seed=k) for k in range(3)]), 20))
    films = films.astype(np.float32)
    profile = SMALL.replace(**FACTORS)
    level = np.broadcast_to(np.linspace(10, 30, 27), (24, 27))
    calls = [
        (bm3d, films[0], {"sigma": level}),
        (bm3d, films, {"sigma": 20.0, "batch_axis": 0}),
        (fastrestore.vbm3d, films, {"sigma": 20.0}),
    ]
    for restore, image, options in calls:
        expected = restore(image, profile=profile, backend="numpy", **options)
        found = restore(cupy.asarray(image), profile=profile, **options).get()
        np.testing.assert_allclose(found, expected, atol=0.02)
