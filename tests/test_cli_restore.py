"""The command line: `fastrestore restore`."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from scipy import ndimage
from support.commandline import NOISE8, fails, names, noisy, photograph, png, read, works

import fastrestore
from fastrestore._io.picture import as_stored
from fastrestore.cli import commands, main
from fastrestore.cli.restore import gaussian
from fastrestore.metrics import psnr


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Work in a folder with a noisy image, and a mask of a line and a dot."""
    monkeypatch.chdir(tmp_path)
    png(tmp_path / "a.png", np.rint(noisy(10)).astype(np.uint8))
    mask = np.zeros((48, 40), np.uint8)
    mask[20:22] = mask[30, 5] = 255
    png(tmp_path / "mask.png", mask)
    return tmp_path


def test_without_options_it_is_denoise(capsys, folder):
    out = works(capsys, "restore", "a.png", "--json")
    fields = json.loads(out)
    assert (fields["noise"]["model"], fields["method"]) == ("white", "bm3d")
    works(capsys, "denoise", "a.png", "-o", "b.png")
    np.testing.assert_array_equal(read(folder / "a-restored.png"), read(folder / "b.png"))
    for words in (["--strength", "0.5"], ["--noise", "white"], ["--sigma", "5/255"]):
        for command in ("restore", "denoise"):
            works(capsys, command, "a.png", "-o", f"{command}.png", "--overwrite", *words)
        results = [read(folder / f"{command}.png") for command in ("restore", "denoise")]
        np.testing.assert_array_equal(*results)


def test_stacks_are_taken_together(capsys, folder):
    values = np.stack([np.rint(noisy(10, seed=k)).astype(np.uint8) for k in range(3)])
    tifffile.imwrite(folder / "z.tif", values, imagej=True, metadata={"axes": "ZYX"})
    out = works(capsys, "restore", "z.tif", "--as", "volume")
    assert "bm4d" in out
    with tifffile.TiffFile("z-restored.tif") as tiff:
        assert tiff.series[0].axes == "ZYX"


def test_missing_pixels_and_noise(capsys, folder):
    image, missing = read(folder / "a.png"), read(folder / "mask.png") > 0
    png(folder / "s.png", np.where(missing, 255, image).astype(np.uint8))
    out = works(capsys, "restore", "s.png", "--mask", "mask.png")
    assert "white noise, sigma " in out
    assert "; bm3d and inpainting, np, " in out
    result = read(folder / "s-restored.png")
    denoised = fastrestore.bm3d(np.where(missing, 0, image), mask=~missing)
    expected = np.rint(np.clip(fastrestore.inpaint(denoised, missing), 0, 255))
    assert np.abs(result - expected).max() <= 1
    assert psnr(photograph(), result, data_range=255) > psnr(photograph(), image, data_range=255)


def test_missing_pixels_of_colors_and_stacks(capsys, folder):
    color = np.stack([read(folder / "a.png")] * 3, -1)
    png(folder / "c.png", color)
    tifffile.imwrite(folder / "z.tif", np.stack([color[..., 0]] * 2))
    works(capsys, "restore", "c.png", "z.tif", "--mask", "mask.png", "-o", "out", "--quiet")
    assert read(folder / "out" / "c.png").shape == color.shape
    assert tifffile.imread(folder / "out" / "z.tif").shape == (2, 48, 40)


@pytest.mark.parametrize("words", [["--blur", "1.5"], ["--psf", "psf.npy"]])
@pytest.mark.parametrize("masked", [False, True])
def test_blur_and_noise(capsys, folder, words, masked):
    np.save("psf.npy", gaussian(1.5))
    clean = np.kron(photograph(), np.ones((2, 2)))
    blurred = ndimage.gaussian_filter(clean, 1.5, truncate=4)
    blurred += np.random.default_rng(0).normal(0, 1, clean.shape)
    missing = np.kron(read(folder / "mask.png"), np.ones((2, 2), np.uint8))
    png(folder / "m.png", missing)
    if masked:
        blurred[missing > 0] = 0
    image = np.rint(np.clip(blurred, 0, 255)).astype(np.uint8)
    png(folder / "b.png", image)
    words = [*words, "--strength", "1.5"]
    out = works(capsys, "restore", "b.png", *words, *["--mask", "m.png"] * masked)
    assert ", strength 1.5; " in out
    assert ("inpainting and deblurring" if masked else "deblurring") in out
    result = read(folder / "b-restored.png")
    if not masked:
        expected = fastrestore.deblur(image, gaussian(1.5), strength=1.5)
        np.testing.assert_array_equal(result, np.rint(np.clip(expected, 0, 255)))
    before, after = (psnr(clean, each, data_range=255) for each in (image, result))
    assert after > before + 1


def test_a_gaussian_has_the_given_spread():
    psf = gaussian(1.5)
    offsets = np.arange(len(psf)) - len(psf) // 2
    assert psf.sum() == pytest.approx(1)
    assert np.sqrt((psf.sum(0) * offsets**2).sum()) == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--blur", "0"], "--blur 0 is not a positive number of pixels, of at most 50"),
        (["--blur", "nan"], "--blur nan is not a positive number"),
        (["--blur", "9"], "a.png: --blur 9 needs an image of at least 73 x 73 pixels"),
        (["--blur", "1", "--psf", "b.npy"],
         "specify the blur once: got both --blur 1 and --psf b.npy"),
        (["--psf", "none.npy"], "none.npy: no such file"),
        (["--blur", "1", "--noise", "camera"], "--noise camera does not apply to blurred images"),
        (["--mask", "mask.png", "--as", "film"],
         "--mask mask.png is for images; leave --as film out"),
        (["--mask", "white.png"], "white.png: no pixel is black, so all pixels are missing"),
        (["--mask", "small.png"], "a.png: mask "),
        (["--sigma", "25"], "--sigma 25 is ambiguous"),
        (["--strength", "-1"], "--strength -1 is not a number from 0 to 2"),
    ],
)  # fmt: skip
def test_wrong_options(capsys, folder, words, message):
    png(folder / "white.png", np.full((48, 40), 255, np.uint8))
    png(folder / "small.png", NOISE8)
    assert message in fails(capsys, "restore", "a.png", *words)
    assert "a-restored.png" not in names(folder)


def test_a_batch_goes_on_after_failures(capsys, folder):
    (folder / "text.png").write_text("text")
    png(folder / "small.png")
    assert main(["restore", "a.png", "text.png", "small.png", "--mask", "mask.png"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("a.png -> a-restored.png: ")
    assert "cannot read text.png" in err
    assert "small.png: mask " in err
    assert "3 files: 1 restored, 2 failed" in err


def test_every_option_of_restore_is_one_of_denoise_or_its_own():
    """The two commands share the code that reads them."""
    parsers = commands.parsers(commands.full_parser())
    dests = {name: {action.dest for action in parsers[name]._actions} for name in parsers}
    assert dests["restore"] - dests["denoise"] == {"mask", "blur", "psf"}


@pytest.mark.parametrize("command", ["restore", "inpaint"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_belong_to_photographs_as_viewers_show_them(capsys, folder, command, orientation):
    shown = np.rint(photograph()).astype(np.uint8)
    mask = read(folder / "mask.png") > 0
    shown[mask] = 255
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(as_stored(shown, orientation)).save("turned.png", exif=exif)
    works(capsys, command, "turned.png", "--mask", "mask.png", "-o", "out.png", "--sigma", "0")
    with Image.open("out.png") as picture:
        result = np.asarray(ImageOps.exif_transpose(picture), int)
    change = np.abs(result - shown)
    assert change[~mask].max() <= 1
    assert change[mask].min() > 1
