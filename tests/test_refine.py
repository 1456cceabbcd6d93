"""The network that corrects the result of BM3D, its maps of the noise, and method="hybrid"."""

import re
import warnings

import numpy as np
import pytest
from support.images import noisy, psnr, scene
from support.nets import shaken, torch_or_skip

torch = torch_or_skip()

import fastrestore  # noqa: E402
from fastrestore import NoiseSpec, PoissonGaussian, Rician, bm3d, denoise, nets  # noqa: E402
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


def test_hybrid_is_bm3d_and_the_network():
    net, image = refine(), noisy(scene(60, 70), 20)
    options = {"method": "hybrid", "weights": net, "data_range": 510}
    result, info = denoise(image, 20, return_info=True, **options)
    basic = bm3d(image, 20, data_range=510)
    seen = torch.from_numpy(np.stack([basic, image]) / 510).float()[None]
    with torch.inference_mode():
        expected = net(seen, 20 / 510)[0, 0].numpy() * 510
    expected = np.clip(expected, basic - 20, basic + 20)  # no correction is larger than the noise
    np.testing.assert_allclose(result, expected, atol=0.01)
    assert np.abs(result - basic).max() > 1
    assert info.sigma == 20


def test_hybrid_keeps_the_conventions():
    options = {"method": "hybrid", "weights": refine()}
    image = noisy(scene(70, 80), 20).astype(np.float32)
    whole = denoise(image, 20, tile=None, **options)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(denoise(image, 20, tile=24, **options), whole, atol=1e-3)
    np.testing.assert_allclose(denoise(image / 4, 5, **options) * 4, whole, atol=1e-3)
    np.testing.assert_array_equal(denoise(image, 0, **options), image)
    np.testing.assert_array_equal(denoise(image, 20, strength=0, **options), image)
    assert np.isfinite(denoise(image, **options)).all()
    batch = denoise(np.stack([image, image[::-1]]), 20, batch_axis=0, tile=None, **options)
    np.testing.assert_array_equal(batch[0], whole)
    assert denoise(image.astype(np.uint8), 20, **options).dtype == np.float32
    assert denoise(image[:5, :6], 20, **options).shape == (5, 6)
    seen = []
    denoise(image, 20, progress=lambda done, _: seen.append(done), **options)
    assert seen[-1] == 100


def test_hybrid_of_a_map_keeps_pixels_without_noise():
    image = noisy(scene(60, 70), 20)
    sigma = np.full(image.shape, 20.0)
    sigma[:, :20] = 0
    result = denoise(image, sigma, method="hybrid", weights=refine())
    np.testing.assert_array_equal(result[:, :20], image[:, :20])
    assert (result[:, 20:] != image[:, 20:]).any()


@pytest.mark.parametrize(
    "noise",
    ["white", "auto", NoiseSpec.white(20.0, 21.0, 22.0), PoissonGaussian(2.0, 5.0)],
    ids=["white", "auto", "spec", "counts"],
)
def test_hybrid_takes_noise(noise):
    image = np.stack([noisy(scene(60, 70), 20, seed=k) for k in range(3)], -1)
    image += np.arange(70)[:, None]  # not gray
    options = {"method": "hybrid", "channel_axis": -1, "noise": noise}
    result, info = denoise(image, weights=refine(3), return_info=True, **options)
    assert result.shape == image.shape
    assert np.isfinite(result).all()
    assert "not used" not in info.reason
    assert info.refined
    assert np.abs(result - bm3d(image, channel_axis=-1, noise=noise)).max() > 1


def test_noise_the_network_does_not_know_is_left_to_bm3d():
    image = np.abs(noisy(scene(60, 70), 20))
    for noise, reason in (
        ({"noise": Rician(20.0)}, "not used: .*distribution"),
        ({"sigma": 150.0}, "not used: .*stronger"),
        ({"noise": "camera"}, "not used: .*whose noise is estimated"),
    ):
        result, info = denoise(
            image, method="hybrid", weights=refine(), data_range=255, return_info=True, **noise
        )
        np.testing.assert_array_equal(result, bm3d(image, data_range=255, **noise))
        assert re.search(reason, info.reason)


def test_hybrid_with_a_mask():
    image = noisy(scene(60, 70), 20)
    mask = np.random.default_rng(0).uniform(size=image.shape) > 0.1
    holes = np.where(mask, image, np.nan)
    for noise in (None, "white"):
        result = denoise(holes, mask=mask, noise=noise, method="hybrid", weights=refine())
        np.testing.assert_array_equal(np.isnan(result), ~mask)


def test_noise_is_estimated_without_invalid_pixels():
    clean = scene(96, 96)
    image = noisy(clean, 20)
    mask = np.ones(image.shape, bool)
    mask[30:50, 30:60] = False
    options = {"mask": mask, "method": "hybrid", "weights": refine(), "noise": "white"}
    _, info = denoise(np.where(mask, image, np.nan), return_info=True, **options)
    assert float(info.noise.sigma[0]) == pytest.approx(20, rel=0.15)


def test_levels_by_channel():
    image = np.stack([noisy(scene(48, 56), 20, seed=k) for k in range(3)], -1)
    options = {"method": "hybrid", "weights": refine(3), "channel_axis": -1}
    expected = denoise(image, noise=NoiseSpec.white(10.0, 20.0, 30.0), **options)
    np.testing.assert_array_equal(denoise(image, [10, 20, 30], **options), expected)


def test_an_outlier_does_not_spread():
    image = noisy(scene(60, 70), 20)
    options = {"method": "hybrid", "weights": refine(), "data_range": 255}
    usual = denoise(image, 20, **options)
    image[30, 35] = 1e5
    result, basic = denoise(image, 20, **options), bm3d(image, 20, data_range=255)
    assert np.abs(result - basic).max() <= 20 * (1 + 1e-5)
    far = np.hypot(*np.indices(image.shape) - np.array([30, 35])[:, None, None]) > 45
    np.testing.assert_allclose(result[far], usual[far], atol=1)


def test_corrections_of_weak_noise_are_reduced():
    image = noisy(scene(60, 70), 0.2)
    options = {"data_range": 255, "workers": 1}
    result = denoise(image, 0.2, method="hybrid", weights=refine(), **options)
    corrections = np.abs(result - bm3d(image, 0.2, **options))
    assert 0 < corrections.max() <= 0.2 * 0.2 / 2 * (1 + 1e-3)


def test_strong_noise_without_a_range():
    image = noisy(scene(60, 70), 70)
    _, info = denoise(image, 70, method="hybrid", weights=refine(), return_info=True)
    assert "not used" not in info.reason


def test_an_info_is_of_one_image():
    with pytest.raises(ValueError, match=r"return_info=True is for one image; .*batch_axis=0"):
        denoise(np.ones((2, 9, 9)), 1, method="hybrid", weights=refine(), batch_axis=0,
                return_info=True)  # fmt: skip


@pytest.mark.skipif("refine-gray" not in nets.names(), reason="no weights come with the library")
@pytest.mark.parametrize("sigma", [15, 50])
def test_shipped_weights_are_better_than_bm3d(sigma):
    clean = scene(120, 120)
    image = noisy(clean, sigma)
    before, after = bm3d(image, sigma), denoise(image, sigma, method="hybrid")
    assert psnr(clean, after) > psnr(clean, before) - 0.1


@pytest.mark.skipif("refine-color" not in nets.names(), reason="no weights come with the library")
def test_gray_images_stored_in_color_are_restored_as_gray():
    image = noisy(scene(60, 70), 20)
    color = np.stack([image] * 3, -1)
    result = denoise(color, 20, method="hybrid", channel_axis=-1)
    np.testing.assert_array_equal(result[..., 0], denoise(image, 20, method="hybrid"))
    np.testing.assert_array_equal(result[..., 0], result[..., 2])


def test_a_refine_alone_needs_the_result_of_bm3d():
    for call in (nets.apply, lambda net, image, sigma: denoise(image, sigma, method=net)):
        with pytest.raises(ValueError, match=r"Refine takes 2 channels.*method='hybrid'"):
            call(refine(), np.arange(900.0).reshape(30, 30), 10)


def test_the_public_function_needs_a_refine():
    with pytest.raises(ValueError, match="is a DnCNN, not a Refine"):
        denoise(np.ones((9, 9)), 1, method="hybrid", weights=nets.DnCNN(1, 3, 8))
    assert fastrestore.nets.Refine is Refine


def test_noise_stronger_than_the_contrast_is_left_to_bm3d():
    image = noisy(scene(60, 70), 20)
    for whole, sigma in ((image, 1e4), (image / 255, 25.0), (np.full((40, 40), 7.0), 25.0)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sigma in other units
            result, info = denoise(
                whole, sigma, method="hybrid", weights=refine(), return_info=True
            )
            np.testing.assert_array_equal(result, bm3d(whole, sigma))
        assert "stronger than the contrast" in info.reason
        assert not info.refined


def test_channels_without_noise_are_kept():
    image = np.stack([noisy(scene(48, 56), 20, seed=k) for k in range(3)], -1)
    options = {"channel_axis": -1, "data_range": 255}
    result = denoise(image, [0, 20, 30], method="hybrid", weights=refine(3), **options)
    np.testing.assert_allclose(result[..., 0], image[..., 0], atol=1e-4)
    assert np.abs(result - image)[..., 1:].max() > 5


def test_maps_of_the_level_broadcast():
    image = noisy(scene(60, 70), 20)
    options = {"method": "hybrid", "weights": refine()}
    for level in (np.linspace(5, 30, 70), np.linspace(5, 30, 60)[:, None]):
        expected = denoise(image, np.broadcast_to(level, image.shape), **options)
        np.testing.assert_array_equal(denoise(image, level, **options), expected)
