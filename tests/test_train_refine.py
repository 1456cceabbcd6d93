"""Training of the network that corrects BM3D: noise, stored photographs, checkpoints."""

from dataclasses import replace

import numpy as np
import pytest
from support.images import psnr, scene
from support.nets import torch_or_skip

torch = torch_or_skip()

from fastrestore.nets.training import pairs  # noqa: E402
from fastrestore.nets.training.loop import Session, train  # noqa: E402
from fastrestore.nets.training.noise import (  # noqa: E402
    KINDS,
    camera_spectrum,
    draw_noise,
    varying_noise,
    white_noise,
)
from fastrestore.nets.training.pairs import Draw, Pairs, split  # noqa: E402
from fastrestore.nets.training.recipe import Recipe  # noqa: E402

TINY = Recipe(
    network="refine", sizes={"widths": (8, 8), "blocks": (1, 1)}, patch=16, batch=4, steps=12,
    rate=3e-3, warm=2, average=0.9, draws=2,
)  # fmt: skip


@pytest.fixture
def short_period(monkeypatch):
    """Use each noise draw for few steps."""
    monkeypatch.setattr(pairs, "PERIOD", 4)


def photographs(channels=1, count=3):
    """Drawn photographs (C, M, N) of 8 bits."""
    return [
        np.stack([scene(40 + 4 * k, 36, seed=k + c) for c in range(channels)])
        .clip(0, 255)
        .astype(np.uint8)
        for k in range(count)
    ]


def trained(folder, recipe, sessions=1):
    """Train in one or several sessions; return the file of weights."""
    images = photographs(recipe.channels)
    for k in range(sessions):
        last = k == sessions - 1
        minutes = None if last else 1e-9  # one step
        path = train(recipe, images[:2], images[2:], Session(folder, minutes=minutes), print)
    return path.read_bytes()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_training_is_bitwise_the_same(tmp_path, short_period, precision, capsys):
    recipe = replace(TINY, precision=precision)
    whole = trained(tmp_path / "whole", recipe)
    assert trained(tmp_path / "parts", recipe, sessions=6) == whole
    assert len([*(tmp_path / "parts" / "pairs").glob("*.safetensors")]) == 2


def test_a_color_network_learns(tmp_path, capsys):
    recipe = replace(TINY, channels=3, steps=40, rate=1e-2, draws=1)
    trained(tmp_path, recipe)
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert "psnr_camera" in rows[0]


def test_color_begins_with_gray(tmp_path, capsys):
    trained(tmp_path / "gray", replace(TINY, steps=2, draws=1))
    path = str(tmp_path / "gray" / "refine-gray.safetensors")
    trained(tmp_path / "color", replace(TINY, channels=3, steps=2, draws=1, begin=path))
    other = replace(TINY, network="unet", sizes={}, begin=path)
    with pytest.raises(ValueError, match="is a Refine, and the recipe trains a UNet"):
        trained(tmp_path / "other", other)
    other = replace(TINY, begin=str(tmp_path / "color" / "refine-color.safetensors"))
    with pytest.raises(ValueError, match="other sizes than the recipe"):
        trained(tmp_path / "other", other)


def test_patches_are_parts_of_the_stored_photographs(tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "STRIPED", 0)
    images = photographs(channels=3, count=2)
    recipe = replace(TINY, channels=3, sigma=(20, 20))
    source = Pairs(images, recipe, tmp_path, "cpu")
    seen, maps, clean = source.draw(0, torch.Generator().manual_seed(0))
    assert seen.shape == (4, 6, 16, 16)
    assert maps.shape == (4, 4, 16, 16)
    values = [image.astype(np.float32) for image in images]
    for patch in (clean * 255).numpy():
        assert any(contains(image[0], patch[0]) for image in values)
    basic, noisy = seen.chunk(2, 1)
    assert float((basic - clean).square().mean()) < float((noisy - clean).square().mean())


def test_stored_photographs_of_another_training_are_replaced(tmp_path):
    random = torch.Generator()

    def drawn(recipe, images):
        seen, _, _ = Pairs(images, recipe, tmp_path, "cpu").draw(0, random.manual_seed(0))
        return seen

    first = drawn(TINY, photographs())
    assert torch.equal(drawn(TINY, photographs()), first)
    for recipe in (replace(TINY, seed=1), replace(TINY, sigma=(50, 50))):
        assert not torch.equal(drawn(recipe, photographs()), first)
    assert drawn(replace(TINY, channels=3), photographs(3)).shape == (4, 6, 16, 16)
    assert torch.equal(drawn(TINY, photographs()), first)


def contains(image, patch):
    """Whether an image contains a patch, in any orientation."""
    windows = np.lib.stride_tricks.sliding_window_view(image, patch.shape)
    for turned in (patch, patch.T):
        for across in (turned, turned[::-1]):
            for both in (across, across[:, ::-1]):
                if (np.abs(windows - both) < 0.01).all((-1, -2)).any():
                    return True
    return False


def test_noise_has_the_levels_it_is_drawn_for():
    rng, clean = np.random.default_rng(0), np.full((3, 96, 96), 100.0)
    kinds = set()
    for _ in range(60):
        noise = draw_noise(rng, clean.shape, (0, 75))
        kinds.add(noise.kind)
        sample, levels = noise.sample(clean, rng), noise.levels(clean)
        share = np.sqrt((sample**2).mean((1, 2)) / (levels**2).mean((1, 2)))
        np.testing.assert_allclose(share, 1, atol=0.2)
        assert levels.max() < 3 * 75
    assert kinds == set(KINDS)


@pytest.mark.parametrize("channels", [1, 3])
def test_spectra_of_cameras_are_cross_spectra(channels):
    rng = np.random.default_rng(0)
    for _ in range(20):
        spectrum = camera_spectrum(rng, channels)
        own = [spectrum[c, c].mean() for c in range(channels)]
        np.testing.assert_allclose(own, 1)
        smallest = np.linalg.eigvalsh(np.moveaxis(spectrum, (0, 1), (-2, -1))).min()
        assert smallest > 0


@pytest.mark.parametrize("kind", ["white", "signal-dependent", "camera"])
@pytest.mark.parametrize("estimated", [False, True])
def test_a_draw_is_restored(kind, estimated):
    image = (scene(64, 64)[None] * np.ones((3, 1, 1))).clip(0, 255).astype(np.uint8)
    image[1] //= 2
    rng = np.random.default_rng(0)
    noise = white_noise(15.0, 3) if kind == "white" else varying_noise(rng, kind, 15.0, 3)
    planes = torch.from_numpy(Draw(noise, rng, estimated).planes(image)).float()[None]
    seen, maps, clean = split(planes, 3)
    basic, noisy = (each.numpy() for each in seen.chunk(2, 1))
    assert psnr(clean.numpy(), basic) > psnr(clean.numpy(), noisy)
    assert 3 < float(maps.mean()) < 45


@pytest.mark.parametrize(
    ("factor", "taken"), [(1.0, True), (1.1, True), (0.6, False), (1.8, False)]
)
def test_estimates_that_are_far_off_are_not_used(monkeypatch, factor, taken):
    """Else the network corrects too much where the level is given."""
    restore = pairs.filtered

    def estimating(planes, noise=None, **options):
        noise = factor * spec if isinstance(noise, str) else noise
        return restore(planes, noise=noise, **options)

    image = scene(96, 96)[None].clip(0, 255).astype(np.uint8)
    rng = np.random.default_rng(0)
    noise = varying_noise(rng, "signal-dependent", 15.0, 1)
    spec = noise.spec
    monkeypatch.setattr(pairs, "filtered", estimating)
    known, found = (
        Draw(noise, np.random.default_rng(1), estimated).planes(image)
        for estimated in (False, True)
    )
    expected = factor if taken else 1
    np.testing.assert_allclose(found[3:].mean() / known[3:].mean(), expected, rtol=0.03)


def test_levels_of_noise_are_measured_by_band():
    noise = np.random.default_rng(0).normal(0, 5, (3, 96, 128))
    np.testing.assert_allclose(pairs.measured(noise), 5, rtol=0.06)
    common = np.repeat(noise[:1], 3, axis=0)  # luminance alone
    np.testing.assert_allclose(pairs.measured(common), [5 * 3**0.5, 0, 5 * 3**0.5, 0], atol=0.6)


def test_stripes_are_in_the_clean_image(tmp_path):
    image = np.full((3, 64, 64), 120, np.uint8)
    draw = Draw(white_noise(5.0, 3), np.random.default_rng(2), striped=True)
    _, _, clean = split(torch.from_numpy(draw.planes(image)).float()[None], 3)
    assert 1 < float(clean.std()) < 45
    assert float(clean.mean()) == pytest.approx(120, abs=3)


def test_photographs_have_8_bits():
    noisy = 300 * np.random.default_rng(0).uniform(-0.2, 1, (3, 32, 40))
    for seed in range(4):
        values = pairs.photographed(noisy, np.random.default_rng(seed))
        assert values.shape == noisy.shape
        np.testing.assert_array_equal(values, values.astype(np.uint8))
        assert np.abs(values - noisy.clip(0, 255)).mean() < 20
    gray = pairs.photographed(noisy[:1], np.random.default_rng(0))
    assert gray.shape == (1, 32, 40)


def test_parameters_that_do_not_fit():
    with pytest.raises(ValueError, match="refine is trained by the difference of pixels alone"):
        Recipe.of({"network": "refine", "perceptual": 1.0})
    with pytest.raises(ValueError, match="draws must be"):
        replace(TINY, draws=0)
    with pytest.raises(ValueError, match="no photograph has 64 x 64 pixels"):
        Pairs(photographs(), replace(TINY, patch=64), None, "cpu")
