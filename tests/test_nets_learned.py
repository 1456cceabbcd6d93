"""`nets.LearnableBM3D`: equal to `bm3d` with the profile that it returns, and it learns."""

import numpy as np
import pytest
import torch
from support.images import noisy, scene

import fastrestore
from fastrestore import Profile, nets
from fastrestore.backends import select
from fastrestore.backends.numpy.bm3d import group_variance, haar_matrix
from fastrestore.nets.groups import _haar, _variance

SMALL = Profile(
    radius_basic=5, radius_final=5, step_basic=4, step_final=4, group_basic=8, group_final=8
)


def image(shape=(32, 28), seed=0):
    return torch.tensor(noisy(scene(*shape, seed=seed), 20), dtype=torch.float32)[None, None]


def shaken(net, size):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += size * torch.randn(parameter.shape, generator=generator)
    return net


@pytest.mark.parametrize("size", [0, 0.03])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"transform_basic": "hadamard", "group_basic": 1},
        {"block_final": 5, "step_final": 5, "kaiser_final": 0.0, "wiener": 2.0},
        {"size_weight_basic": 1.0, "size_weight_final": 0.5},
    ],
)
def test_equals_bm3d_with_the_profile_that_it_returns(changes, size):
    denoiser = shaken(nets.LearnableBM3D(SMALL.replace(**changes)), size)
    given = image()
    result = denoiser(given, 20.0)[0, 0].detach().numpy()
    profile = denoiser.to_profile()
    for backend in ("numpy", "numba"):
        expected = fastrestore.bm3d(given[0, 0].numpy(), 20, profile=profile, backend=backend)
        np.testing.assert_allclose(result, expected, atol=2e-3)
    plain = fastrestore.bm3d(given[0, 0].numpy(), 20, profile=SMALL.replace(**changes))
    assert (np.abs(result - plain).max() > 0.5) == (size > 0)


def test_profile_and_module_of_each_other():
    profile = shaken(nets.LearnableBM3D(SMALL), 0.03).to_profile("mine")
    again = nets.LearnableBM3D(profile).to_profile("mine")
    assert profile.name == again.name == "mine"
    for field in ("wiener_factors", "window_basic", "transform_final", "inverse_basic"):
        np.testing.assert_allclose(getattr(again, field), getattr(profile, field), atol=1e-5)


def test_the_dct_remains_even_and_odd_and_factors_symmetric():
    denoiser = shaken(nets.LearnableBM3D(SMALL), 0.1)
    profile = denoiser.to_profile()
    signs = (-1.0) ** np.arange(8)[:, None]
    matrix = np.array(profile.transform_final)
    np.testing.assert_allclose(matrix, signs * matrix[:, ::-1], atol=1e-6)
    factors = np.array(profile.wiener_factors)
    np.testing.assert_array_equal(factors, factors.transpose(0, 2, 1))
    assert profile.window_final == profile.window_final[::-1]
    assert max(profile.window_final) == 1


@pytest.mark.parametrize("size", [1, 2, 8])
def test_variances_equal_the_specification(size):
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 12, (3, size, 2))
    matrix = rng.standard_normal((4, 4))
    padded = np.pad(matrix, [(0, 0), (3, 3)])
    rho = np.array(
        [[m @ row[k : k + 4] for k in range(7)] for m, row in zip(matrix, padded, strict=True)]
    )
    line = np.pad(rho, [(0, 0), (1, 1)])
    table = np.einsum("ud,ve->deuv", line[:, 4:], line)
    haar, level = _haar(size)
    np.testing.assert_allclose(haar, haar_matrix(size))
    assert len(level) == size
    found = _variance(torch.from_numpy(corners), torch.from_numpy(matrix))
    for group, own in zip(corners, found, strict=True):
        expected = group_variance(group, table, haar_matrix(size), None)
        np.testing.assert_allclose(own, expected.reshape(size, -1), atol=1e-9)


def test_derivatives_equal_differences():
    """In the final stage, which has no threshold; the image itself is the pilot's origin."""
    denoiser = nets.LearnableBM3D(SMALL.replace(threshold=0.0))
    given, weights = (
        image((20, 24)),
        torch.randn(20, 24, generator=torch.Generator().manual_seed(0)),
    )

    def value():
        return (denoiser(given, 20.0)[0, 0] * weights).double().sum()

    value().backward()
    for name, place in (
        ("factors", (1, 2, 2)), ("windows", (1,)), ("transforms", (2, 1)), ("inverses", (3, 2)),
    ):  # fmt: skip
        parameter = getattr(denoiser, name)["final"]
        results = []
        for step in (-0.02, 0.02):
            with torch.no_grad():
                before = float(parameter[place])
                parameter[place] = before + step
                results.append(float(value()))
                parameter[place] = before
        difference = (results[1] - results[0]) / 0.04
        assert float(parameter.grad[place]) == pytest.approx(difference, rel=0.05), name


def with_factors_alone(denoiser):
    for each in (denoiser.windows, denoiser.transforms, denoiser.inverses):
        each.requires_grad_(False)
    return denoiser


def gradients(denoiser, seed=0):
    """Return the result and the gradients of the factors of both stages, the image and sigma."""
    given, level = image(seed=seed).requires_grad_(True), torch.tensor(20.0, requires_grad=True)
    weights = torch.randn(given.shape, generator=torch.Generator().manual_seed(0))
    result = denoiser(given, level)
    (result * weights).sum().backward()
    factors = [denoiser.factors[which].grad for which in ("basic", "final")]
    return result.detach(), *factors, given.grad, level.grad


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_gradients_of_factors_alone_come_from_the_backend(name, monkeypatch):
    whole = gradients(shaken(nets.LearnableBM3D(SMALL), 0.03))

    def fails(*arguments):
        raise AssertionError("groups are computed in PyTorch")

    monkeypatch.setattr("fastrestore.nets.learned.filtered", fails)
    denoiser = with_factors_alone(shaken(nets.LearnableBM3D(SMALL), 0.03))
    with fastrestore.use_backend(name):
        alone = gradients(denoiser)
    for expected, actual in zip(whole[:3], alone[:3], strict=True):
        atol = 2e-3 * float(expected.abs().max())
        torch.testing.assert_close(actual, expected, rtol=0, atol=atol)
    given, level = image().requires_grad_(True), torch.tensor(20.0, requires_grad=True)
    weights = torch.randn(given.shape, generator=torch.Generator().manual_seed(0))
    fixed = nets.BM3D(profile=denoiser.to_profile(), backend=name)
    (fixed(given, level) * weights).sum().backward()
    torch.testing.assert_close(alone[3:], (given.grad, level.grad))


def test_gradients_of_factors_without_the_capability_are_computed_in_pytorch(monkeypatch):
    expected = gradients(shaken(nets.LearnableBM3D(SMALL), 0.03))
    backend = select.select("numba")
    kept = backend.capabilities - {"learning"}
    monkeypatch.setattr(backend, "capabilities", kept)
    alone = gradients(with_factors_alone(shaken(nets.LearnableBM3D(SMALL), 0.03)))
    for one, other in zip(alone, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_of_factors_have_no_derivatives():
    denoiser = with_factors_alone(nets.LearnableBM3D(SMALL))
    value = denoiser(image(), 20.0).square().sum()
    (first,) = torch.autograd.grad(value, denoiser.factors["final"], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_images_and_levels_have_gradients():
    denoiser = nets.LearnableBM3D(SMALL)
    given = torch.cat([image(), image(seed=1)]).requires_grad_(True)
    level = torch.tensor([20.0, 10.0], requires_grad=True)
    denoiser(given, level).square().mean().backward()
    assert given.grad.shape == given.shape
    assert bool((level.grad != 0).all())


@pytest.mark.parametrize("prepare", [lambda denoiser: denoiser, with_factors_alone])
def test_a_few_steps_lower_the_loss(prepare):
    denoiser = prepare(nets.LearnableBM3D(SMALL))
    clean = torch.tensor(scene(32, 28), dtype=torch.float32)
    learned = [each for each in denoiser.parameters() if each.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=0.02)
    losses = []
    for _ in range(8):
        loss = (denoiser(image(), 20.0)[0, 0] - clean).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    restored = fastrestore.bm3d(image()[0, 0].numpy(), 20, profile=denoiser.to_profile())
    assert np.mean((restored - clean.numpy()) ** 2) < 0.9 * losses[0]


def test_no_noise_and_constant_images():
    denoiser = nets.LearnableBM3D(SMALL)
    given = image()
    assert torch.equal(denoiser(given, 0.0), given)
    flat = torch.full((1, 1, 16, 16), 3.0)
    torch.testing.assert_close(denoiser(flat, 1.0), flat)


@pytest.mark.parametrize(
    ("shape", "sigma", "message"),
    [
        ((16, 16), 1.0, r"images must be B x C x H x W, got shape \(16, 16\)"),
        ((1, 1, 6, 16), 1.0, r"at least 8 x 8 pixels, got \(6, 16\)"),
        ((1, 1, 16, 16), torch.ones(16, 16), r"one for each of 1 images, got shape \(16, 16\)"),
        ((1, 1, 16, 16), -1.0, "sigma must be"),
    ],
)
def test_bad_arguments(shape, sigma, message):
    with pytest.raises(ValueError, match=message):
        nets.LearnableBM3D(SMALL)(torch.zeros(shape) + torch.arange(16.0), sigma)


def test_bad_profiles():
    with pytest.raises(ValueError, match="profile 'refilter' sharpens or filters residuals"):
        nets.LearnableBM3D("refilter")
    with pytest.raises(ValueError, match="profile 'best' is unknown"):
        nets.LearnableBM3D("best")
