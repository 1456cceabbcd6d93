"""Degradations for training, compared with Pillow and SciPy."""

from io import BytesIO

import numpy as np
import pytest
from support.nets import torch_or_skip

torch = torch_or_skip()

from PIL import Image  # noqa: E402
from scipy import ndimage  # noqa: E402
from support.images import scene  # noqa: E402

from fastrestore.nets.training.camera import (  # noqa: E402
    BALANCE,
    GAMMA,
    Photographs,
    interpolated_samples,
    sensed,
)
from fastrestore.nets.training.data import Patches, Sampling, smaller  # noqa: E402
from fastrestore.nets.training.degrade import Degradation, blurred, jpeg  # noqa: E402


def colors(height=64, width=80):
    return np.stack([scene(height, width, seed=c) for c in range(3)]).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [20, 50, 75, 95])
@pytest.mark.parametrize(("channels", "halved"), [(1, False), (3, False), (3, True)])
def test_jpeg_equals_pillow(quality, channels, halved):
    image = colors()[:channels]
    file = BytesIO()
    Image.fromarray(image[0] if channels == 1 else image.transpose(1, 2, 0)).save(
        file, "JPEG", quality=quality, subsampling=2 if halved else 0
    )
    theirs = np.asarray(Image.open(file)).astype(float)
    seen, numbers = torch.from_numpy(image / 255)[None].float(), torch.tensor([float(quality)])
    ours = jpeg(seen, numbers, halved=halved)
    ours = 255 * ours[0].numpy().transpose(1, 2, 0)
    error = np.abs(ours.squeeze() - theirs)
    changed = np.abs(theirs - image.transpose(1, 2, 0).squeeze())
    # Pillow rounds coefficients and pixels to integers on the way
    assert error.mean() < (0.6 if channels == 1 else 1.2)
    assert error.mean() < 0.5 * changed.mean() or quality == 95


def test_blur_is_a_gaussian():
    image = colors()[:1].astype(np.float32) / 255
    widths = torch.tensor([[1.5, 1.5]])
    ours = blurred(torch.from_numpy(image)[None], widths, torch.tensor([0.3]))[0, 0].numpy()
    theirs = ndimage.gaussian_filter(image[0].astype(float), 1.5, mode="mirror", radius=7)
    np.testing.assert_allclose(ours, theirs, atol=2e-5)
    flat = torch.full((1, 1, 40, 40), 0.3)
    turned = blurred(flat, torch.tensor([[0.3, 3.0]]), torch.tensor([1.0]))
    np.testing.assert_allclose(turned.numpy(), 0.3, atol=1e-6)


def test_degradations_can_be_repeated():
    image = torch.from_numpy(colors() / 255).float()[None].repeat(3, 1, 1, 1)
    degrade = Degradation()
    first, second = (degrade(image, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == image.shape
    assert float(first.min()) >= 0
    assert float(first.max()) <= 1
    errors = (first - image).square().mean((1, 2, 3))
    assert len(set(errors.tolist())) == 3  # each image in its own way
    assert 15 < float(-10 * errors.mean().log10()) < 35


def flat_photograph(value, batch=400):
    return torch.full((batch, 3, 16, 16), value)


def test_noise_of_a_sensor_has_its_level_and_correlation():
    """Red is sampled at a quarter of the pixels, and has the larger factor."""
    shot, read = torch.tensor(0.1), torch.tensor(0.02)
    linear = sensed(flat_photograph(0.5), shot, read, torch.Generator().manual_seed(0)) ** GAMMA
    noise = (linear - 0.5**GAMMA)[..., 2:-2, 2:-2]
    for channel, factor in enumerate(BALANCE):
        level = (0.1**2 * factor * 0.5**GAMMA + (factor * 0.02) ** 2) ** 0.5
        site = (channel == 2) + 0  # a sampled pixel of red, of blue, and of green on its diagonal
        sampled = noise[:, channel, site::2, (site + (channel == 1)) :: 2]
        assert abs(float(sampled.std()) / level - 1) < 0.05
        assert float(noise[:, channel].std()) < 0.9 * level
    gray = sensed(flat_photograph(0.5)[:, :1], shot, read, torch.Generator().manual_seed(0))
    left, right = (gray[..., k:15:2] - 0.5 for k in (0, 1))
    assert abs(float((left[..., :7] * right[..., :7]).mean() / left.var())) < 0.05  # white


def test_interpolated_samples_keep_constant_colors():
    color = torch.rand(1, 3, 1, 1).expand(1, 3, 14, 17)
    torch.testing.assert_close(interpolated_samples(color), color.contiguous())


def test_photographs_range_from_unchanged_to_degraded():
    clean = torch.from_numpy(colors() / 255).float()[None].repeat(60, 1, 1, 1)
    first, second = (Photographs()(clean, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    same = (first == clean).flatten(1).all(1)
    assert 1 <= int(same.sum()) <= 15
    errors = (first - clean).square().mean((1, 2, 3))[~same]
    scores = -10 * errors.log10()
    assert float(scores.max()) > 29
    assert float(scores.min()) < 26
    video = Photographs(read=(0.0, 0.0), shot=(0.0, 0.0))(
        clean[:6], torch.Generator().manual_seed(3), 3
    )
    assert torch.equal(video[0], video[2])  # frames of a video are alike, except for the noise
    assert not torch.equal(video[0], video[3])


def test_downsampling_equals_pillow():
    image = colors(64, 96)
    theirs = Image.fromarray(image.transpose(1, 2, 0)).resize((24, 16), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(smaller(image, 4), np.asarray(theirs).transpose(2, 0, 1))


def test_pairs_show_the_same_patch():
    """The image is constant in blocks, so the small patch equals samples of the large one."""
    small = np.random.default_rng(0).integers(0, 256, (1, 12, 15)).astype(np.uint8)
    large = np.repeat(np.repeat(small, 4, 1), 4, 2)
    patches = Patches([np.pad(large, ((0, 0), (0, 3), (0, 2)))], Sampling(16, scale=4), "cpu")
    patches._small = torch.from_numpy(small.reshape(1, -1).copy())
    wanted, seen = patches.draw_pairs(100, torch.Generator().manual_seed(0))
    assert seen.shape == (100, 1, 4, 4)
    torch.testing.assert_close(wanted[:, :, ::4, ::4], seen)
    torch.testing.assert_close(wanted[:, :, 3::4, 3::4], seen)
