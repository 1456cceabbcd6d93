"""Networks as functions of arrays: tiles, units, precision, memory, bad input."""

import warnings

import numpy as np
import pytest
from support.images import noisy, psnr, scene
from support.nets import SMALL, shaken, torch_or_skip

torch = torch_or_skip()

import fastrestore  # noqa: E402
from fastrestore import nets  # noqa: E402
from fastrestore.nets import (  # noqa: E402
    DnCNN,
    UNet,
    run,
)
from fastrestore.nets.network import Network  # noqa: E402


class Blur(Network):
    """A 3 x 3 mean plus a term of sigma: a network with a known result."""

    channels, radius, takes_sigma = 1, 1, True

    def __init__(self):
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(1))
        self.eval()

    def forward(self, image, sigma=None):
        self.seen = image.shape, sigma
        options = {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False}
        return self.one * torch.nn.functional.avg_pool2d(image, **options)


@pytest.mark.parametrize("tile", [16, 24, 50])
@pytest.mark.parametrize("name", SMALL)
def test_tiles_equal_the_whole(name, tile):
    net = shaken(SMALL[name](1))
    image = noisy(scene(61, 83), 20).astype(np.float32)
    whole = nets.apply(net, image, 20, data_range=255, tile=None)
    tiled = nets.apply(net, image, 20, data_range=255, tile=tile)
    assert np.abs(whole).max() > 1
    np.testing.assert_allclose(tiled, whole, atol=1e-5 * 255)


def test_tiles_of_a_map():
    net = shaken(SMALL["unet"](1))
    image = noisy(scene(40, 50), 20)
    sigma = np.linspace(5, 40, 50) * np.ones((40, 50))
    whole = nets.apply(net, image, sigma, tile=None)
    np.testing.assert_allclose(nets.apply(net, image, sigma, tile=16), whole, atol=1e-5 * 255)
    assert np.abs(whole - nets.apply(net, image, 20)).max() > 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 3), (65, 33)])
@pytest.mark.parametrize("name", SMALL)
def test_any_size(name, shape):
    image = np.random.default_rng(0).normal(100, 10, shape)
    result = nets.apply(shaken(SMALL[name](1)), image, 10, data_range=255)
    assert result.shape == shape
    assert np.isfinite(result).all()


def test_units():
    net = shaken(SMALL["unet"](1))
    image = noisy(scene(40, 50), 20).astype(np.float64)
    expected = nets.apply(net, image, 20)
    for factor, constant in ((1 / 255, 0), (1000, -4e5), (-1, 255)):
        other = nets.apply(net, factor * image + constant, abs(factor) * 20)
        if factor > 0:
            np.testing.assert_allclose((other - constant) / factor, expected, atol=1e-2)
        assert np.isfinite(other).all()
    as_it_is = nets.apply(net, image / 255, 20 / 255, data_range=1) * 255
    np.testing.assert_allclose(as_it_is, nets.apply(net, image, 20, data_range=255), atol=1e-3)


def test_types_axes_and_batches():
    net, color = shaken(SMALL["unet"](1)), shaken(SMALL["unet"](3))
    image = np.clip(noisy(scene(30, 40), 20), 0, 255)
    expected = nets.apply(net, image.astype(np.float32), 20)
    assert nets.apply(net, image, 20).dtype == np.float64
    assert nets.apply(net, image.astype(np.uint8), 20).dtype == np.float32
    half = nets.apply(net, (image * 200).astype(np.float16), 4000)
    assert half.dtype == np.float16
    assert np.isfinite(half).all()
    tensor = nets.apply(net, torch.from_numpy(image.astype(np.float32)), 20)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), expected)
    turned = nets.apply(net, np.asfortranarray(image)[::-1].astype(np.float32), 20)
    assert turned.flags.c_contiguous
    batch = np.stack([image, image[::-1], image / 2], axis=1)
    each = [nets.apply(net, batch[:, k], s) for k, s in enumerate((20, 20, 10))]
    together = nets.apply(net, batch, [20, 20, 10], batch_axis=1)
    np.testing.assert_array_equal(together, np.stack(each, axis=1))
    rgb = np.stack([image, image[::-1], image / 2], axis=-1)
    first = nets.apply(color, rgb, 20, channel_axis=-1)
    np.testing.assert_array_equal(
        nets.apply(color, np.moveaxis(rgb, -1, 0), 20, channel_axis=0),
        np.moveaxis(first, -1, 0),
    )
    both = np.stack([rgb, rgb[::-1]], axis=2)  # rows, columns, batch, channels
    result = nets.apply(color, both, 20, channel_axis=3, batch_axis=2)
    np.testing.assert_array_equal(result[:, :, 0], first)


def test_pixels_without_noise_are_unchanged():
    net = shaken(SMALL["unet"](1))
    image = noisy(scene(30, 40), 20)
    result = nets.apply(net, image, 0)
    np.testing.assert_array_equal(result, image)
    assert result is not image
    sigma = np.where(np.arange(40) < 9, 0, 20) * np.ones((30, 1))
    np.testing.assert_array_equal(nets.apply(net, image, sigma)[:, :9], image[:, :9])
    assert np.isfinite(nets.apply(net, np.full((20, 20), 7.0), 3)).all()


def test_tiles_shrink_when_memory_runs_out(monkeypatch):
    net, image = Blur(), noisy(scene(300, 520), 20)
    expected = nets.apply(net, image, 20, tile=None)
    usual, sizes = run._once, []

    def scarce(net, part, sigma, half):
        sizes.append(part.shape[-2:])
        if part.shape[-1] > 300:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return usual(net, part, sigma, half)

    monkeypatch.setattr(run, "_once", scarce)
    np.testing.assert_allclose(nets.apply(net, image, 20, tile=None), expected, atol=1e-3)
    assert sizes[0] == (300, 520)
    assert max(sizes[-1]) <= 258

    def none(*_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")

    monkeypatch.setattr(run, "_once", none)
    with pytest.raises(MemoryError, match="even in tiles of 128 pixels"):
        nets.apply(net, image, 20)
    monkeypatch.setattr(run, "_once", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        nets.apply(net, image, 20)


def test_overflow_in_half_precision_is_repeated_in_single():
    net = shaken(DnCNN(1, 5, 8))
    image = noisy(scene(40, 50), 20)
    expected = nets.apply(net, image, data_range=255)
    half = nets.apply(net, image, data_range=255, precision="float16")
    assert 0 < np.abs(half - expected).max() < 2
    with torch.no_grad():
        net.model[0].weight *= 1e6
        net.model[2].weight /= 1e6
    huge = nets.apply(net, image, data_range=255, precision="float16")
    np.testing.assert_array_equal(huge, nets.apply(net, image, data_range=255))


def test_network_of_the_caller_is_not_changed():
    net = DnCNN(1, 5, 8, batch_norm=True).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    nets.apply(net, noisy(scene(30, 30), 20), data_range=255)
    assert net.training
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])


def trained(low, high):
    net = shaken(DnCNN(1, 5, 8))
    net.sigmas = (low / 255, high / 255)
    return net


IMAGE = np.arange(900.0).reshape(30, 30) / 4
BAD = [
    (TypeError, "image must be an array, got str 'a.png'", ("a.png", 20), {}),
    (ValueError, "NaN or infinite, 1 in all", (np.where(IMAGE == 5, np.nan, IMAGE), 20), {}),
    (ValueError, r"image must have 2 axes .* write channel_axis=-1", (np.ones((9, 9, 3)), 1), {}),
    (ValueError, "is for images of 1 channels, and this image has 3", (np.ones((9, 9, 3)), 1),
     {"channel_axis": -1}),
    (ValueError, "sigma must be a number of 0 or more, or a map of shape", (IMAGE, -1), {}),
    (ValueError, "sigma must be .* got an array of shape", (IMAGE, np.ones(3)), {}),
    (ValueError, "sigma must be .* got an array of shape", (IMAGE, [20]), {}),
    (TypeError, "sigma must be .* got 'auto'", (IMAGE, "auto"), {}),
    (ValueError, "tile must be 16 pixels or more", (IMAGE, 20), {"tile": 3}),
    (ValueError, "precision must be one of", (IMAGE, 20), {"precision": "int8"}),
    (ValueError, "device must be 'cpu', 'cuda'", (IMAGE, 20), {"device": "gpu"}),
    (ValueError, "data_range must be a number above 0", (IMAGE, 20), {"data_range": 0}),
    (ValueError, "image must have 3 axes for batch_axis=0", (IMAGE, 20), {"batch_axis": 0}),
    (ValueError, "batch_axis=5 is not an axis", (IMAGE[None], 20), {"batch_axis": 5}),
    (ValueError, "is empty", (IMAGE[:0], 20), {}),
]  # fmt: skip


@pytest.mark.parametrize(("error", "message", "arguments", "options"), BAD)
def test_bad_input(error, message, arguments, options):
    with pytest.raises(error, match=message):
        nets.apply(shaken(SMALL["unet"](1)), *arguments, **options)


def test_sigma_outside_the_trained_range():
    message = "sigma=80 is 80/255 of data_range=255, and DnCNN is trained for 0/255 to 55/255; bm3d"
    with pytest.raises(ValueError, match=message):
        nets.apply(trained(0, 55), IMAGE, 80, data_range=255)
    assert np.isfinite(nets.apply(trained(0, 55), IMAGE, 80)).all()  # in other units
    with pytest.raises(ValueError, match=r"does not specify the noise levels .* write data_range="):
        nets.apply(shaken(DnCNN(1, 5, 8)), IMAGE, 25)
    with pytest.raises(TypeError, match=r"net must be a network of fastrestore.nets, got 3"):
        nets.apply(3, IMAGE, 25)
    with pytest.raises(TypeError, match=r"got 'unet-gray'; load it: fastrestore.nets.load\("):
        nets.apply("unet-gray", IMAGE, 25)
    for wrong in (lambda: UNet(widths=()), lambda: UNet(blocks=0), lambda: DnCNN(layers=1)):
        with pytest.raises(ValueError, match=r"(widths|blocks|layers) must be "):
            wrong()
    specific = trained(25, 25)
    expected = nets.apply(specific, IMAGE, 25)
    np.testing.assert_allclose(nets.apply(specific, 3 * IMAGE, 75), 3 * expected, atol=1e-2)
    assert np.abs(nets.apply(specific, IMAGE, 50) - expected).max() > 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_raises():
    with pytest.raises(fastrestore.BackendUnavailableError, match=r"PyTorch .* finds 0 GPUs"):
        nets.apply(shaken(SMALL["unet"](1)), IMAGE, 20, device="cuda")
    with pytest.raises(fastrestore.BackendUnavailableError, match=r"PyTorch .* finds 0 GPUs"):
        nets.load("unet-gray", device="cuda")
    with pytest.raises(ValueError, match=r"device must be 'cpu', 'cuda' or 'cuda:1', got 'tpu'"):
        nets.load("unet-gray", device="tpu")


def test_progress():
    seen = []
    options = {"tile": 16, "data_range": 255}
    nets.apply(Blur(), IMAGE, 20, progress=lambda done, total: seen.append(done), **options)
    assert seen[-1] == 100
    assert len(seen) >= 4


@pytest.mark.parametrize("sigma", [0.1, torch.tensor([0.1, 0.2]), None])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_bm3d_as_a_module(channels, sigma):
    clean = torch.from_numpy(np.stack([scene(32, 36, seed=k) for k in range(channels)]) / 255)
    image = torch.stack([clean, clean.flip(-1)]).float()
    image = image + 0.1 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    image.requires_grad_(True)
    module = nets.BM3D(profile="fast", data_range=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = module(image, sigma)
    assert result.shape == image.shape
    assert result.dtype == image.dtype
    assert result.requires_grad
    first = 0.1 if sigma is not None else None
    options = {"profile": "fast", "data_range": 1.0}
    plain = image[0].detach().numpy()
    if channels == 3:
        expected = fastrestore.bm3d(plain, first, channel_axis=0, **options)
    else:
        expected = np.stack([fastrestore.bm3d(each, first, **options) for each in plain])
    np.testing.assert_allclose(result[0].detach().numpy(), expected, atol=1e-5)
    with pytest.raises(ValueError, match="images must be B x C x H x W"):
        module(image[0], 0.1)
    with pytest.raises(ValueError, match="one for each of 2 images"):
        module(image, torch.ones(3))
    with pytest.raises(TypeError, match="leave channel_axis out: images are B x C x H x W"):
        nets.BM3D(channel_axis=0)


def test_averaging_network_improves_psnr():
    """Averaging increases the PSNR."""
    clean = scene(60, 60)
    image = noisy(clean, 30)
    assert psnr(clean, nets.apply(Blur(), image, 30)) > psnr(clean, image) + 3


def test_unet_estimates_a_missing_sigma():
    net = Blur()
    image = noisy(scene(128, 128), 20)
    nets.apply(net, image, data_range=255)
    assert abs(float(net.seen[1][0, 0, 0, 0]) * 255 - 20) < 2
    assert isinstance(UNet(), Network)
