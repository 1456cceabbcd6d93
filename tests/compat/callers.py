"""Calls of packages that use bm3d and bm4d, as their users write them; see ``run``."""

import runpy
from pathlib import Path

import deepinv
import jax
import numpy as np
import pytest
import scico.numpy as snp
import torch
import xarray
from scico import functional, linop, loss, optimize
from scico.denoiser import bm3d as scico_bm3d
from scico.denoiser import bm4d as scico_bm4d

import fastrestore

SIGMA = 0.1
ROOT = Path(__file__).parents[2]


def psnr(clean, restored):
    return -10 * np.log10(np.mean((np.asarray(restored) - clean) ** 2))


@pytest.fixture(scope="module")
def clean():
    rows, columns = np.mgrid[:48, :56]
    return (0.5 + 0.4 * np.sin(rows / 5) * ((columns // 12) % 2)).astype(np.float32)


def noisy(clean, seed=0):
    noise = np.random.default_rng(seed).normal(0, SIGMA, clean.shape)
    return (clean + noise).astype(np.float32)


def test_modules_are_those_of_fastrestore():
    import bm3d
    import bm4d

    assert bm3d.__name__ == "fastrestore.compat.bm3d"
    assert bm4d.__name__ == "fastrestore.compat.bm4d"


@pytest.mark.parametrize("name", ["np", "refilter", "vn", "vn_old", "high", "deb", "object"])
def test_scico_denoisers(clean, name):
    from bm3d.profiles import BM3DProfile

    given = BM3DProfile() if name == "object" else name
    restored = scico_bm3d(snp.array(noisy(clean)), SIGMA, profile=given)
    assert restored.dtype == np.float32
    assert psnr(clean, restored) > psnr(clean, noisy(clean)) + 4


def test_scico_color_and_jit(clean):
    color = np.stack([clean, clean[::-1], clean[:, ::-1]], -1)
    image = snp.array(noisy(color))
    for rgb in (False, True):
        plain = scico_bm3d(image, SIGMA, is_rgb=rgb)
        compiled = jax.jit(lambda x, rgb=rgb: scico_bm3d(x, SIGMA, is_rgb=rgb))(image)
        np.testing.assert_array_equal(plain, compiled)
        assert psnr(color, plain) > psnr(color, image) + 4


def test_scico_volumes(clean):
    volume = np.stack([np.roll(clean, k, 1) for k in range(8)], -1)
    image = snp.array(noisy(volume))
    restored = scico_bm4d(image, SIGMA)
    np.testing.assert_array_equal(restored, functional.BM4D().prox(image, SIGMA))
    assert psnr(volume, restored) > psnr(volume, image) + 5


def test_scico_plug_and_play(clean):
    blur = linop.CircularConvolve(snp.ones((5, 5)) / 25, clean.shape)
    data = blur(snp.array(clean)) + 0.02 * snp.array(
        np.random.default_rng(0).normal(size=clean.shape).astype(np.float32)
    )
    solver = optimize.admm.ADMM(
        f=loss.SquaredL2Loss(y=data, A=blur),
        g_list=[functional.BM3D() * (20 / 255)],
        C_list=[linop.Identity(clean.shape)],
        rho_list=[1.0],
        x0=blur.T @ data,
        maxiter=8,
        subproblem_solver=optimize.admm.LinearSubproblemSolver(),
    )
    assert psnr(clean, solver.solve()) > psnr(clean, data) + 3


@pytest.mark.parametrize("channels", [1, 3])
def test_deepinverse_denoiser(clean, channels):
    images = np.stack([clean, clean[::-1]])[:, None].repeat(channels, 1)
    batch = torch.from_numpy(noisy(images))
    denoiser = deepinv.models.BM3D()
    for sigma in (SIGMA, torch.tensor([SIGMA, SIGMA / 2])):
        restored = denoiser(batch, sigma)
        assert restored.shape == batch.shape
        assert psnr(images[0], restored[0]) > psnr(images[0], batch[0]) + 4


def test_deepinverse_prior(clean):
    prior = deepinv.optim.prior.PnP(denoiser=deepinv.models.BM3D())
    image = torch.from_numpy(noisy(clean))[None, None]
    assert psnr(clean, prior.prox(image, sigma_denoiser=SIGMA)[0, 0]) > psnr(clean, image[0, 0]) + 4


def test_denoiser_in_scico(clean):
    denoiser = fastrestore.compat.Denoiser()
    image = snp.array(noisy(clean))
    plain = denoiser.prox(image, SIGMA)
    np.testing.assert_array_equal(plain, jax.jit(denoiser)(image, SIGMA))
    assert plain.dtype == np.float32
    np.testing.assert_allclose(plain, scico_bm3d(image, SIGMA), atol=1e-5)
    batch = jax.vmap(lambda x: denoiser(x, SIGMA))(snp.stack([image, image[::-1]]))
    np.testing.assert_allclose(batch[0], plain, atol=1e-6)
    solver = optimize.ProximalADMM(
        f=denoiser,
        g=loss.SquaredL2Loss(y=image, scale=0.5),
        A=linop.Identity(clean.shape),
        rho=10.0,
        mu=1.0,
        nu=1.0,
        x0=image,
        maxiter=4,
    )
    assert psnr(clean, solver.solve()) > psnr(clean, image) + 1


def test_product_of_a_denoiser_in_scico(clean):
    denoiser = fastrestore.compat.Denoiser() * (20 / 255)
    image = snp.array(noisy(clean))
    expected = (functional.BM3D() * (20 / 255)).prox(image, 2.0)
    np.testing.assert_allclose(denoiser.prox(image, 2.0), expected, atol=1e-5)
    expected = (functional.BM3D() * (20 / 255)).conj_prox(image, 2.0)
    np.testing.assert_allclose(denoiser.conj_prox(image, 2.0), expected, atol=1e-5)
    blur = linop.CircularConvolve(snp.ones((5, 5)) / 25, clean.shape)
    data = blur(snp.array(clean)) + 0.02 * (image - clean) / SIGMA
    solver = optimize.admm.ADMM(
        f=loss.SquaredL2Loss(y=data, A=blur),
        g_list=[denoiser],
        C_list=[linop.Identity(clean.shape)],
        rho_list=[1.0],
        x0=blur.T @ data,
        maxiter=8,
        subproblem_solver=optimize.admm.LinearSubproblemSolver(),
    )
    assert psnr(clean, solver.solve()) > psnr(clean, data) + 3


def test_gradients_of_a_denoiser_in_deepinverse(clean):
    blur = deepinv.physics.BlurFFT(img_size=(1, *clean.shape), filter=torch.ones(1, 1, 5, 5) / 25)
    truth = torch.from_numpy(clean)[None, None]
    data = blur(truth) + 0.02 * torch.from_numpy(noisy(clean) - clean)[None, None] / SIGMA
    prior = deepinv.optim.prior.PnP(denoiser=fastrestore.compat.Denoiser(profile="fast"))
    logarithm, step = torch.tensor(-2.0, requires_grad=True), torch.tensor(0.3, requires_grad=True)
    optimizer = torch.optim.Adam([logarithm, step], lr=0.1)
    losses = []
    for _ in range(8):
        image = blur.A_adjoint(data)
        for _ in range(3):
            image = image - step * blur.A_adjoint(blur.A(image) - data)
            image = prior.prox(image, sigma_denoiser=logarithm.exp())
        risk = (image - truth).square().mean()
        optimizer.zero_grad()
        risk.backward()
        optimizer.step()
        losses.append(risk.item())
    assert losses[-1] < 0.9 * losses[0]


def test_dipy(clean):
    from dipy.denoise.nlmeans import nlmeans

    volume = 100 * np.stack([np.roll(clean, k, 1) for k in range(8)], -1).astype(np.float64)
    rng = np.random.default_rng(0)
    data = np.stack([volume + rng.normal(0, 5, volume.shape) for _ in range(2)], -1)
    options = {"sigma": np.array([5.0, 5.0]), "mask": volume > 20, "rician": False}
    theirs = nlmeans(data, **options)
    ours = fastrestore.compat.nlmeans(data, **options, num_threads=1)
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert np.all(ours[volume <= 20] == theirs[volume <= 20])
    valid = volume > 20
    for k in range(2):
        assert psnr(volume[valid], ours[valid, k]) > psnr(volume[valid], theirs[valid, k])


def test_denoiser_in_deepinverse(clean):
    images = np.stack([clean, clean[::-1]])[:, None].repeat(3, 1)
    batch = torch.from_numpy(noisy(images))
    denoiser = fastrestore.compat.Denoiser()
    prior = deepinv.optim.prior.PnP(denoiser=denoiser)
    restored = prior.prox(batch, sigma_denoiser=SIGMA)
    assert psnr(images, restored) > psnr(images, batch) + 4
    each = denoiser(batch, torch.tensor([SIGMA, 0.0]))
    np.testing.assert_allclose(each[0], restored[0], atol=1e-5)
    np.testing.assert_array_equal(each[1], batch[1])


def test_the_unrolled_deblurring_of_the_gallery(tmp_path, monkeypatch):
    """The operators of DeepInverse are used, and the class that replaces them is equal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names = runpy.run_path(str(ROOT / "docs" / "examples" / "3-inverse" / "unrolled_deblurring.py"))
    physics, image = names["physics"], names["test"]
    assert type(physics) is deepinv.physics.Blur
    torch.testing.assert_close(names["CircularBlur"]().A(image), physics.A(image))
    assert names["psnr"](names["after"]) > names["psnr"](names["before"]) + 0.5


def test_xarray(clean):
    image = xarray.DataArray(noisy(clean), dims=("y", "x"), attrs={"units": "counts"})
    restored = xarray.apply_ufunc(fastrestore.bm3d, image, SIGMA, keep_attrs=True)
    assert restored.attrs == {"units": "counts"}
    np.testing.assert_array_equal(restored, fastrestore.bm3d(noisy(clean), SIGMA))
    stack = xarray.concat([image, image[::-1]], "t")
    restored = xarray.apply_ufunc(
        fastrestore.bm3d,
        stack,
        SIGMA,
        input_core_dims=[["y", "x"], []],
        output_core_dims=[["y", "x"]],
        vectorize=True,
    )
    assert restored.shape == stack.shape


def test_nothing_is_installed_twice():
    with fastrestore.compat.install():
        import bm3d
    assert bm3d.bm3d is fastrestore.compat.bm3d.bm3d
