"""Pictures that are only read, converted, or refused: inks, raw files and formats not written."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from support.commandline import fails, works
from support.pictures import PROFILE, XMP, exif, present, smooth, values

from fastrestore._io import images, tags
from fastrestore._io.formats import FORMATS
from fastrestore._io.picture import Picture


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_inks_are_converted_by_their_profile(tmp_path, name):
    Image.new("CMYK", (20, 10), (200, 30, 0, 10)).save(tmp_path / name)
    with pytest.warns(UserWarning, match=r"a\....: CMYK without a profile; its colors are approx"):
        picture = images.read(tmp_path / name)
    with Image.open(tmp_path / name) as opened:
        np.testing.assert_array_equal(picture.values, np.asarray(opened.convert("RGB")))
    assert picture.icc is not None


def test_the_profile_of_inks_is_used(tmp_path, monkeypatch):
    """It is the color management of Pillow that applies it."""
    used = []

    def convert(image, profile, target, outputMode):
        used.append(profile.read())
        return image.convert(outputMode)

    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    Image.new("CMYK", (20, 10)).save(tmp_path / "a.jpg", icc_profile=b"profile of inks")
    assert images.read(tmp_path / "a.jpg").icc[36:40] == b"acsp"  # of sRGB
    assert used == [b"profile of inks"]


def test_a_header_that_claims_too_much(capsys, tmp_path, monkeypatch):
    images.write(tmp_path / "a.png", Picture(smooth()))
    monkeypatch.setenv("FASTRESTORE_MAX_IMAGE_GB", "1e-5")
    assert "60 x 47" in works(capsys, "info", tmp_path / "a.png")
    monkeypatch.setenv("FASTRESTORE_MAX_IMAGE_GB", "1e-6")
    line = fails(capsys, "info", tmp_path / "a.png")
    assert line.startswith(f"cannot read {tmp_path / 'a.png'}: its header claims 60 x 47 pixels")
    assert "FASTRESTORE_MAX_IMAGE_GB" in line
    monkeypatch.setenv("FASTRESTORE_MAX_IMAGE_GB", "many")
    assert "FASTRESTORE_MAX_IMAGE_GB='many' is not a number" in fails(
        capsys, "info", tmp_path / "a.png"
    )
    monkeypatch.delenv("FASTRESTORE_MAX_IMAGE_GB")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = struct.pack(">II", 200_000, 200_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    assert "header claims" in fails(capsys, "info", tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.jp2", "a.webp", "a.bmp"])
def test_formats_of_other_programs_are_read(tmp_path, name):
    options = {"a.jp2": {"irreversible": False}, "a.webp": {"lossless": True}}.get(name, {})
    for count in (3, 4):
        Image.fromarray(smooth(count)).save(tmp_path / name, **options)
        picture = images.read(tmp_path / name)
        np.testing.assert_array_equal(picture.pixels, smooth(count))
        assert (picture.alpha is not None) == (count == 4)
    assert images.output_name(tmp_path / "a.jp2") == "a.tif"


def box(name, body):
    return struct.pack(">I", len(body) + 8) + name + body


def test_jpeg_xl_is_read(tmp_path):
    """The orientation is that of the file, which its EXIF may contradict."""
    import OpenImageIO

    pixels = values("uint16", 4)
    spec = OpenImageIO.ImageSpec(47, 60, 4, "uint16")
    spec.attribute("oiio:UnassociatedAlpha", 1)
    spec.attribute("ICCProfile", f"uint8[{len(PROFILE)}]", np.frombuffer(PROFILE, np.uint8))
    out = OpenImageIO.ImageOutput.create("jpegxl")
    assert out.open(str(tmp_path / "a.jxl"), spec)
    assert out.write_image(pixels)
    assert out.close()
    data = (tmp_path / "a.jxl").read_bytes()
    at = data.index(b"ftyp") + 16  # after the boxes that begin each file
    made = exif()
    made[282], made[283], made[296] = 300.0, 200.0, 2  # the resolution
    added = box(b"Exif", bytes(4) + made.tobytes()[6:]) + box(b"xml ", XMP)
    (tmp_path / "a.jxl").write_bytes(data[:at] + added + data[at:])
    picture = images.read(tmp_path / "a.jxl")
    np.testing.assert_array_equal(picture.pixels, pixels)
    form = next(form for form in FORMATS if form.name == "JPEG XL")
    assert present(picture) == form.keeps


def test_radiance_hdr_is_read(tmp_path):
    pixel = bytes([128, 64, 32, 129])  # shared exponent: 1, 0.5, 0.25
    for axes, turned in (("-Y 9 +X 5", 1), ("+Y 9 +X 5", 4)):
        head = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n{axes}\n"
        (tmp_path / "a.hdr").write_bytes(head.encode() + pixel * 45)
        picture = images.read(tmp_path / "a.hdr")
        assert (picture.values.shape, picture.orientation) == ((9, 5, 3), turned)
        np.testing.assert_allclose(picture.values[0, 0], [1, 0.5, 0.25], rtol=0.01)


def psd_file(path, pixels):
    """Write a flat Photoshop file with a color profile, as its specification says."""
    height, width, count = pixels.shape
    bits = 8 * pixels.itemsize
    block = b"8BIM" + struct.pack(">HHI", 1039, 0, len(PROFILE)) + PROFILE
    path.write_bytes(
        b"8BPS" + struct.pack(">H6xHIIHH", 1, count, height, width, bits, 3)  # 3 is RGB
        + bytes(4) + struct.pack(">I", len(block)) + block + bytes(4)  # no palette, no layers
        + bytes(2) + np.moveaxis(pixels, -1, 0).astype(f">u{bits // 8}").tobytes()
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_photoshop_is_read(tmp_path, dtype):
    pixels = values(dtype, 3)
    psd_file(tmp_path / "a.psd", pixels)
    picture = images.read(tmp_path / "a.psd")
    assert picture.values.dtype == dtype
    np.testing.assert_array_equal(picture.values, pixels)
    assert present(picture) == {"ICC"}


def test_16_bits_of_jpeg_2000(tmp_path):
    pixels = values("uint16", 1)
    Image.fromarray(pixels).save(tmp_path / "a.jp2")
    np.testing.assert_array_equal(images.read(tmp_path / "a.jp2").values, pixels)


def test_fits_is_refused(capsys, tmp_path):
    (tmp_path / "a.fits").write_bytes(b"SIMPLE  =                    T")
    line = fails(capsys, "info", tmp_path / "a.fits")
    assert line.startswith(f"{tmp_path / 'a.fits'}: FITS is neither read nor written; convert it")


def raw_file(path):
    """Write a camera raw file (DNG) of gray that gets brighter."""
    mosaic = np.tile(np.linspace(100, 4000, 96, dtype=np.uint16), (64, 1))
    extra = [
        (271, "s", 0, "Maker", True), (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, bytes([0, 1, 1, 2]), True), (50706, "B", 4, bytes([1, 4, 0, 0]), True),
        (50708, "s", 0, "Maker One", True), (50717, "H", 1, 4095, True),
        (50721, "2i", 9, (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1), True),
        (50778, "H", 1, 21, True),
    ]  # fmt: skip
    tifffile.imwrite(path, mosaic, photometric=32803, extratags=extra, metadata=None)
    return mosaic


def test_camera_raw(capsys, tmp_path):
    raw_file(tmp_path / "a.dng")
    picture = images.read(tmp_path / "a.dng")
    assert picture.values.shape == (64, 96, 3)
    assert picture.values.dtype == np.uint16
    blocks = picture.values[16:48, 8:-8].astype(float).mean((0, 2)).reshape(10, 8).mean(1)
    assert (np.diff(blocks) > 0).all()
    assert tags.bytes_of(picture.tags, 271) == b"Maker\0"
    assert images.output_name(tmp_path / "a.dng") == "a.tif"
    (tmp_path / "a.dng").write_bytes(b"II*\0 no raw file")
    assert "it is damaged, or no camera raw file" in fails(capsys, "info", tmp_path / "a.dng")
