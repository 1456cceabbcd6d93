"""The command line: color, alpha and metadata of files, and the options that specify the noise."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from support.commandline import NOISE8, denoise, fails, keep_images, png, read, write
from support.images import camera, psnr, scene

import fastrestore
from fastrestore._io import images, tags
from fastrestore._io.picture import Picture
from fastrestore.cli import main

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def samples(count, dtype):
    top = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, top, (24, 17, count), dtype, endpoint=True)


def stored(path):
    return images.read(path).pixels


def exif():
    made = Image.Exif()
    made[274] = 6  # orientation: turned
    made[271] = "Maker"
    made[306] = "2024:05:06 07:08:09"
    made.get_ifd(0x8769)[33434] = 0.008  # exposure
    made.get_ifd(0x8769)[36867] = "2024:05:06 07:08:08"
    made.get_ifd(0x8825)[1] = "N"
    return made


@pytest.fixture
def identity(monkeypatch):
    return keep_images(monkeypatch)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("source", [".png", ".tif"])
@pytest.mark.parametrize("target", [".png", ".tif"])
def test_color_and_alpha_are_kept(capsys, tmp_path, identity, dtype, count, source, target):
    pixels = samples(count, dtype)
    images.write(tmp_path / f"a{source}", Picture.from_pixels(pixels, alpha=count in (2, 4)))
    denoise(capsys, tmp_path / f"a{source}", "-o", tmp_path / f"b{target}")
    result = stored(tmp_path / f"b{target}")
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, pixels)
    assert identity[0].shape == ((24, 17) if count == 2 else (24, 17, 3))


def png_by_hand(pixels):
    """A 16-bit RGB PNG, encoded by hand from its specification."""

    def chunk(name, body):
        check = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)

    height, width = pixels.shape[:2]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def test_16_bit_color(tmp_path):
    pixels = samples(3, np.uint16)
    (tmp_path / "a.png").write_bytes(png_by_hand(pixels))
    np.testing.assert_array_equal(read(tmp_path / "a.png"), pixels)
    write(tmp_path / "b.png", pixels)  # the reader is right, so the writer is
    np.testing.assert_array_equal(read(tmp_path / "b.png"), pixels)
    write(tmp_path / "c.tif", pixels)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "c.tif"), pixels)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_files_of_pillow(capsys, tmp_path, identity, mode, extension):
    made = Image.fromarray(samples(4, np.uint8)).convert(mode)
    made.save(tmp_path / f"a{extension}")
    denoise(capsys, tmp_path / f"a{extension}", "-o", tmp_path / f"b{extension}")
    back = Image.open(tmp_path / f"b{extension}")
    assert back.mode == mode
    np.testing.assert_array_equal(np.asarray(back), np.asarray(made))


@pytest.mark.parametrize("options", [{"planarconfig": "separate"}, {"compression": "zlib"}, {}])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_tiff_layouts(capsys, tmp_path, identity, options, dtype):
    pixels = samples(3, np.uint16).astype(dtype)
    data = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", **options)
    denoise(capsys, tmp_path / "a.tif", "-o", tmp_path / "b.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), pixels)


def test_tiff_of_many_channels(capsys, tmp_path, identity):
    pixels = samples(6, np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig")
    denoise(capsys, tmp_path / "a.tif", "-o", tmp_path / "b.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), pixels)
    assert identity[0].shape == pixels.shape
    words = ("denoise", tmp_path / "a.tif", "-o", tmp_path / "c.png", "--sigma", "9/255")
    line = fails(capsys, *words, status=1)
    assert "PNG stores gray or RGB, and" in line


@pytest.mark.parametrize("source", [".png", ".tif"])
@pytest.mark.parametrize("target", [".png", ".tif"])
def test_profile_and_exif_are_kept(capsys, tmp_path, identity, source, target):
    made = Image.fromarray(samples(3, np.uint8))
    made.save(tmp_path / "made.png", icc_profile=PROFILE, exif=exif(), dpi=(300, 300))
    denoise(capsys, tmp_path / "made.png", "-o", tmp_path / f"a{source}")
    denoise(capsys, tmp_path / f"a{source}", "-o", tmp_path / f"b{target}")
    np.testing.assert_array_equal(stored(tmp_path / f"b{target}"), np.asarray(made))
    with Image.open(tmp_path / f"b{target}") as back:  # not loaded: Pillow would turn a TIFF
        assert back.info["icc_profile"] == PROFILE
        kept = back.getexif()
        assert kept[274] == 6
        assert kept[271] == "Maker"
        assert kept.get_ifd(0x8769)[33434] == pytest.approx(0.008)
        assert kept.get_ifd(0x8769)[36867] == "2024:05:06 07:08:08"
        assert kept.get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize("target", [".png", ".tif"])
def test_profile_and_exif_of_jpeg_are_kept(capsys, tmp_path, identity, target):
    made = Image.fromarray(samples(3, np.uint8))
    made.save(tmp_path / "a.jpg", icc_profile=PROFILE, exif=exif())
    denoise(capsys, tmp_path / "a.jpg", "-o", tmp_path / f"b{target}")
    with Image.open(tmp_path / f"b{target}") as back:  # not loaded: Pillow would turn a TIFF
        assert back.info["icc_profile"] == PROFILE
        assert back.getexif()[274] == 6
        assert back.getexif().get_ifd(0x8769)[33434] == pytest.approx(0.008)
    assert stored(tmp_path / f"b{target}").shape == (24, 17, 3)  # not turned
    made.save(tmp_path / "c.jpg", exif=b"Exif\0\0damaged")
    denoise(capsys, tmp_path / "c.jpg", "-o", tmp_path / f"c{target}")


@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_resolution_is_kept(capsys, tmp_path, identity, extension):
    Image.fromarray(NOISE8).save(tmp_path / f"a{extension}", dpi=(300, 300))
    denoise(capsys, tmp_path / f"a{extension}", "-o", tmp_path / f"b{extension}")
    with Image.open(tmp_path / f"b{extension}") as back:
        assert back.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_exif_is_read_from_both_byte_orders():
    for order in ("<", ">"):
        file = io.BytesIO()
        tifffile.imwrite(file, NOISE8, byteorder=order, extratags=[(274, "H", 1, 8, True)])
        assert tags.parse(file.getvalue())[274].data == b"\x08\0"


def test_chunks_of_png_are_copied(capsys, tmp_path, identity):
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("Title", "a name")
    texts.add(b"gAMA", (45455).to_bytes(4, "big"))
    Image.fromarray(NOISE8).save(tmp_path / "a.png", pnginfo=texts, dpi=(72, 72))
    denoise(capsys, tmp_path / "a.png", "-o", tmp_path / "b.png")
    back = Image.open(tmp_path / "b.png")
    back.load()
    assert back.text["Title"] == "a name"
    assert back.info["gamma"] == pytest.approx(0.45455)
    assert back.info["dpi"] == pytest.approx((72, 72), abs=0.1)


def test_png_with_a_transparent_color(capsys, tmp_path, identity):
    Image.fromarray(NOISE8).save(tmp_path / "a.png", transparency=3)
    denoise(capsys, tmp_path / "a.png", "-o", tmp_path / "b.png")
    result = images.read(tmp_path / "b.png")
    np.testing.assert_array_equal(result.values, NOISE8)
    np.testing.assert_array_equal(result.alpha, np.where(NOISE8 == 3, 0, 255))


@pytest.mark.parametrize("axis", [0, 2, -1, -3])
def test_npy_with_channels(capsys, tmp_path, identity, axis):
    pixels = np.moveaxis(samples(3, np.uint16), -1, axis)
    np.save(tmp_path / "a.npy", pixels)
    denoise(capsys, tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--channel-axis", axis)
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), pixels)
    denoise(capsys, tmp_path / "a.npy", "-o", tmp_path / "b.png", "--channel-axis", axis)
    np.testing.assert_array_equal(read(tmp_path / "b.png"), np.moveaxis(pixels, axis, -1))


def test_invalid_channel_axis(capsys, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((8, 8, 3)))
    base = ("denoise", tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--sigma", "0.1")
    assert "specify channel_axis, for example -1 for the last axis" in fails(
        capsys, *base, status=1
    )
    assert "channel_axis=5 is not an axis of" in fails(
        capsys, *base, "--channel-axis", "5", status=1
    )
    image = png(tmp_path / "a.png")
    line = fails(
        capsys, "denoise", image, "-o", tmp_path / "b.png", "--sigma", "9/255",
        "--channel-axis", "-1", status=1,
    )  # fmt: skip
    assert "channel_axis=-1 applies to .npy only" in line


def run(tmp_path, image, *options):
    """Denoise an array through files."""
    np.save(tmp_path / "in.npy", image)
    paths = [str(tmp_path / "in.npy"), "-o", str(tmp_path / "out.npy"), "--overwrite"]
    assert main(["denoise", *paths, *map(str, options)]) == 0
    return np.load(tmp_path / "out.npy")


def test_color_equals_bm3d(tmp_path):
    clean = np.stack([scene(40, 40), 0.6 * scene(40, 40), scene(40, 40, seed=3)], axis=-1)
    image = clean + 20 * np.random.default_rng(0).standard_normal(clean.shape)
    axis = ("--channel-axis", -1)
    for space in ("opp", "ycbcr", "pca", "none"):
        expected = fastrestore.bm3d(
            image, 20, channel_axis=-1, colorspace=None if space == "none" else space
        )
        result = run(tmp_path, image, *axis, "--sigma", 20, "--colorspace", space)
        np.testing.assert_array_equal(result, expected)
    half = run(tmp_path, image, *axis, "--sigma", 20, "--blend", 0.5)
    expected = (fastrestore.bm3d(image, 20, channel_axis=-1) + image) / 2
    np.testing.assert_allclose(half, expected, atol=1e-9)
    more = run(tmp_path, image, *axis, "--sigma", 20, "--chroma-strength", 2)
    expected = fastrestore.bm3d(image, 20, channel_axis=-1, chroma_strength=2)
    np.testing.assert_array_equal(more, expected)


def test_signal_dependent_noise(tmp_path):
    clean = 0.5 * scene(64, 64)
    image = 2 * np.random.default_rng(0).poisson(clean / 2).astype(float)
    model = fastrestore.PoissonGaussian(2, 0)
    result = run(tmp_path, image, "--noise", "poisson:2,0")
    np.testing.assert_array_equal(result, fastrestore.bm3d(image, noise=model))
    estimated = run(tmp_path, image, "--noise", "poisson:auto")
    assert psnr(clean, estimated) > psnr(clean, image) + 3
    both = np.stack([image, image], axis=-1)
    color = run(tmp_path, both, "--noise", "poisson:auto", "--channel-axis", -1)
    np.testing.assert_array_equal(color[..., 0], estimated)


def test_poisson_auto_with_zero_gain_equals_sigma(tmp_path):
    image = np.tile(scene(64, 64), (1, 2))
    image += 20 * np.random.default_rng(5).standard_normal(image.shape) * (2 - image / 255)
    gain, sigma = fastrestore.estimate_poisson_gaussian(image)
    assert gain == 0
    result = run(tmp_path, image, "--noise", "poisson:auto")
    np.testing.assert_array_equal(result, fastrestore.bm3d(image, sigma))


def test_correlated_noise(tmp_path):
    clean = camera(60, 100, 96, 96)
    kernel = np.full((1, 9), 5.0)
    white = np.random.default_rng(0).standard_normal((96, 104))
    image = clean + sum(5 * white[:, k : k + 96] for k in range(9))
    np.save(tmp_path / "kernel.npy", kernel)
    np.save(tmp_path / "psd.npy", fastrestore.psd_from_kernel(kernel, image.shape))
    denoised = run(tmp_path, image, "--kernel", tmp_path / "kernel.npy")
    np.testing.assert_array_equal(denoised, fastrestore.bm3d(image, noise_kernel=kernel))
    assert psnr(clean, denoised) > psnr(clean, run(tmp_path, image, "--sigma", 15)) + 2
    spectral = run(tmp_path, image, "--psd", tmp_path / "psd.npy", "--profile", "refilter")
    assert psnr(clean, spectral) > psnr(clean, denoised) - 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sigma", "1", "--psd", "p.npy"], "specify the noise once: got both --sigma 1 and"),
        (["--psd", "p.npy", "--sigma-scale", "8bit"], "--sigma-scale 8bit needs --sigma"),
        (["--noise", "poisson:1"], "--noise poisson:1 is not poisson:GAIN,SIGMA"),
        (["--noise", "poisson:0,1"], "--noise poisson:0,1 is not poisson:GAIN,SIGMA"),
        (["--noise", "gauss:1,1"], "--noise gauss:1,1 is none of auto, white,"),
        (["--noise", "poisson:1,2,3,4"], "--noise poisson:1,2,3,4 is not poisson:GAIN,SIGMA or"),
        (["--noise", "poisson:1,2,inf"], "--noise poisson:1,2,inf is not poisson:GAIN,SIGMA or"),
        (["--noise", "rician:1,2"], "--noise rician:1,2 is not rician:SIGMA"),
        (["--noise", "none.npz"], "none.npz: No such file or directory"),
        (["--noise", "bad.npz"], "--noise: bad.npz is truncated or damaged: File is not a zip"),
        (["--strength", "-1"], "--strength -1 is not a number from 0 to 2; 1 is"),
        (["--strength", "nan"], "--strength nan is not a number from 0 to 2"),
        (["--strength", "2.1"], "--strength 2.1 is not a number from 0 to 2"),
        (["--sigma", "9/255", "--blend", "2"], "--blend 2 is not a number from 0 to 1"),
        (["--sigma", "9/255", "--chroma-strength", "0"], "--chroma-strength 0 is not a positive"),
        (["--psd", "p.npy"], "p.npy: no such file"),
        (["--sigma", "9/255", "--colorspace", "lab"], "invalid choice: 'lab'"),
    ],
)
def test_bad_options(capsys, monkeypatch, tmp_path, options, message):
    monkeypatch.chdir(tmp_path)
    png(tmp_path / "a.png")
    (tmp_path / "bad.npz").write_bytes(b"bad")
    assert message in fails(capsys, "denoise", "a.png", "-o", "b.png", *options)
    assert not (tmp_path / "b.png").exists()


def test_chroma_strength_without_a_luminance():
    image = np.stack([scene(24, 24)] * 3, axis=-1)
    with pytest.raises(ValueError, match=r"chroma_strength=2 is for colors; write channel_axis="):
        fastrestore.bm3d(image[..., 0], 5, chroma_strength=2)
    with pytest.raises(ValueError, match=r"chroma_strength=2 is for color transforms"):
        fastrestore.bm3d(image, 5, channel_axis=-1, colorspace=None, chroma_strength=2)
    with pytest.raises(ValueError, match=r"chroma_strength must be a number above 0, .*, got -1"):
        fastrestore.bm3d(image, 5, channel_axis=-1, chroma_strength=-1)
