"""Methods of `denoise`, and the mixture of two of them."""

import numpy as np
import pytest
from support.commandline import fails, read, write
from support.images import noisy, psnr, scene
from support.nets import SMALL, shaken, torch_or_skip

torch = torch_or_skip()

from fastrestore import bm3d, denoise, nets  # noqa: E402
from fastrestore._algorithms.denoise import METHODS  # noqa: E402
from fastrestore._io.images import to_type  # noqa: E402
from fastrestore.cli import main  # noqa: E402
from fastrestore.nets.files import names, save  # noqa: E402


def trained(name, channels=1, most=75):
    net = shaken(SMALL[name](channels))
    net.sigmas = (0.0, most / 255)
    return net


def test_methods_are_the_functions_of_their_names():
    image = noisy(scene(40, 50), 20)
    unet, chain = trained("unet"), trained("dncnn")
    np.testing.assert_array_equal(denoise(image, 20), bm3d(image, 20))
    options = {"profile": "fast", "workers": 1, "backend": "numpy", "data_range": 255}
    np.testing.assert_array_equal(denoise(image, 20, method="bm3d", **options),
                                  bm3d(image, 20, **options))  # fmt: skip
    np.testing.assert_array_equal(
        denoise(image, 20, method="unet", weights=unet), nets.apply(unet, image, 20)
    )
    np.testing.assert_array_equal(
        denoise(image, method="dncnn", weights=chain), nets.apply(chain, image)
    )


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (
            "unet",
            {"profile": "fast"},
            "profile='fast' is not used by method='unet', only by 'auto'",
        ),
        (
            "dncnn",
            {"workers": 2},
            "workers=2 is not used by method='dncnn', only by 'auto', 'bm3d'",
        ),
        ("unet", {"profile": "fast"}, "is not used by method='unet', only by 'auto', 'bm3d', 'hyb"),
        (
            "bm3d",
            {"weights": "unet-gray"},
            "weights='unet-gray' is not used by method='bm3d', only",
        ),
        ("auto", {"tile": None}, "tile=None is not used by method='auto', only by 'dncnn', 'unet'"),
    ],
)
def test_options_of_other_methods(method, options, message):
    with pytest.raises(ValueError, match=message):
        denoise(np.ones((9, 9)), 20, method=method, **options)


def test_bad_input():
    image = np.arange(900.0).reshape(30, 30)
    with pytest.raises(ValueError, match=r"method must be one of 'auto', 'bm3d', .* got 'nlm'"):
        denoise(image, 20, method="nlm")
    for error, profile in ((TypeError, ()), (ValueError, ""), (TypeError, np.ones((2, 2)))):
        with pytest.raises(error, match="profile"):
            denoise(image, 20, profile=profile)
    with pytest.raises(ValueError, match=r"tile=an array of shape \(2,\) is not used by"):
        denoise(image, 20, tile=np.ones(2))
    with pytest.raises(ValueError, match=r"weights=.*DnCNN.* is a DnCNN, not a UNet"):
        denoise(image, 20, method="unet", weights=trained("dncnn"))
    with pytest.raises(
        TypeError, match=r"weights must be a name, a file or a network of .*, got 3"
    ):
        denoise(image, 20, method="dncnn", weights=3)
    with pytest.raises(FileNotFoundError, match=r"'none.pth' is neither a file nor"):
        denoise(image, 20, method="dncnn", weights="none.pth")
    color = {"method": "dncnn", "channel_axis": -1}
    with pytest.raises(ValueError, match=r"images of 1 channels, and .* has 3; restore them one"):
        denoise(np.stack([image] * 3, -1), 20, weights=trained("dncnn"), **color)
    with pytest.raises(ValueError, match=r"images of 3 channels, and .* has 1; write channel_"):
        denoise(image, 20, method="dncnn", weights=trained("dncnn", 3))
    for method, shape in (("dncnn", (9, 9, 1)), ("unet", (9, 9, 3)), ("hybrid", (9, 9, 4))):
        with pytest.raises(ValueError, match=rf"no built-in \w+ for images of {shape[2]} channels"):
            denoise(np.ones(shape), 20, method=method, channel_axis=-1)
    with pytest.raises(ValueError, match="image is empty"):
        denoise(np.ones((0, 9, 9)), 20, method="unet", batch_axis=0)


@pytest.mark.skipif("unet-gray" not in names(), reason="no weights come with the library")
@pytest.mark.parametrize("sigma", [15, 50])
def test_shipped_weights_denoise(sigma):
    clean = scene(120, 120)
    image = noisy(clean, sigma)
    before = psnr(clean, image)
    scores = {m: psnr(clean, denoise(image, sigma, method=m)) for m in METHODS if m != "dncnn"}
    assert min(scores.values()) > before + 4
    assert scores["hybrid"] > max(scores["unet"], scores["bm3d"]) - 0.5


@pytest.fixture
def saved(tmp_path):
    """A noisy image and weights, as files."""
    image = np.clip(noisy(scene(40, 50), 20), 0, 255).astype(np.uint8)
    write(tmp_path / "noisy.png", image)
    for name in ("dncnn", "unet"):
        save(trained(name), tmp_path / f"{name}.safetensors", sigmas=(0, 75))
    return image, tmp_path


@pytest.mark.parametrize("method", ["dncnn", "unet"])
def test_the_command(saved, capsys, method):
    image, folder = saved
    weights = folder / f"{method}.safetensors"
    words = ["denoise", folder / "noisy.png", "-o", folder / "clean.png", "--sigma", "20/255",
             "--method", method, "--weights", weights]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    out, err = capsys.readouterr()
    assert (out.count("\n"), err) == (1, "")
    assert f"clean.png: {method}; " in out
    expected = denoise(image, 20, method=method, weights=weights)
    np.testing.assert_array_equal(read(folder / "clean.png"), to_type(expected, image.dtype))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "bm3d", "--weights", "a.pth"], "--weights is for networks; add --method"),
        (["--method", "unet", "--profile", "fast"], "--profile is for bm3d, not for --method unet"),
        (["--method", "unet", "--workers", "2"], "--workers is for bm3d, not for --method unet"),
        (["--method", "dncnn"], "--method dncnn needs --weights: no network of this kind com"),
        (["--method", "unet", "--weights", "none.pth"], "'none.pth' is neither a file nor one of"),
    ],
)
def test_errors_of_the_command(saved, capsys, words, message):
    _, folder = saved
    given = ["denoise", folder / "noisy.png", "-o", folder / "clean.png", "--sigma", "20/255"]
    assert message in fails(capsys, *given, *words)
    assert not (folder / "clean.png").exists()


MASKED = noisy(scene(40, 50), 20)
VALID = np.random.default_rng(0).random(MASKED.shape) > 0.02
VALID[10:20, 15:30] = False


@pytest.mark.parametrize("method", ["bm3d", "unet", "dncnn"])
@pytest.mark.parametrize("sigma", [None, 20, np.where(VALID, 20.0, np.nan)])
def test_values_of_invalid_pixels_have_no_influence(method, sigma):
    options = {} if method == "bm3d" else {"weights": trained(method)}
    if method == "dncnn" and np.ndim(sigma):
        sigma = 20
    results = []
    for value in (np.nan, np.inf, -6e4):
        given = np.where(VALID, MASKED, value)
        result = denoise(given, sigma, method=method, mask=VALID, **options)
        np.testing.assert_array_equal(result[~VALID], given[~VALID])
        results.append(result[VALID])
    assert np.isfinite(results[0]).all()
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_masks_of_batches_and_colors():
    unet = trained("unet", 3)
    color = np.stack([MASKED, MASKED[::-1], MASKED], -1).astype("f4")
    batch = np.stack([color, color[:, ::-1]], 1)  # (M, B, N, C)
    valid = np.stack([VALID, VALID[:, ::-1]], 1)
    options = {"method": "unet", "weights": unet, "channel_axis": -1}
    given = np.where(valid[..., None], batch, np.nan).astype("f4")
    result = denoise(given, batch_axis=1, mask=valid, **options)
    for k in range(2):
        one = denoise(given[:, k], mask=valid[:, k], **options)
        np.testing.assert_allclose(result[:, k], one, atol=1e-3)
    assert (np.isnan(result) == np.isnan(given)).all()
    tensor = torch.from_numpy(color)
    restored = denoise(tensor, 20, mask=torch.from_numpy(VALID), **options)
    assert isinstance(restored, torch.Tensor)
    np.testing.assert_array_equal(restored.numpy(), denoise(color, 20, mask=VALID, **options))
    assert (restored.numpy()[~VALID] == color[~VALID]).all()
    valid[:, 1] = False
    with pytest.raises(ValueError, match="mask is False everywhere in image 1 of the batch"):
        denoise(given, batch_axis=1, mask=valid, **options)


def test_networks_name_fill_values_and_nan():
    options = {"method": "unet", "weights": trained("unet")}
    for value, message in (
        (1e20, r"image has the value 1e\+20"),
        (np.nan, "image has values that"),
    ):
        image = MASKED.copy()
        image[3, 4] = value
        with pytest.raises(ValueError, match=rf"{message}.*at \(3, 4\).*by mask="):
            denoise(image, 20, **options)
    result = denoise(MASKED, 20, mask=True, **options)
    np.testing.assert_array_equal(result, denoise(MASKED, 20, **options))
