"""Larger images: array types, colors, alpha, tiles, and invalid arguments."""

import doctest
import json

import numpy as np
import pytest
from support.nets import torch_or_skip

torch = torch_or_skip()

from PIL import Image  # noqa: E402
from support.images import scene  # noqa: E402

import fastrestore  # noqa: E402
from fastrestore import nets, restore, super_resolve, super_resolve_video  # noqa: E402
from fastrestore._algorithms import upscale as upscale_module  # noqa: E402
from fastrestore._io.images import read, write  # noqa: E402
from fastrestore._io.picture import Picture  # noqa: E402
from fastrestore.cli import main  # noqa: E402
from fastrestore.nets import SRVGG, DnCNN, SRResNet, UNet  # noqa: E402
from fastrestore.nets.files import save  # noqa: E402


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(3)
    return SRResNet(scale=4, blocks=2, width=8).eval()


@pytest.fixture(scope="module")
def mender():
    torch.manual_seed(4)
    return SRVGG(scale=1, layers=2, width=8).eval()


def colors(height=20, width=31):
    return np.stack([scene(height, width, seed=c) for c in range(3)], -1).clip(0, 255)


def test_color_equals_the_output_of_the_network(net):
    image = colors().astype(np.uint8)
    result = super_resolve(image, model=net, channel_axis=-1)
    with torch.no_grad():
        expected = net(torch.from_numpy(image.transpose(2, 0, 1) / 255)[None].float())[0] * 255
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected.numpy().transpose(1, 2, 0), atol=1e-3)
    first = super_resolve(image.transpose(2, 0, 1), model=net, channel_axis=0)
    np.testing.assert_array_equal(first.transpose(1, 2, 0), result)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.uint16])
def test_types_and_units(net, dtype):
    image = colors().astype(dtype)
    result = super_resolve(image, model=net, channel_axis=-1)
    assert result.dtype == (np.float32 if dtype == np.uint16 else dtype)
    other = super_resolve(image.astype(float) / 100 - 7, model=net, channel_axis=-1)
    np.testing.assert_allclose((other + 7) * 100, result, atol=0.3 if dtype == np.float16 else 1e-3)
    other = super_resolve(image, model=net, channel_axis=-1, data_range=255)
    assert float(np.abs(other.astype(float) - result).max()) > 1e-3  # the range matters


class Eye(SRVGG):
    """A network that returns and records its input."""

    def __init__(self):
        super().__init__(3, scale=1, layers=1, width=1)
        self.seen = []

    def forward(self, image, sigma=None):
        self.seen.append(image.numpy().copy())
        return image


def shown(image, **options):
    """Return the input of the network for a gray image."""
    eye = Eye().eval()
    result = restore(image, model=eye, **options)
    np.testing.assert_allclose(result, image, rtol=1e-5, atol=1e-5 * float(np.abs(image).max()))
    return eye.seen[0][0, 0]


@pytest.mark.parametrize("white", [1.0, 65535])
def test_range_of_the_type_is_scaled_to_0_and_1(white):
    dtype = np.float64 if white == 1 else np.uint16
    y = np.linspace(0.2, 0.3, 16 * 16).reshape(16, 16)
    lights = y.copy()
    lights[5, 6] = 1  # small, and not to be more than white
    for image in (y, lights, np.full((9, 9), 0.25), np.zeros((9, 9))):
        stored = (image * white).astype(dtype)
        np.testing.assert_allclose(shown(stored), stored / white, atol=1e-6)
    dim = np.rint(y / 0.3 * 4095).astype(np.uint16)
    np.testing.assert_allclose(shown(dim, data_range=4095), dim / 4095, atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [(np.float32, 0, 255), (np.float64, -1, 1), (np.uint16, 0, 4095), (np.int16, -900, 30000)],
)
def test_other_ranges_are_measured_from_end_to_end(dtype, low, high):
    image = np.full((40, 40), 0.75 * low + 0.25 * high).astype(dtype)
    image[0, 0], image[5, 5] = low, high  # no more than a pixel
    seen = shown(image)
    assert (seen.min(), seen.max()) == (0, 1)
    assert seen[9, 9] == pytest.approx(0.25, abs=1e-3)


def test_torch_in_torch_out(net):
    image = torch.from_numpy(colors())
    result = super_resolve(image, model=net, channel_axis=-1)
    assert isinstance(result, torch.Tensor)
    assert result.dtype == torch.float64


def test_gray_equals_the_same_image_in_color(net):
    gray = scene(17, 23)
    result = super_resolve(gray, model=net)
    three = super_resolve(np.stack([gray] * 3, -1), model=net, channel_axis=-1)
    assert result.shape == (68, 92)
    np.testing.assert_allclose(result, three.mean(-1), atol=1e-3)


@pytest.mark.parametrize("count", [1, 3])
def test_alpha(net, count):
    """Alpha is bicubic; colors of transparent pixels do not affect their neighbors."""
    image = np.full((24, 24, count + 1), 90, np.uint8)
    image[:, 12:, :count] = 255  # hidden
    image[:, :12, -1], image[:, 12:, -1] = 255, 0
    result = super_resolve(image, model=net, channel_axis=-1)
    plain = np.full((24, 24, count), 90, np.uint8)
    expected = super_resolve(plain, model=net, channel_axis=-1)
    np.testing.assert_allclose(result[..., :count], expected, atol=1e-3)
    alpha = result[..., -1]
    assert alpha.min() == 0
    assert alpha.max() == 255
    assert (np.diff(alpha, axis=1) <= 0).all() or np.abs(np.diff(alpha, axis=1)).max() < 128
    np.testing.assert_allclose(alpha, np.broadcast_to(alpha[:1], alpha.shape), atol=1e-3)
    image[..., -1] = 0  # all hidden: nothing to fill in
    assert np.isfinite(super_resolve(image, model=net, channel_axis=-1)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 5), (7, 33)])
def test_any_size(net, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    result = super_resolve(image, model=net, channel_axis=-1)
    assert result.shape == (4 * shape[0], 4 * shape[1], 3)
    assert np.isfinite(result).all()


def test_tiles_are_exact(net, mender):
    image = colors(70, 90)
    for enlarge, model in ((super_resolve, net), (restore, mender)):
        whole = enlarge(image, model=model, channel_axis=-1, tile=None)
        tiled = enlarge(image, model=model, channel_axis=-1, tile=16)
        assert np.abs(tiled - whole).max() < 1e-5 * 255


def test_restore_keeps_the_size(mender):
    image = colors()
    result = restore(image, model=mender, channel_axis=-1)
    assert result.shape == image.shape
    with_alpha = np.concatenate([image, np.full((*image.shape[:2], 1), 200.0)], -1)
    again = restore(with_alpha, model=mender, channel_axis=-1)
    np.testing.assert_array_equal(again[..., 3], 200)
    np.testing.assert_allclose(again[..., :3], result, atol=1e-3)


def test_constant_images(net):
    for value in (0.0, 7e6):
        result = super_resolve(np.full((9, 9, 3), value), model=net, channel_axis=-1)
        assert np.abs(result - value).max() < 1


def test_files_of_weights(net, tmp_path):
    save(net, tmp_path / "mine.safetensors", sigmas=(0, 0))
    image = colors()
    result = super_resolve(image, model=tmp_path / "mine.safetensors", channel_axis=-1)
    np.testing.assert_allclose(
        result, super_resolve(image, model=net, channel_axis=-1), atol=0.5
    )  # half precision


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"scale": 5},
            ValueError,
            "model='SRResNet' makes images 4 times larger; scale is 5; write scale=4, or a number "
            "from 1 to 4",
        ),
        ({"scale": 0.5}, ValueError, "scale must be a number of 1 or more, got 0.5"),
        ({"scale": np.nan}, ValueError, "scale must be a number of 1 or more, got nan"),
        ({"scale": "2x"}, TypeError, "scale must be a number of 1 or more, got '2x'"),
        ({"scale": (2, 3)}, TypeError, "scale must be a number of 1 or more, got "),
        ({"scale": True}, TypeError, "scale must be a number of 1 or more, got True"),
        (
            {"model": 3},
            TypeError,
            "model must be a name, a file or a network of .*, got 3",
        ),
        ({"model": "none"}, FileNotFoundError, "'none' is neither a file nor one of"),
        ({"model": UNet(3)}, ValueError, "model='UNet' needs the noise level; use denoise"),
        ({"model": DnCNN(), "scale": 1}, ValueError, "model='DnCNN' is for gray images, and this"),
        ({"channel_axis": None}, ValueError, "write channel_axis=2|if axis -1 holds colors"),
        ({"channel_axis": 5}, ValueError, "channel_axis=5 is not an axis"),
        ({"data_range": -1}, ValueError, "data_range"),
        ({"tile": 3}, ValueError, "tile must be 16 pixels or more, 'auto' or None, got 3"),
        ({"device": "tpu"}, ValueError, "device must be 'cpu', 'cuda' or 'cuda:1', got 'tpu'"),
        ({"precision": "int8"}, ValueError, "precision must be one of"),
    ],
)
def test_bad_arguments(net, change, error, message):
    options = {"scale": 4, "model": net, "channel_axis": -1} | change
    with pytest.raises(error, match=message):
        super_resolve(colors(), **options)


def test_bad_images(net):
    with pytest.raises(ValueError, match="image has 5 channels; it must have 1 or 3, or one more"):
        super_resolve(np.zeros((8, 8, 5)), model=net, channel_axis=-1)
    bad = colors()
    bad[3, 4, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinite, 1 in all, the first is nan at \(3, 4"):
        super_resolve(bad, model=net, channel_axis=-1)
    with pytest.raises(
        ValueError, match="'SRResNet' makes images 4 times larger; use super_resolve"
    ):
        restore(colors(), model=net, channel_axis=-1)
    with pytest.raises(TypeError, match="image"):
        super_resolve("photo.png", model=net)


@pytest.mark.parametrize("model", ["srresnet", "srgan"])
def test_a_scale_that_is_not_offered(model):
    with pytest.raises(ValueError, match=f"model='{model}' is for scales from 1 to 4, got scale=5"):
        super_resolve(colors(), 5, model=model, channel_axis=-1)


@pytest.mark.parametrize("scale", [1, 1.5, 2.7, 3, 3.99, np.float32(2.5)])
@pytest.mark.parametrize("shape", [(20, 31, 3), (1, 2, 3), (7, 13)])
def test_scales_between(net, scale, shape):
    """The result of the network, reduced to the rounded size."""
    image = np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)
    axis = -1 if len(shape) == 3 else None
    options = {"model": net, "channel_axis": axis, "data_range": 255}
    result = super_resolve(image, scale, **options)
    size = tuple(round(n * float(scale)) for n in shape[:2])
    assert result.shape == size + shape[2:]
    assert result.dtype == np.float32
    whole = torch.tensor(super_resolve(image, 4, **options))
    planes = torch.movedim(whole, -1, 0) if axis else whole[None]
    expected = torch.nn.functional.interpolate(
        planes[None], size=size, mode="bicubic", antialias=True
    )[0]
    expected = torch.movedim(expected, 0, -1) if axis else expected[0]
    np.testing.assert_allclose(result, expected.numpy(), atol=0.01)


def test_exact_scales_are_those_of_the_network(net):
    image = colors()
    expected = super_resolve(image, 4, model=net, channel_axis=-1)
    for scale in (4.0, np.float64(4), np.int8(4)):
        result = super_resolve(image, scale, model=net, channel_axis=-1)
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("count", [2, 4])
def test_scales_between_with_alpha(net, dtype, count):
    """Alpha is interpolated once, from the image, and stays within its range."""
    white = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    image = np.random.default_rng(0).uniform(0, white, (9, 11, count)).astype(dtype)
    image[..., -1] = white
    image[:4, :5, -1] = 0
    result = super_resolve(image, 2.5, model=net, channel_axis=-1)
    assert result.shape == (22, 28, count)
    assert result[..., -1].min() == 0
    assert result[..., -1].max() == white
    assert (result[:8, :10, -1] == 0).any()
    np.testing.assert_allclose(result[16:, 18:, -1], white, rtol=1e-6)


def test_a_scale_between_is_better_than_cubic():
    """On a drawn scene; the figures for photographs are in the documentation."""
    rows, columns = np.mgrid[:120, :130]
    scene = 128 + 100 * np.sign(np.sin(rows / 9) * np.cos(columns / 7 + rows / 30))
    planes = torch.tensor(scene)[None, None]

    def resized(image, size):
        return torch.nn.functional.interpolate(image, size=size, mode="bicubic", antialias=True)

    small = resized(planes, (48, 52))
    inner = np.s_[8:-8, 8:-8]
    cubic = resized(small, scene.shape)[0, 0].numpy()
    result = super_resolve(np.asarray(small[0, 0]), 2.5, data_range=255)
    errors = [np.square(each - scene)[inner].mean() for each in (result, cubic)]
    assert errors[0] < 0.8 * errors[1]


def test_defaults_add_no_details():
    """The default of images and videos is the network with a pixel loss; `restore` has none."""
    image = colors(10, 12).astype(np.uint8)
    expected = super_resolve(image, model="srresnet", channel_axis=-1)
    np.testing.assert_array_equal(super_resolve(image, channel_axis=-1), expected)
    (frame,) = super_resolve_video([image], channel_axis=-1)
    np.testing.assert_array_equal(frame, expected)
    with pytest.raises(TypeError, match="required keyword-only argument: 'model'"):
        restore(image, channel_axis=-1)


def test_the_network_for_experiments_says_so():
    """No other built-in network keeps the size without an input for the noise level."""
    loaded = {name: nets.load(name) for name in nets.names()}
    same = [name for name, net in loaded.items() if net.scale == 1 and not net.takes_sigma]
    assert same == ["restore-gan-experimental"]
    with pytest.raises(FileNotFoundError, match="did you mean 'restore-gan-experimental'"):
        restore(colors(), model="restore-gan", channel_axis=-1)


def test_default_of_the_command(tmp_path, capsys):
    image = colors(10, 12).astype(np.uint8)
    write(tmp_path / "in.png", Picture(image))
    command = ["upscale", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--quiet"]
    assert main([*command, "--scale", "1"]) == 0
    assert read(tmp_path / "out.png").values.shape == image.shape
    (tmp_path / "out.png").unlink()
    assert main(command) == 0
    expected = super_resolve(image, model="srresnet", channel_axis=-1)
    np.testing.assert_array_equal(
        read(tmp_path / "out.png").values, np.rint(expected.astype(float)).clip(0, 255)
    )


@pytest.fixture
def weights(net, tmp_path):
    save(net, tmp_path / "mine.safetensors", sigmas=(0, 0))
    return str(tmp_path / "mine.safetensors")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("alpha", [False, True])
def test_the_command(weights, tmp_path, dtype, alpha):
    image = colors().astype(dtype) * (1 if dtype == np.uint8 else 200)
    mask = np.full(image.shape[:2], np.iinfo(dtype).max // 3, dtype) if alpha else None
    write(tmp_path / "in.tif", Picture(image, mask))
    out = tmp_path / "out.tif"
    command = ["upscale", str(tmp_path / "in.tif"), "-o", str(out), "--model", weights, "-q"]
    assert main(command) == 0
    picture = read(out)
    assert picture.values.shape == (80, 124, 3)
    assert picture.values.dtype == dtype
    pixels = image if mask is None else np.concatenate([image, mask[..., None]], -1)
    expected = fastrestore.super_resolve(pixels, model=weights, channel_axis=-1)
    bound = np.iinfo(dtype).max
    np.testing.assert_array_equal(
        picture.values, np.rint(expected[..., :3].astype(float)).clip(0, bound)
    )
    if alpha:
        assert (picture.alpha == mask[0, 0]).all()
    assert main(command) == 2  # it is there already


@pytest.mark.parametrize(
    ("kind", "dtype", "suffix"), [("gray", np.uint8, "png"), ("alpha", np.uint16, "png"),
                                  ("color", np.float32, "exr")]
)  # fmt: skip
def test_the_command_between_whole_scales(weights, tmp_path, capsys, kind, dtype, suffix):
    white = 1 if dtype == np.float32 else np.iinfo(dtype).max
    image = (colors() / 255 * white).astype(dtype)
    image = image[..., 0] if kind == "gray" else image
    mask = np.full(image.shape[:2], white // 3, dtype) if kind == "alpha" else None
    source, out = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    write(source, Picture(image, mask))
    command = ["upscale", str(source), "-o", str(out), "--model", weights, "--scale", "2.7"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scale"] == 2.7
    picture = read(out)
    assert picture.values.shape[:2] == (54, 84)
    assert picture.values.dtype == dtype
    axis = None if kind == "gray" else -1
    expected = super_resolve(image, 2.7, model=weights, channel_axis=axis).astype(float)
    bound = np.inf if white == 1 else white
    rounded = expected if white == 1 else np.rint(expected).clip(0, bound)
    np.testing.assert_allclose(
        picture.values, rounded, rtol=1e-6, atol=1 if mask is not None else 0
    )
    if mask is not None:
        assert (picture.alpha == white // 3).all()


def test_command_uses_the_range_of_the_type(weights, tmp_path):
    image = np.rint(colors() * 4095 / 255).astype(np.uint16)
    write(tmp_path / "in.png", Picture(image))
    for words, white in (([], 65535), (["--data-range", "4095"], 4095)):
        command = ["upscale", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), *words]
        assert main([*command, "--model", weights, "--quiet", "--overwrite"]) == 0
        expected = super_resolve(image, model=weights, channel_axis=-1, data_range=white)
        result = read(tmp_path / "out.png").values
        np.testing.assert_array_equal(result, np.rint(expected.astype(float)).clip(0, 65535))


@pytest.mark.filterwarnings("default")
def test_the_command_on_folders(weights, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name in ("b.png", "a.npy"):
        write(tmp_path / "in" / name, Picture(scene(8, 9).clip(0, 255).astype(np.uint8)))
    (tmp_path / "in" / "notes.txt").write_text("")
    command = ["upscale", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--model", weights]
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "in" / "c.jpg")
    (tmp_path / "in" / "more").mkdir()
    assert main(command) == 0
    printed, message = capsys.readouterr()
    assert "in: skipped files that are not images: notes.txt\n" in message
    assert "in: skipped 1 directory: more; add --recursive to include it\n" in message
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.npy", "b.png", "c.jpg"}
    assert f"b.png: {weights}, 4 times, 32 x 36; " in printed
    assert np.load(tmp_path / "out" / "a.npy").shape == (32, 36)
    (tmp_path / "empty").mkdir()
    assert main(["upscale", str(tmp_path / "empty"), "-o", str(tmp_path / "x.png")]) == 2
    assert "empty contains no images" in capsys.readouterr().err


def test_errors_of_the_command(weights, tmp_path, capsys):
    write(tmp_path / "in.png", Picture(scene(8, 9).clip(0, 255).astype(np.uint8)))
    base = ["upscale", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--model"]
    for more, message in (
        (
            [weights, "--scale", "5"],
            "makes images 4 times larger; scale is 5; write --scale 4, or a number from 1 to 4",
        ),
        (["srresnet", "--scale", "4.5"], "--model 'srresnet' is for scales from 1 to 4, got --sc"),
        (["srresnet", "--scale", "0.5"], "--scale 0.5 is not a number from 1 to 4; write for exa"),
        (["srresnet", "--scale", "2x"], "--scale 2x is not a number from 1 to 4; write for examp"),
        (["srresnet", "--scale", "nan"], "--scale nan is not a number from 1 to 4; write for exa"),
        (["pnp"], "--model pnp needs the blur, which only fastrestore.super_resolve"),
        (
            ["restore-gan-experimental"],
            "makes images of the same size; scale is 4; write --scale 1",
        ),
        (["restore-gan"], "did you mean 'restore-gan-experimental'?"),
        (["SRGAN"], "did you mean 'srgan-x4'?"),
        ([weights, "--crf", "20"], "--crf is for videos, and"),
        ([weights, "--lossless"], "--lossless is for videos, and"),
        ([weights, "--pixel-format", "yuv420p"], "--pixel-format is for videos, and"),
        ([weights, "--tile", "2"], "tile must be 16 pixels or more"),
        (["none"], "fastrestore: error: 'none' is neither a file nor one of the built-in weights"),
    ):
        assert main([*base, *more]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()


def test_the_examples():
    result = doctest.testmod(upscale_module)
    assert result.attempted > 0
    assert result.failed == 0
