"""`fastrestore.compat.Denoiser`, as plug-and-play packages call it; others are in compat/."""

import numpy as np
import pytest
from skimage.restoration import calibrate_denoiser
from support.images import psnr, scene
from support.nets import torch_or_skip

from fastrestore import bm3d
from fastrestore.compat import Denoiser

SIGMA = 25.0


@pytest.fixture(scope="module")
def clean():
    return scene(40, 48)


@pytest.fixture(scope="module")
def noisy(clean):
    return clean + np.random.default_rng(0).normal(0, SIGMA, clean.shape)


class Container:
    """An image like those of CIL."""

    def __init__(self, values):
        self.values = values

    def as_array(self):
        return self.values

    def copy(self):
        return Container(self.values.copy())

    def fill(self, values):
        self.values[...] = values


def test_calls(noisy):
    denoiser, expected = Denoiser(stage="basic"), bm3d(noisy, SIGMA, stage="basic")
    np.testing.assert_array_equal(denoiser(noisy, SIGMA), expected)
    np.testing.assert_array_equal(denoiser.prox(noisy, SIGMA, v0=None), expected)
    assert repr(denoiser) == "Denoiser(stage='basic')"
    stronger = Denoiser(strength=0.5)(noisy, 2 * SIGMA)
    np.testing.assert_allclose(stronger, bm3d(noisy, SIGMA), atol=1e-3)


def test_an_array_is_no_container(noisy):
    with pytest.raises(TypeError, match=r"container of CIL.*for an array write denoiser\(x, tau\)"):
        Denoiser().proximal(noisy, SIGMA)


def test_containers(noisy):
    image, out = Container(noisy.copy()), Container(np.zeros_like(noisy))
    result = Denoiser().proximal(image, SIGMA)
    assert Denoiser().proximal(image, SIGMA, out=out) is out
    for each in (result, out):
        np.testing.assert_array_equal(each.values, bm3d(noisy, SIGMA))
    np.testing.assert_array_equal(image.values, noisy)


def test_complex_images(noisy):
    restored = Denoiser()(noisy - 2j * noisy[::-1], SIGMA)
    np.testing.assert_array_equal(restored.real, bm3d(noisy, SIGMA))
    np.testing.assert_array_equal(restored.imag, bm3d(-2 * noisy[::-1], SIGMA))


def test_batches_of_tensors(clean, noisy):
    torch = torch_or_skip()
    batch = torch.tensor(np.stack([noisy, noisy[::-1]])[:, None], dtype=torch.float32)
    for sigma in (SIGMA, torch.tensor(SIGMA), torch.full((2, 1, 1, 1), SIGMA)):
        restored = Denoiser()(batch, sigma)
        assert restored.shape == batch.shape
        assert psnr(clean, restored[0, 0].numpy()) > psnr(clean, noisy) + 4
    each = Denoiser()(batch, torch.tensor([SIGMA, 0]))
    np.testing.assert_array_equal(each[1], batch[1])


def test_gradients_of_tensors(noisy):
    torch = torch_or_skip()
    batch = torch.tensor(np.stack([noisy, noisy[::-1]])[:, None], dtype=torch.float32)
    image, sigma = batch.clone().requires_grad_(), torch.tensor(SIGMA, requires_grad=True)
    denoiser = Denoiser(backend="numba")
    plain = denoiser(batch, SIGMA)
    for given in ((image, SIGMA), (batch, sigma), (image, sigma)):
        restored = denoiser(*given)
        np.testing.assert_allclose(restored.detach(), plain, atol=1e-3)
        restored.square().sum().backward()
    assert image.grad.abs().sum() > 0
    assert sigma.grad < 0
    with torch.no_grad():
        assert not denoiser(image, sigma).requires_grad


def test_products_with_numbers(noisy):
    doubled = 2 * Denoiser(stage="basic")
    expected = bm3d(noisy, 2 * SIGMA, stage="basic")
    np.testing.assert_array_equal(doubled(noisy, SIGMA), expected)
    np.testing.assert_array_equal((doubled * np.float32(0.5)).prox(noisy, 2 * SIGMA), expected)
    assert repr(doubled) == "Denoiser(stage='basic') * 2.0"
    with pytest.raises(ValueError, match="multiplied by a number of 0 or more, got -1"):
        doubled * -1
    with pytest.raises(TypeError, match="unsupported operand"):
        doubled * doubled


def test_the_convex_conjugate(noisy):
    denoiser = Denoiser(stage="basic")
    removed = denoiser.conj_prox(noisy, 1 / SIGMA)
    np.testing.assert_allclose(removed, noisy - bm3d(noisy * SIGMA, SIGMA, stage="basic") / SIGMA)


def test_calibration_by_scikit_image(clean, noisy):
    levels = [SIGMA / 8, SIGMA, 8 * SIGMA]
    best = calibrate_denoiser(noisy, bm3d, {"sigma": levels}, extra_output=True)
    assert best[1][0][np.argmin(best[1][1])] == {"sigma": SIGMA}
    assert psnr(clean, best[0](noisy)) > psnr(clean, noisy) + 3


@pytest.mark.parametrize("name", ["image", "sigma", "psd", "noise", "return_info"])
def test_options_of_each_call(name):
    with pytest.raises(TypeError, match=f"Denoiser has no option {name}: the image and sigma are"):
        Denoiser(**{name: 1})


def test_bad_arguments(noisy):
    torch = torch_or_skip()
    with pytest.raises(TypeError, match="no option step: its options are those of"):
        Denoiser(step=3)
    with pytest.raises(ValueError, match="lam must be a number above 0, got 0"):
        Denoiser().conj_prox(noisy, 0)
    batch = torch.tensor(noisy)[None, None]
    with pytest.raises(ValueError, match=r"one for each of 1 images, got an array of shape \(2,\)"):
        Denoiser()(batch, torch.tensor([SIGMA, SIGMA]))
