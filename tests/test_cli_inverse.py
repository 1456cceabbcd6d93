"""``fastrestore deblur``, ``inpaint``, ``sharpen`` and ``streaks``: files in, files out."""

import re

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from support.images import scene

import fastrestore
from fastrestore._io.images import read, write
from fastrestore._io.picture import Picture
from fastrestore.cli import main

BOX = np.full((3, 3), 1 / 9)


@pytest.fixture
def soft(tmp_path):
    """A blurred 8-bit image, with its point spread function beside it."""
    rng = np.random.default_rng(0)
    image = ndimage.convolve(scene(48, 56), BOX, mode="reflect") + rng.normal(0, 2, (48, 56))
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    write(tmp_path / "in.png", Picture(image))
    np.save(tmp_path / "psf.npy", BOX)
    return image


def command(tmp_path, name, *more, source="in.png", target="out.png"):
    command = [name, str(tmp_path / source), "-o", str(tmp_path / target), *more, "--quiet"]
    status = main([str(word) for word in command])
    return read(tmp_path / target).values if status == 0 else status


def as_bytes(result):
    return np.clip(np.rint(result.astype(float)), 0, 255).astype(np.uint8)


def test_deblur(tmp_path, soft):
    out = command(tmp_path, "deblur", "--psf", tmp_path / "psf.npy", "--sigma", "2/255")
    np.testing.assert_array_equal(out, as_bytes(fastrestore.deblur(soft, BOX, 2)))


def test_deblur_with_an_image_of_the_psf(tmp_path, soft):
    Image.fromarray(np.full((3, 3), 200, np.uint8)).save(tmp_path / "psf.png")
    more = ["--psf", tmp_path / "psf.png", "--sigma", "auto", "--boundary", "taper"]
    out = command(tmp_path, "deblur", *more)
    np.testing.assert_array_equal(out, as_bytes(fastrestore.deblur(soft, BOX, boundary="taper")))
    out = command(tmp_path, "deblur", *more, "--method", "pnp", target="other.png")
    expected = fastrestore.deblur(soft, BOX, boundary="taper", method="pnp")
    np.testing.assert_array_equal(out, as_bytes(expected))


def test_deblur_with_a_color_image_of_the_psf(tmp_path, soft, capsys):
    point = np.full((3, 3, 3), 200, np.uint8)
    Image.fromarray(point).save(tmp_path / "psf.png")
    out = command(tmp_path, "deblur", "--psf", tmp_path / "psf.png", "--sigma", "2/255")
    np.testing.assert_array_equal(out, as_bytes(fastrestore.deblur(soft, BOX, 2)))
    point[1, 1, 0] = 9
    Image.fromarray(point).save(tmp_path / "red.png")
    assert command(tmp_path, "deblur", "--psf", tmp_path / "red.png", target="other.png") != 0
    error = capsys.readouterr().err
    assert "channels of the point spread function of shape (3, 3, 3) differ" in error


@pytest.mark.parametrize(("value", "words"), [(-1, "negative values"), (np.nan, "not finite")])
def test_a_wrong_psf_is_named(tmp_path, soft, capsys, value, words):
    np.save(tmp_path / "wrong.npy", np.where(np.eye(3) == 1, value, 1.0))
    assert command(tmp_path, "deblur", "--psf", tmp_path / "wrong.npy") != 0
    error = capsys.readouterr().err
    assert "wrong.npy: the point spread function has " in error
    assert words in error
    assert "in.png" not in error


def test_inpaint(tmp_path, soft):
    mask = np.random.default_rng(0).random(soft.shape) < 0.5
    Image.fromarray(mask).convert("L").save(tmp_path / "mask.png")
    out = command(tmp_path, "inpaint", "--mask", tmp_path / "mask.png")
    np.testing.assert_array_equal(out, as_bytes(fastrestore.inpaint(soft, mask)))
    np.testing.assert_array_equal(out[~mask], soft[~mask])
    more = ["--sigma", "2", "--sigma-scale", "8bit", "--iterations", "3"]
    out = command(tmp_path, "inpaint", "--mask", tmp_path / "mask.png", *more, target="other.png")
    expected = fastrestore.inpaint(soft, mask, 2, iterations=3)
    np.testing.assert_array_equal(out, as_bytes(expected))


def test_mask_of_booleans(tmp_path, soft):
    mask = np.random.default_rng(0).random(soft.shape) < 0.3
    np.save(tmp_path / "mask.npy", mask)
    out = command(tmp_path, "inpaint", "--mask", tmp_path / "mask.npy")
    np.testing.assert_array_equal(out, as_bytes(fastrestore.inpaint(soft, mask)))


def test_mask_from_an_alpha_channel(tmp_path, soft):
    """Opaque pixels of the layer are missing."""
    mask = np.random.default_rng(0).random(soft.shape) < 0.3
    layer = np.zeros((*soft.shape, 4), np.uint8)
    layer[..., 3] = 255 * mask
    Image.fromarray(layer).save(tmp_path / "layer.png")
    out = command(tmp_path, "inpaint", "--mask", tmp_path / "layer.png")
    np.testing.assert_array_equal(out, as_bytes(fastrestore.inpaint(soft, mask)))
    layer[..., 0], layer[..., 3] = 255 * mask, 255
    Image.fromarray(layer).save(tmp_path / "opaque.png")
    again = command(tmp_path, "inpaint", "--mask", tmp_path / "opaque.png", target="again.png")
    np.testing.assert_array_equal(again, out)


def test_deblur_estimates_sigma(tmp_path, soft):
    np.save(tmp_path / "psf.npy", BOX)
    out = command(tmp_path, "deblur", "--psf", tmp_path / "psf.npy")
    np.testing.assert_array_equal(out, as_bytes(fastrestore.deblur(soft, BOX)))


@pytest.mark.parametrize("sigma", [[], ["--sigma", "4/255"]])
def test_strength_multiplies_the_noise_level(tmp_path, soft, sigma):
    np.save(tmp_path / "psf.npy", BOX)
    level = 4 if sigma else None
    out = command(tmp_path, "deblur", "--psf", tmp_path / "psf.npy", "--strength", "0.5", *sigma)
    expected = fastrestore.deblur(soft, BOX, level, strength=0.5)
    np.testing.assert_array_equal(out, as_bytes(expected))
    assert not np.array_equal(expected, fastrestore.deblur(soft, BOX, level))
    out = command(tmp_path, "sharpen", "--strength", "0.5", *sigma, target="sharp.png")
    sharp = fastrestore.sharpen(soft, level, strength=0.5)
    np.testing.assert_array_equal(out, as_bytes(sharp))
    assert not np.array_equal(sharp, fastrestore.sharpen(soft, level))
    if sigma:
        np.testing.assert_array_equal(sharp, fastrestore.sharpen(soft, 2))


def test_strength_of_inpaint_and_streaks(tmp_path, soft):
    mask = np.zeros(soft.shape, bool)
    mask[5:9, 4:8] = True
    Image.fromarray(mask).save(tmp_path / "mask.png")
    words = ["--mask", tmp_path / "mask.png", "--sigma", "4/255", "--strength", "0.5"]
    out = command(tmp_path, "inpaint", *words)
    np.testing.assert_array_equal(out, as_bytes(fastrestore.inpaint(soft, mask, 2)))
    np.save(tmp_path / "in.npy", soft.astype(np.float32))
    out = command(tmp_path, "streaks", "--strength", "0", source="in.npy", target="out.npy")
    np.testing.assert_array_equal(out, soft)


def test_sharpen_shows_noise_and_alpha(tmp_path, soft, capsys):
    assert main(["sharpen", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png")]) == 0
    line = capsys.readouterr().out
    assert re.search(r"noise, sigma [\d.]+; bm3d, np, \w+, alpha 1\.2; ", line)


def test_sharpen_in_color_with_alpha(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)
    alpha = np.arange(480).reshape(20, 24).astype(np.uint8)
    write(tmp_path / "in.png", Picture(colors, alpha))
    out = command(tmp_path, "sharpen", "--sigma", "5/255", "--alpha", "1.2")
    expected = fastrestore.sharpen(colors, 5, 1.2, channel_axis=-1)
    np.testing.assert_array_equal(out, as_bytes(expected))
    np.testing.assert_array_equal(read(tmp_path / "out.png").alpha, alpha)


@pytest.mark.parametrize("stack", [False, True])
def test_streaks(tmp_path, stack):
    rng = np.random.default_rng(0)
    sinogram = (50 + rng.normal(0, 1, (3, 1, 90)) + np.zeros((3, 60, 1))).astype(np.float32)
    if stack:
        np.save(tmp_path / "in.npy", sinogram)
        out = command(tmp_path, "streaks", source="in.npy", target="out.npy")
        np.testing.assert_array_equal(out, fastrestore.remove_streaks(sinogram))
    else:
        write(tmp_path / "in.tif", Picture(sinogram[0]))
        out = command(tmp_path, "streaks", "--strength", "2", source="in.tif", target="out.tif")
        np.testing.assert_array_equal(out, fastrestore.remove_streaks(sinogram[0], strength=2))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["deblur", "--sigma", "2/255"], "arguments are required: --psf"),
        (["deblur", "--sigma", "2/255", "--psf", "no.npy"], "no.npy"),
        (
            ["deblur", "--sigma", "2/255", "--psf", "large.npy"],
            "is larger than the image, (48, 56)",
        ),
        (["deblur", "--sigma", "2/255", "--psf", "twice.npy"], "psf must sum to 1, got 2"),
        (["deblur", "--sigma", "2/255", "--psf", "black.png"], "point spread function is all 0"),
        (
            ["deblur", "--sigma", "2/255", "--psf", "psf.npy", "--denoiser", "unet"],
            "needs --method pnp",
        ),
        (["inpaint", "--mask", "psf.npy"], "mask has shape (3, 3), but the image has"),
        (["inpaint", "--mask", "in.png"], "all"),
        (["inpaint", "--mask", "black.png", "--sigma", "auto"], "missing pixels from noise"),
        (["inpaint", "--mask", "psf.jpg"], "JPEG adds artifacts around marks; save the mask"),
        (
            ["inpaint", "--mask", "black.png"],
            "the mask is all black, so no pixel",
        ),
        (["sharpen", "--alpha", "0.5"], "alpha must be a number from 1 to 1e+09, got 0.5"),
        (["sharpen", "--sigma", "5"], "--sigma 5/255"),
        (["streaks", "--angle-axis", "5"], "angle_axis=5 is not an axis"),
        (["streaks", "--angle-axis", "1"], "are the same axis"),
        (["streaks", "--strength", "-1"], "--strength -1 is not a number from 0 to 2; 1 is the"),
        (["sharpen", "--strength", "nan"], "--strength nan is not a number from 0 to 2"),
        (
            ["deblur", "--psf", "psf.npy", "--strength", "3"],
            "--strength 3 is not a number from 0 to 2",
        ),
        (
            ["inpaint", "--mask", "psf.npy", "--strength", "0.5"],
            "--strength 0.5 multiplies --sigma, which is 0; add --sigma",
        ),
        (["upscale", "--strength", "0.5"], "fastrestore upscale has no --strength: networks for"),
    ],
)
def test_errors_are_one_line(tmp_path, capsys, soft, words, message):
    np.save(tmp_path / "twice.npy", 2 * BOX)
    np.save(tmp_path / "large.npy", np.full((60, 1), 1 / 60))
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(tmp_path / "black.png")
    known = [str(tmp_path / w) if w.endswith((".npy", ".png")) else w for w in words]
    assert command(tmp_path, *known) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_streaks_of_a_color_image_raises(tmp_path, capsys):
    write(tmp_path / "in.png", Picture(np.zeros((9, 9, 3), np.uint8)))
    assert command(tmp_path, "streaks") == 2
    assert "write stacks of sinograms as .npy" in capsys.readouterr().err
