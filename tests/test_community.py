"""Networks of other packages: `load` recognizes them, and results are those of the networks."""

import importlib
import sys
import types

import numpy as np
import pytest
from support.images import noisy, scene
from support.nets import COMMUNITY, community_network, spandrel_or_skip

spandrel = spandrel_or_skip()

import torch  # noqa: E402

import fastrestore  # noqa: E402
from fastrestore import nets  # noqa: E402

IMAGES = sorted(set(COMMUNITY) - {"LaMa", "FDnCNN"})
# Of these sizes, the receptive field is within the overlap of tiles, and windows of attention begin
# at the same pixels
EXACT = ("SPAN", "PLKSR", "SAFMN", "SwinIR", "Swin2SR")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Return a function that returns the network of spandrel, and ours from its file."""
    found = {}

    def load(name):
        if name not in found:
            original = community_network(name)
            path = tmp_path_factory.mktemp("nets") / "net.pth"
            torch.save({"params_ema": original.state_dict()}, path)
            found[name] = spandrel.MAIN_REGISTRY.load(original.state_dict()), nets.load(path)
            found[name][0].eval()
            path.unlink()
        return found[name]

    return load


def colors(height=66, width=75):
    return np.stack([scene(height, width, seed=c) for c in range(3)], -1).astype(np.uint8)


def tensor(image):
    """Return an image of 8 bits (M, N, 3) as the input of a network."""
    return torch.from_numpy(np.moveaxis(image, -1, 0)[None] / np.float32(255))


def through(net, image, **options):
    """Apply a network by the public function for its scale."""
    if net.scale == 1:
        return fastrestore.restore(image, model=net, channel_axis=-1, **options)
    return fastrestore.super_resolve(image, net.scale, model=net, channel_axis=-1, **options)


@pytest.mark.parametrize("name", IMAGES)
def test_results_are_those_of_the_network(name, loaded):
    descriptor, net = loaded(name)
    image = colors()
    result = through(net, image)
    expected = descriptor(tensor(image))[0].numpy()
    assert net.name == descriptor.architecture.name
    assert (net.channels, net.scale) == (3, descriptor.scale)
    assert result.shape == (66 * net.scale, 75 * net.scale, 3)
    assert result.dtype == np.float32
    assert expected.std() > 0.01
    clipped = np.clip(np.moveaxis(result, -1, 0) / 255, 0, 1)
    np.testing.assert_allclose(clipped, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["SPAN", "NAFNet", "Uformer"])
def test_results_are_not_clipped(name, loaded):
    descriptor, net = loaded(name)
    image = np.tile(colors(64, 64), (2, 2, 1))  # of a size that needs no padding
    with torch.inference_mode():
        expected = descriptor.model(tensor(image))[0].numpy()
    assert expected.min() < 0 or expected.max() > 1
    result = np.moveaxis(through(net, image), -1, 0)
    np.testing.assert_allclose(result / 255, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["DAT", "NAFNet", "FBCNN", *EXACT])
def test_tiles(name, loaded):
    _, net = loaded(name)
    image = colors(70, 200)
    whole, tiled = (through(net, image, tile=tile) for tile in (None, 60))
    difference = np.abs(tiled - whole).max() / whole.std()
    assert net.tiling == ("whole" if name == "SwinIR" else "overlap")
    if name in EXACT:
        assert difference < 1e-4
    else:  # means of the whole image
        assert 0 < difference < 0.1


def test_images_are_not_divided_if_networks_see_the_whole(loaded, monkeypatch):
    _, net = loaded("SwinIR")
    image = colors(64, 64)
    monkeypatch.setattr("fastrestore.nets.call.LARGEST", 1000)
    monkeypatch.setattr("fastrestore.nets.call.USUAL", 16)
    np.testing.assert_array_equal(through(net, image), through(net, image, tile=None))
    monkeypatch.setattr(net, "_run", full)
    with pytest.raises(MemoryError, match=r"memory ran out .* gives other results in tiles; write"):
        through(net, image)


def full(*inputs):
    raise MemoryError("no memory")


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 70), (64, 128)])
def test_any_size(name, shape, loaded):
    descriptor, net = loaded(name)
    image = colors(*shape)
    result = np.moveaxis(through(net, image), -1, 0) / 255
    assert result.shape == (3, net.scale * shape[0], net.scale * shape[1])
    expected = descriptor(tensor(image))[0].numpy()
    np.testing.assert_allclose(result.clip(0, 1), expected, atol=1e-4)


def test_networks_that_fail(loaded, monkeypatch):
    def fails(model, image):
        raise RuntimeError("shapes differ\nmore")

    _, net = loaded("NAFNet")
    monkeypatch.setattr(net, "_run", fails)
    with pytest.raises(ValueError, match=r"NAFNet cannot .* of 40 x 50 pixels: shapes differ$"):
        through(net, colors(40, 50))
    monkeypatch.setattr(net, "_run", lambda model, image: image[..., ::2])
    with pytest.raises(ValueError, match=r"NAFNet returned shape \(1, 3, 40, 25\) for an image"):
        through(net, colors(40, 50))


@pytest.mark.parametrize("name", ["SPAN", "NAFNet"])
def test_gray_and_alpha(name, loaded):
    _, net = loaded(name)
    image = colors()
    alpha = np.full((*image.shape[:2], 1), 200, np.uint8)
    expected = through(net, image)
    result = through(net, np.concatenate([image, alpha], -1))
    np.testing.assert_allclose(result[..., :3], expected, atol=1e-3)
    np.testing.assert_allclose(result[..., 3], 200, atol=1e-3)
    gray = image[..., :1]
    three = through(net, np.repeat(gray, 3, -1)).mean(-1, keepdims=True)
    np.testing.assert_allclose(through(net, gray), three, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
def test_types(dtype, loaded):
    _, net = loaded("NAFNet")
    image, white = colors(), {np.uint8: 255, np.uint16: 65535}.get(dtype, 1)
    result = through(net, (image / 255 * white).round(9).astype(dtype))
    assert result.dtype == (np.float32 if np.dtype(dtype).kind == "u" else dtype)
    error = np.abs(result.astype(float) / white - through(net, image) / 255)
    assert error.max() < (2e-2 if dtype == np.float16 else 1e-3)
    again = through(net, torch.from_numpy(image))
    assert isinstance(again, torch.Tensor)


def test_half_precision_only_where_the_network_supports_it(loaded):
    image = colors()
    for name in ("NAFNet", "SPAN"):
        descriptor, net = loaded(name)
        single, half = (through(net, image, precision=f"float{n}") for n in (32, 16))
        assert net.supports_half == descriptor.supports_half
        assert (np.abs(half - single).max() > 0) == net.supports_half
        assert np.abs(half - single).max() < 0.1 * single.std()


def test_videos(loaded):
    _, net = loaded("SPAN")
    frames = [colors(), colors()[::-1]]
    larger = list(fastrestore.super_resolve_video(frames, 4, model=net, channel_axis=-1))
    for frame, result in zip(frames, larger, strict=True):
        np.testing.assert_allclose(result, through(net, frame), atol=1e-3)


def test_denoise(loaded, tmp_path):
    original, path = community_network("NAFNet"), tmp_path / "net.safetensors"
    from safetensors.torch import save_file

    save_file(original.state_dict(), path)
    _, net = loaded("NAFNet")
    image = noisy(colors(), 5).clip(0, 255).astype(np.uint8)
    expected = fastrestore.restore(image, model=net, channel_axis=-1)
    for method in (net, path, str(path)):
        result = fastrestore.denoise(image, method=method, channel_axis=-1)
        np.testing.assert_allclose(result, expected, atol=1e-4)
    batch = fastrestore.denoise(
        np.stack([image, image[::-1]], 1), method=net, channel_axis=-1, batch_axis=1, tile=64
    )
    np.testing.assert_allclose(batch[:, 0], expected, atol=0.1 * expected.std())
    assert batch.shape == (66, 2, 75, 3)
    scaled = fastrestore.denoise(
        image / 255 * 7.0, method=net, channel_axis=-1, data_range=7.0, device="cpu"
    )
    np.testing.assert_allclose(scaled / 7 * 255, expected, atol=1e-3)


def test_denoise_with_a_mask(loaded):
    _, net = loaded("NAFNet")
    image = colors().astype(np.float32) / 255
    valid = np.ones(image.shape[:2], bool)
    valid[20:24, 30:34] = False
    image[~valid] = np.nan
    result = fastrestore.denoise(image, method=net, channel_axis=-1, mask=valid)
    assert np.isnan(result[~valid]).all()
    assert np.isfinite(result[valid]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": 5}, "sigma=5 is not used by method='NAFNet', which has no input for the noise"),
        ({"strength": 2}, r"strength=2.0 is not used by method='NAFNet', which has no input"),
        ({"profile": "np"}, "profile='np' is not used by a network as the method, only by 'auto'"),
        ({"weights": "unet-color"}, "weights='unet-color' is not used by a network as the method"),
        ({"image": np.ones((40, 40, 3)) * 7}, r"does not specify .* write data_range="),
        ({"image": np.ones((40, 40, 5), np.uint8)}, "image has 5 channels; it must have 1 or 3"),
    ],
)
def test_options_that_denoise_cannot_use(options, message, loaded):
    _, net = loaded("NAFNet")
    arguments = {"image": colors(), "method": net, "channel_axis": -1} | options
    with pytest.raises(ValueError, match=message):
        fastrestore.denoise(**arguments)


def test_methods_that_are_no_networks_for_noise(loaded, tmp_path):
    image = colors()
    with pytest.raises(ValueError, match="method='SPAN' makes images 4 times larger; use super_re"):
        fastrestore.denoise(image, method=loaded("SPAN")[1], channel_axis=-1)
    with pytest.raises(FileNotFoundError, match=r"'none.pth' is neither a file nor one of"):
        fastrestore.denoise(image, method="none.pth", channel_axis=-1)
    with pytest.raises(ValueError, match=r"method must be one of 'auto', .*, got 'nafnet'"):
        fastrestore.denoise(image, method="nafnet", channel_axis=-1)
    with pytest.raises(TypeError, match="method must be a name, a file or a network of fastrest"):
        fastrestore.denoise(image, method=torch.nn.Identity(), channel_axis=-1)
    with pytest.raises(ValueError, match="is a NAFNet, not a UNet; for any network, write method="):
        fastrestore.denoise(image, 5, method="unet", weights=loaded("NAFNet")[1], channel_axis=-1)


def test_a_network_with_an_input_for_sigma(loaded):
    descriptor, net = loaded("FDnCNN")
    assert (net.takes_sigma, net.channels) == (True, 1)
    image = noisy(scene(70, 150), 20)
    result = fastrestore.denoise(image, 20, method=net, data_range=255)
    seen = torch.from_numpy(np.stack([image / 255, np.full(image.shape, 20 / 255)])).float()
    with torch.inference_mode():
        expected = descriptor.model(seen[None])[0, 0].numpy()
    np.testing.assert_allclose(result / 255, expected, atol=1e-5)
    tiled = fastrestore.denoise(image, 20, method=net, data_range=255, tile=64)
    np.testing.assert_allclose(tiled, result, atol=1e-3)
    assert np.abs(fastrestore.denoise(image, 20, method=net, strength=2) - result).max() > 1e-3
    np.testing.assert_array_equal(fastrestore.denoise(image, 20, method=net, strength=0), image)
    with pytest.raises(ValueError, match="model='DnCNN' needs the noise level; use denoise"):
        fastrestore.restore(image, model=net)


def test_plug_and_play(loaded):
    from fastrestore import inverse

    blur = inverse.Blur(np.full((3, 3), 1 / 9), "periodic")
    data = noisy(blur.apply(scene(32, 40)), 2)
    _, net = loaded("FDnCNN")
    options = {"iterations": 2, "data_range": 255.0}
    result = inverse.pnp(data, blur, 2, denoiser=net, **options)
    by_function = inverse.pnp(
        data, blur, 2, **options,
        denoiser=lambda image, sigma: nets.apply(net, image, sigma, data_range=255),
    )  # fmt: skip
    np.testing.assert_array_equal(result, by_function)
    with pytest.raises(TypeError, match="denoiser is a network, NAFNet, that does not take"):
        inverse.pnp(data, blur, 2, denoiser=loaded("NAFNet")[1])


def test_without_spandrel(tmp_path, monkeypatch):
    path = tmp_path / "net.pth"
    torch.save(community_network("SPAN").state_dict(), path)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(ValueError, match=r"net.pth is not .* with spandrel: .* '\.\[community\]'"):
        nets.load(path)
    torch.save(nets.DnCNN(1, 5, 8).state_dict(), path)
    assert nets.load(path).name == "DnCNN"  # needs no other package


def test_a_torchvision_that_does_not_fit(tmp_path, monkeypatch):
    path = tmp_path / "net.pth"
    torch.save(community_network("SPAN").state_dict(), path)

    def fails(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(
        "fastrestore.nets.community.importlib", types.SimpleNamespace(import_module=fails)
    )
    message = r"cannot be imported \(operator torchvision::nms .*\); it needs builds of torch and "
    with pytest.raises(ValueError, match=message):
        nets.load(path)
    assert importlib.import_module("spandrel") is spandrel
