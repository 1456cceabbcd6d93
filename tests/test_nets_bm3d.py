"""Gradients of `nets.BM3D`: of images and sigma, under the transforms of PyTorch, and refused."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from support.images import scene
from torch.autograd import gradcheck
from torch.func import grad, jacrev, vmap

import fastrestore
from fastrestore import Profile, nets
from fastrestore._collaborative.profile import PROFILES
from fastrestore.backends.numpy import engine as numpy_engine

SIGMA = 0.1
TINY = Profile(
    block_basic=4, block_final=4, radius_basic=3, radius_final=3, step_basic=4, step_final=4,
    group_basic=4, group_final=4,
)  # fmt: skip
EXACT = {"backend": "numpy", "profile": TINY, "data_range": 1.0}


def batch(*shape, dtype=torch.float64):
    """Noisy images (B, C, H, W)."""
    count, channels, height, width = shape
    drawn = [scene(height, width, seed=k) / 255 for k in range(count * channels)]
    noise = SIGMA * np.random.default_rng(1).standard_normal(shape)
    return torch.tensor(np.reshape(drawn, shape) + noise, dtype=dtype)


def leaf(value):
    return torch.as_tensor(value, dtype=torch.float64).clone().requires_grad_(True)


MAP = torch.linspace(0.06, 0.13, 9).double() * torch.linspace(0.8, 1.1, 10).double()[:, None]
COLORS = torch.tensor([0.9, 1.0, 1.2]).double()[:, None, None]


@pytest.mark.parametrize(
    ("shape", "sigma", "options"),
    [
        ((1, 1, 10, 9), 0.1, {}),
        ((1, 1, 10, 9), MAP, {}),
        ((1, 1, 10, 9), torch.full((10, 9), 0.1), {}),  # a map that is constant
        ((2, 1, 8, 9), [0.1, 0.07], {}),
        ((1, 2, 8, 9), [[[[0.1]], [[0.07]]]], {}),
        ((1, 3, 8, 9), 0.1, {}),
        ((1, 3, 10, 9), MAP, {"chroma_strength": 1.4}),
        ((1, 3, 10, 9), MAP * COLORS, {"colorspace": "ycbcr"}),
        ((1, 3, 8, 9), 0.1 * COLORS, {"colorspace": None}),
        ((1, 1, 3, 7), 0.1, {}),  # smaller than a block
        ((1, 1, 3, 9), MAP[:3], {}),
        ((1, 1, 8, 9), 0.1, {"strength": 1.3, "stage": "basic"}),
        ((1, 1, 10, 9), MAP, {"strength": 1.3, "noise_kernel": np.full((1, 3), 3**-0.5)}),
        ((1, 1, 8, 9), 0.1, {"guide": scene(8, 9)}),
        ((1, 1, 8, 9), 0.1, {"pilot": scene(8, 9) / 255 + 0.01}),
    ],
)
def test_gradients_are_exact_in_float64(shape, sigma, options):
    module = nets.BM3D(**EXACT, **options)
    inputs = leaf(batch(*shape)), leaf(sigma)
    assert gradcheck(module, inputs, atol=1e-6, rtol=1e-4, fast_mode=True)


def test_each_gradient_is_exact():
    inputs = leaf(batch(1, 1, 7, 6)), leaf(MAP[:7, :6])
    assert gradcheck(nets.BM3D(**EXACT), inputs, atol=1e-6, rtol=1e-4)


def test_pixels_without_noise():
    module, sigma = nets.BM3D(**EXACT), torch.where(MAP < 0.08, 0, MAP)
    image = leaf(batch(1, 1, 10, 9))
    assert gradcheck(lambda image: module(image, sigma), image, fast_mode=True)
    level = leaf(sigma)
    module(image, level).square().sum().backward()
    assert bool((level.grad[sigma == 0] == 0).all())
    assert bool((level.grad[sigma > 0] != 0).all())


def test_large_values_have_gradients():
    image, sigma = leaf(batch(1, 1, 8, 9)), leaf(0.1)
    far = leaf(batch(1, 1, 8, 9) + 2**14)
    module = nets.BM3D(**EXACT)
    torch.manual_seed(0)
    weights = torch.randn(image.shape).double()
    wanted = torch.autograd.grad((module(image, sigma) * weights).sum(), (image, sigma))
    found = torch.autograd.grad((module(far, sigma) * weights).sum(), (far, sigma))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("sigma", [0.1, MAP])
def test_images_on_which_nothing_passes_the_threshold(sigma):
    """Groups are averaged then, so the gradients are those of a linear filter that keeps means."""
    flat = np.full((10, 9), 0.5)
    _, info = fastrestore.bm3d(
        flat + 1e-6 * scene(10, 9), 0.1, **EXACT, matches=True, return_info=True
    )
    module = nets.BM3D(**EXACT, matches=info.matches)
    image = leaf(torch.tensor(flat)[None, None])
    assert gradcheck(module, (image, leaf(sigma)), atol=1e-6, rtol=1e-4, fast_mode=True)
    (found,) = torch.autograd.grad(module(image, sigma)[0, 0, 4, 4], image)
    assert abs(float(found.sum()) - 1) < 1e-6
    assert float(found.max()) < 0.5


def test_equal_channels_share_the_gradient_of_one():
    gray = batch(1, 1, 12, 12)
    color, one = leaf(gray.expand(1, 3, 12, 12)), leaf(gray)
    sigma, other = leaf(0.1), leaf(0.1)
    module = nets.BM3D(**EXACT)
    module(color, sigma)[:, 1].square().sum().backward()
    module(one, other).square().sum().backward()
    torch.testing.assert_close(color.grad, (one.grad / 3).expand(1, 3, 12, 12))
    torch.testing.assert_close(sigma.grad, other.grad)


def test_without_noise_the_gradient_is_passed_on():
    image, sigma = leaf(batch(1, 1, 8, 9)), leaf(0.0)
    (3 * nets.BM3D(**EXACT)(image, sigma)).sum().backward()
    torch.testing.assert_close(image.grad, torch.full_like(image, 3))
    assert float(sigma.grad) == 0


def test_integers_and_views():
    module = nets.BM3D(profile="fast", backend="numpy", data_range=255.0)
    pixels = (255 * batch(1, 1, 20, 24)).clamp(0, 255).to(torch.uint8)
    sigma = leaf(25.0)
    module(pixels, sigma).square().mean().backward()  # integers have no gradient, sigma has
    assert float(sigma.grad) < 0
    base = (255 * batch(1, 1, 24, 20)).float().requires_grad_(True)
    view = base.transpose(-1, -2)[..., 2:-2, 1:]
    module(view, 25.0).sum().backward()
    copy = view.detach().clone().requires_grad_(True)
    module(copy, 25.0).sum().backward()
    torch.testing.assert_close(base.grad.transpose(-1, -2)[..., 2:-2, 1:], copy.grad)
    assert float(base.grad[..., :2].abs().max()) == 0
    shared = (255 * batch(1, 1, 20, 24)).float().requires_grad_(True)
    module(shared.expand(2, 2, 20, 24), 25.0).sum().backward()  # four views of one image
    single = shared.detach().clone().requires_grad_(True)
    module(single, 25.0).sum().backward()
    torch.testing.assert_close(shared.grad, 4 * single.grad)
    changed = 1 * copy
    result = module(changed, 25.0)
    changed += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        result.sum().backward()


def test_gradients_need_not_be_wanted():
    module, image = nets.BM3D(**EXACT), leaf(batch(1, 1, 8, 9))
    with torch.no_grad():
        assert not module(image, 0.1).requires_grad
    assert not module(image.detach(), 0.1).requires_grad
    module(image, leaf(0.1)).sum().backward(inputs=[image])
    first = image.grad.clone()
    module(image, 0.1).sum().backward()
    torch.testing.assert_close(image.grad, 2 * first)


def test_transforms_of_functions():
    module, images = nets.BM3D(**EXACT), batch(2, 1, 8, 9)

    def loss(image, sigma):
        return module(image[None], sigma).square().sum()

    sigma = leaf(0.1)
    one = leaf(images[0])
    loss(one, sigma).backward()
    found = grad(loss, (0, 1))(images[0], sigma.detach())
    torch.testing.assert_close(found[0], one.grad)
    torch.testing.assert_close(found[1], sigma.grad)
    both = vmap(grad(loss, (0, 1)), (0, None))(images, sigma.detach())
    torch.testing.assert_close(both[0][0], one.grad)
    torch.testing.assert_close(both[1][0], sigma.grad)
    levels = torch.tensor([0.1, 0.2]).double()
    by_level = vmap(grad(loss, (0, 1)), (None, 0))(images[0], levels)
    torch.testing.assert_close(by_level[1][0], sigma.grad)
    jacobian = jacrev(lambda image: module(image[None], 0.1)[0, 0, 3])(images[0])
    assert jacobian.shape == (9, 1, 8, 9)
    torch.testing.assert_close(
        (2 * module(one[None], 0.1)[0, 0, 3, :, None, None, None] * jacobian).sum(0),
        grad(lambda image: module(image[None], 0.1)[0, 0, 3].square().sum())(images[0]),
    )


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # by torch.compile itself
def test_compiled_modules_have_gradients():
    module, image = nets.BM3D(**EXACT), leaf(batch(1, 1, 8, 9))

    def loss(image):
        return module(2 * image, 0.1).square().mean()

    (wanted,) = torch.autograd.grad(loss(image), image)
    (found,) = torch.autograd.grad(torch.compile(loss, backend="eager")(image), image)
    torch.testing.assert_close(found, wanted)


def test_second_derivatives_are_refused():
    module, image = nets.BM3D(**EXACT), leaf(batch(1, 1, 8, 9))
    (first,) = torch.autograd.grad(module(image, 0.1).sum(), image, create_graph=True)
    with pytest.raises(NotImplementedError, match="BM3D has first derivatives only: leave out"):
        first.sum().backward()
    with pytest.raises(NotImplementedError, match="first derivatives only"):
        grad(lambda x: grad(lambda x: module(x, 0.1).sum())(x).sum())(image.detach())


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # by torch.func itself
def test_derivatives_in_forward_mode_are_refused():
    module, image = nets.BM3D(**EXACT), batch(1, 1, 8, 9)
    with pytest.raises(NotImplementedError, match="no derivatives in forward mode: use backward"):
        torch.func.jvp(lambda image: module(image, 0.1), (image,), (image,))


def test_backends_without_gradients_are_refused(monkeypatch):
    monkeypatch.setattr(numpy_engine, "capabilities", frozenset({"image"}))
    result = nets.BM3D(**EXACT)(leaf(batch(1, 1, 8, 9)), 0.1)
    with pytest.raises(NotImplementedError, match="backend 'numpy' has none: write backend"):
        result.sum().backward()


@pytest.mark.parametrize("factor", [0.0, 1e-30, 1e30])
def test_gradients_of_any_size(factor):
    """Kernels scale gradients to about 1."""
    module, image = nets.BM3D(profile="fast", data_range=1.0), batch(1, 1, 24, 20).float()
    one, other = (image.clone().requires_grad_(True) for _ in range(2))
    module(one, 0.1).sum().backward()
    (factor * module(other, 0.1).sum()).backward()
    torch.testing.assert_close(other.grad, factor * one.grad, rtol=1e-5, atol=1e-6 * factor)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_gradients_that_are_not_finite(value):
    image = batch(1, 1, 40, 40).float().requires_grad_(True)
    restored = nets.BM3D(profile="fast", data_range=1.0)(image, 0.1)
    gradient = torch.zeros_like(restored)
    gradient[0, 0, 0, 0] = value
    restored.backward(gradient)
    assert not bool(image.grad[0, 0, 0, 0].isfinite())


def test_threads_record_their_own_calls():
    module, images = nets.BM3D(profile="fast", data_range=1.0), batch(4, 1, 24, 20).float()

    def gradient(image):
        value = image[None].clone().requires_grad_(True)
        module(value, 0.1).square().sum().backward()
        return value.grad

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(gradient, images))
    for image, found in zip(images, together, strict=True):
        assert torch.equal(found, gradient(image))


@pytest.mark.parametrize(
    ("sigma", "options", "message"),
    [
        (None, {}, "because the noise is estimated: pass sigma"),
        (None, {"noise": fastrestore.PoissonGaussian(0.01)}, "because noise= is a model"),
        (0.1, {"mask": np.arange(72).reshape(8, 9) > 3}, "because pixels are masked"),
        (0.1, {"max_memory": 1e9}, "because max_memory cuts the image into tiles"),
        (0.1, {"profile": PROFILES["refilter"]}, "because profile 'refilter' filters the"),
        (0.1, {"profile": PROFILES["iterative"]}, "because profile 'iterative' iterates"),
        (
            0.1,
            {"profile": TINY.replace(sharpen=1.3), "stage": "basic"},
            "because profile 'custom' sharpens",
        ),
    ],
)
def test_gradients_that_do_not_exist_are_refused(sigma, options, message):
    image = leaf(batch(1, 1, 8, 9))
    result = nets.BM3D(**EXACT | options)(image, sigma)
    with pytest.raises(NotImplementedError, match=f"no gradients of this call, {message}"):
        result.sum().backward()


def test_principal_components_have_no_gradients():
    result = nets.BM3D(**EXACT, colorspace="pca")(leaf(batch(1, 3, 8, 9)), 0.1)
    with pytest.raises(NotImplementedError, match="because colorspace='pca' depends on the image"):
        result.sum().backward()


def test_maps_with_a_spectrum_for_each_channel_have_no_gradients():
    kernels = np.stack([np.full((1, 3), 3**-0.5), *[[[0, 1, 0]]] * 2]).astype(float)
    image, options = leaf(batch(1, 3, 10, 9)), {**EXACT, "noise_kernel": kernels}
    nets.BM3D(**options)(image).sum().backward()
    result = nets.BM3D(**options)(image, MAP)
    with pytest.raises(NotImplementedError, match="because sigma is a map, and psd or noise_ker"):
        result.sum().backward()
    module = nets.BM3D(**options, colorspace=None)
    assert gradcheck(module, (image, leaf(MAP)), atol=1e-6, rtol=1e-4, fast_mode=True)


def test_sigma_of_a_wrong_shape():
    module, image = nets.BM3D(**EXACT), batch(2, 1, 8, 9)
    for sigma in (torch.ones(8, 8), torch.ones(3), torch.ones(1, 2, 1, 8, 9)):
        with pytest.raises(ValueError, match=r"broadcasts to \(2, 1, 8, 9\), got shape"):
            module(image, sigma)


def blur(image):
    return torch.nn.functional.conv2d(image, torch.ones(1, 1, 3, 3) / 9, padding=1)


class Unrolled(torch.nn.Module):
    """Iterations of plug-and-play restoration, with a learned step and noise level in each."""

    def __init__(self, iterations):
        super().__init__()
        self.denoiser = nets.BM3D(profile="fast", data_range=1.0)
        self.levels = torch.nn.Parameter(torch.full((iterations,), 0.13).log())
        self.steps = torch.nn.Parameter(torch.full((iterations,), 0.5))

    def forward(self, data):
        image = data
        for level, step in zip(self.levels, self.steps, strict=True):
            image = self.denoiser(image + step * blur(data - blur(image)), level.exp())
        return image


def test_an_unrolled_iteration_learns():
    torch.manual_seed(0)
    clean = torch.tensor(scene(24, 24) / 255, dtype=torch.float32)[None, None]
    data = blur(clean) + 0.02 * torch.randn(clean.shape)
    net = Unrolled(2)
    optimizer = torch.optim.Adam(net.parameters(), 0.1)
    losses = []
    for _ in range(50):
        loss = (net(data) - clean).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.7 * losses[0]


def test_the_level_with_the_least_estimated_risk():
    """Stein's unbiased risk estimate, with a random direction, and its derivative by sigma."""
    torch.manual_seed(0)
    clean = torch.tensor(scene(64, 64) / 255, dtype=torch.float32)[None, None]
    image = clean + SIGMA * torch.randn(clean.shape)
    direction, step = torch.randn(clean.shape), 0.1 * SIGMA
    denoiser = nets.BM3D(profile="fast", data_range=1.0)

    def risk(level):
        restored = denoiser(image, level)
        change = denoiser(image + step * direction, level) - restored
        divergence = (direction * change).mean() / step
        return (restored - image).square().mean() + 2 * SIGMA**2 * divergence

    slopes = []
    for factor in (0.5, 0.7, 1.5, 2.0):
        level = torch.tensor(factor * SIGMA, requires_grad=True)
        risk(level).backward()
        slopes.append(float(level.grad))
    assert max(slopes[:2]) < 0 < min(slopes[2:])
