"""The network that corrects the result of BM3D, and its maps of the noise."""

import numpy as np
import pytest
from support.nets import shaken, torch_or_skip

torch = torch_or_skip()

from fastrestore import nets  # noqa: E402
from fastrestore.nets import Refine  # noqa: E402
from fastrestore.nets.files import load, save  # noqa: E402
from fastrestore.nets.noise_maps import noise_maps  # noqa: E402


def refine(channels=1):
    """A small network with random weights that changes much."""
    torch.manual_seed(3)
    net = shaken(Refine(channels, widths=(8, 16), blocks=(1, 1))).eval()
    net.sigmas = (0.0, 75 / 255)
    return net


def test_a_change_of_units_and_maps_equal_to_a_number():
    net, image = refine(), torch.rand(1, 2, 21, 30)
    with torch.inference_mode():
        result = net(image, 0.1)
        assert result.shape == (1, 1, 21, 30)
        assert float((result - image[:, :1]).abs().max()) > 0.01
        torch.testing.assert_close(net(4 * image, 0.4), 4 * result, rtol=0, atol=1e-5)
        torch.testing.assert_close(net(image, torch.full((1, 2, 21, 30), 0.1)), result)
        torch.testing.assert_close(net(image, torch.tensor([0.1])), result)
    with pytest.raises(ValueError, match="needs sigma"):
        net(image)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_radius_is_an_upper_bound(channels):
    net = Refine(channels, widths=(8, 8, 8), blocks=(1, 1, 1)).double()
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    image = torch.rand(1, 2 * channels, 200, 200, dtype=torch.double)
    changed = image.clone()
    changed[0, 0, 101, 99] += 1e3
    with torch.inference_mode():
        touched = (net(changed, 0.1) != net(image, 0.1))[0].any(0).nonzero()
    reached = (touched - torch.tensor([101, 99])).abs().max()
    assert 20 < reached <= net.radius


def test_a_network_for_color_begins_with_one_for_gray():
    gray, color = refine(), Refine(3, widths=(8, 16), blocks=(1, 1)).eval()
    color.begin_with(gray)
    basic, noisy = torch.rand(2, 1, 1, 24, 32)
    with torch.inference_mode():
        expected = gray(torch.cat([basic, noisy], 1), 0.1)
        # Equal channels: the luminance is sqrt(3) times the image, and there is no chrominance
        seen = torch.cat([basic.expand(1, 3, -1, -1), noisy.expand(1, 3, -1, -1)], 1)
        maps = torch.tensor([0.1 * 3**0.5, 0, 0.1 * 3**0.5, 0])[None, :, None, None]
        result = color(seen, maps)
    torch.testing.assert_close(result.mean(1, keepdim=True), expected, rtol=0, atol=1e-5)


def test_the_network_has_at_most_600_000_weights():
    for channels in (1, 3):
        assert sum(value.numel() for value in Refine(channels).parameters()) < 600_000


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"widths": 32}, r"widths must be whole numbers, such as \(32, 64\), got 32"),
        ({"blocks": "2"}, "blocks must be whole numbers"),
        ({"widths": (8, 8), "blocks": (1,)}, "one number for each resolution"),
        ({"widths": (8, 0), "blocks": (1, 1)}, r"widths\[1\]"),
        ({"channels": 2}, "channels must be 1 or 3, got 2"),
    ],
)
def test_bad_sizes(sizes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Refine(**sizes)


@pytest.mark.parametrize("channels", [1, 3])
def test_files_keep_the_sizes(tmp_path, channels):
    net = refine(channels)
    save(net, tmp_path / "net.safetensors", sigmas=(0, 75))
    loaded = load(tmp_path / "net.safetensors")
    assert (loaded.channels, loaded.grid, loaded.radius) == (channels, net.grid, net.radius)
    assert loaded.sigmas == pytest.approx(net.sigmas)
    image = torch.rand(1, 2 * channels, 24, 32)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(image, 0.1), net(image, 0.1), rtol=0, atol=0.01)


def test_maps_of_white_noise_equal_its_level():
    np.testing.assert_allclose(noise_maps(np.full((1, 1, 1), 5.0), np.ones((1, 1, 1, 1))), 5)
    white = np.eye(3)[..., None, None] * np.ones((8, 8))
    maps = noise_maps(np.full((3, 4, 5), 5.0), white)
    assert maps.shape == (4, 4, 5)
    np.testing.assert_allclose(maps, 5, rtol=1e-6)


def test_maps_separate_bands_and_colors():
    f = np.abs(np.fft.fftfreq(32))
    low = (np.maximum.outer(f, f) < 0.2).astype(float)
    fine, coarse = noise_maps(np.full((1, 1, 1), 2.0), (low / low.mean())[None, None]).ravel()
    assert fine == 0
    assert coarse == pytest.approx(2 / low.mean() ** 0.5)
    gray = noise_maps(np.full((3, 1, 1), 2.0), np.ones((3, 3, 1, 1))).ravel()
    np.testing.assert_allclose(gray, [2 * 3**0.5, 0, 2 * 3**0.5, 0], atol=1e-6)


def test_a_refine_alone_needs_the_result_of_bm3d():
    with pytest.raises(ValueError, match=r"Refine takes 2 channels, the result of bm3d and"):
        nets.apply(refine(), np.arange(900.0).reshape(30, 30), 10)
