"""Odd and malformed pictures: read as they are meant, or refused in one line."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.commandline import fails

from fastrestore._arrays import resources
from fastrestore._io import images
from fastrestore._io.errors import FileError
from fastrestore._io.picture import Picture

COLORS = np.random.default_rng(0).integers(0, 256, (30, 23, 3), np.uint8)
GRAY, PALETTE, GRAY_ALPHA = 0, 3, 4  # types of color in PNG
ROWS = zlib.compress(bytes(5) * 4)  # of 4 x 4 pixels


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(data, size=(4, 4), bits=8, color=GRAY, between=b"", rest=bytes(3)):
    header = chunk(b"IHDR", struct.pack(">IIBB", *size, bits, color) + rest)
    return (b"\x89PNG\r\n\x1a\n" + header + between + chunk(b"IDAT", data)
            + chunk(b"IEND", b""))  # fmt: skip


MALFORMED = {
    "no pixels": png(ROWS, size=(0, 4)),
    "depth": png(ROWS, bits=5),
    "no palette": png(ROWS, color=PALETTE),
    "no data": png(b"no compressed data"),
    "short": png(zlib.compress(bytes(7))),
    "checksum": png(ROWS[:-1] + b"x"),
    "filter": png(zlib.compress(b"\x09" * 20)),
    "compression": png(ROWS, rest=b"\3\0\0"),
    "interlacing": png(ROWS, rest=b"\0\0\7"),
    "unknown critical chunk": png(ROWS, between=chunk(b"ABCD", b"")),
    "no header": b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_png_with_right_checksums(capfd, tmp_path, name):
    """libpng would print them."""
    (tmp_path / "a.png").write_bytes(MALFORMED[name])
    with pytest.raises(FileError, match=r"^cannot read .*a\.png: .*$"):
        images.read(tmp_path / "a.png")
    assert capfd.readouterr() == ("", "")


def claimed(kind):
    """Return a file whose header claims 65000 x 65000 pixels or more."""
    file = io.BytesIO()
    if kind == "png":
        return png(ROWS, size=(100_000, 100_000))
    if kind == "ppm":
        return b"P6\n60000 60000\n255\n" + bytes(100)
    if kind == "jpg":
        Image.fromarray(COLORS).save(file, "JPEG")
        data = bytearray(file.getvalue())
        at = data.index(b"\xff\xc0") + 5  # height and width in the header of the frame
        data[at : at + 4] = struct.pack(">HH", 65000, 65000)
        return bytes(data)
    tifffile.imwrite(file, COLORS[..., 0])
    data = bytearray(file.getvalue())
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        for code in (256, 257):
            tag = tiff.pages.first.tags[code]
            at, size = tag.valueoffset, tag.valuebytecount
            data[at : at + size] = (100_000 if size == 4 else 65_000).to_bytes(size, "little")
    return bytes(data)


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "ppm"])
def test_headers_that_claim_too_much(capsys, monkeypatch, tmp_path, kind):
    """Refused before the memory is reserved."""
    monkeypatch.setattr(resources, "memory", lambda: 8e9)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(claimed(kind))
    line = fails(capsys, "info", path)
    assert line.startswith(f"cannot read {path}: ")
    assert "claims" in line or "does not agree with its length" in line


def test_a_share_of_the_memory_is_the_limit(monkeypatch, tmp_path):
    images.write(tmp_path / "a.jpg", Picture(COLORS))
    monkeypatch.setattr(resources, "memory", lambda: 4 * COLORS.size)
    assert images.read(tmp_path / "a.jpg").values.shape == COLORS.shape
    monkeypatch.setattr(resources, "memory", lambda: 4 * COLORS.size - 1)
    with pytest.raises(FileError, match="its header claims 30 x 23 pixels"):
        images.read(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "webp", "jxl", "exr", "bmp", "ppm", "pfm"])
def test_empty_files_and_single_pixels(capsys, tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(b"")
    assert fails(capsys, "info", path) == f"cannot read {path}: it is empty"
    dtype = "float32" if kind in ("exr", "pfm") else "uint8"
    images.write(path, Picture(np.full((1, 1, 3), 7, dtype)))
    assert (images.read(path).values == 7).all()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_damaged_exif_is_left_out(capfd, recwarn, tmp_path, kind):
    """Pillow warns of it where it looks for the resolution."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + struct.pack("<HHII", 282, 5, 1, 9999) * 2
    Image.new("CMYK" if kind == "TIFF" else "RGB", (20, 10)).save(
        tmp_path / "a.x", kind, **({"exif": exif} if kind == "JPEG" else {})
    )
    data = (tmp_path / "a.x").read_bytes()
    if kind == "JPEG":  # without the JFIF header, which has a resolution
        data = data[:2] + data[20:]
    (tmp_path / "a.jpg").write_bytes(data)
    assert images.read(tmp_path / "a.jpg").values.shape == (10, 20, 3)
    assert [str(item.message) for item in recwarn if "CMYK" not in str(item.message)] == []
    assert capfd.readouterr() == ("", "")


def test_two_bits_are_spread_over_eight(tmp_path):
    rows = b"".join(b"\0" + bytes([0b00011011]) for _ in range(4))
    (tmp_path / "a.png").write_bytes(png(zlib.compress(rows), bits=2))
    np.testing.assert_array_equal(images.read(tmp_path / "a.png").values, [[0, 85, 170, 255]] * 4)


def test_gray_with_alpha_of_16_bits(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65536, (4, 4, 2), np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    (tmp_path / "a.png").write_bytes(png(zlib.compress(rows), bits=16, color=GRAY_ALPHA))
    images.write(tmp_path / "b.png", images.read(tmp_path / "a.png"))
    for name in ("a.png", "b.png"):
        picture = images.read(tmp_path / name)
        np.testing.assert_array_equal(picture.values, pixels[..., 0])
        np.testing.assert_array_equal(picture.alpha, pixels[..., 1])


def test_transparent_colors_of_a_palette(tmp_path):
    between = chunk(b"PLTE", bytes(range(9))) + chunk(b"tRNS", bytes([0, 128]))
    rows = zlib.compress(b"".join(b"\0" + bytes([0, 1, 2, 0]) for _ in range(4)))
    (tmp_path / "a.png").write_bytes(png(rows, color=PALETTE, between=between))
    picture = images.read(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.values[0], [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 1, 2]])
    np.testing.assert_array_equal(picture.alpha[0], [0, 128, 255, 0])


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_animations(capsys, tmp_path, kind):
    frames = [Image.fromarray(np.roll(COLORS, k, 0)) for k in range(3)]
    frames[0].save(tmp_path / f"a.{kind}", save_all=True, append_images=frames[1:])
    line = fails(capsys, "info", tmp_path / f"a.{kind}")
    assert "it has several frames; one is supported; save each as an image and write" in line


@pytest.mark.parametrize("kind", ["jpg", "webp"])
def test_truncated_files_are_said_to_be(capsys, tmp_path, kind):
    images.write(tmp_path / f"a.{kind}", Picture(COLORS))
    data = (tmp_path / f"a.{kind}").read_bytes()
    (tmp_path / f"a.{kind}").write_bytes(data[: len(data) * 2 // 3])
    line = fails(capsys, "info", tmp_path / f"a.{kind}")
    assert line.startswith(f"cannot read {tmp_path / f'a.{kind}'}: it is damaged or truncated: ")


def test_animated_gif_under_another_name(capsys, tmp_path):
    frames = [Image.fromarray(np.roll(COLORS, k, 0)) for k in range(3)]
    frames[0].save(tmp_path / "a.png", "GIF", save_all=True, append_images=frames[1:])
    line = fails(capsys, "info", tmp_path / "a.png")
    assert line.endswith("a.png: its content is of the format gif, which is not supported")


@pytest.mark.parametrize("content", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_the_content_decides(tmp_path, content, name):
    options = {"lossless": True} if content == "WEBP" else {}
    Image.fromarray(COLORS).save(tmp_path / name, content, **options)
    with Image.open(tmp_path / name) as opened:
        np.testing.assert_array_equal(images.read(tmp_path / name).values, np.asarray(opened))


def test_values_that_are_no_numbers(capsys, tmp_path):
    image = np.random.default_rng(0).normal(0, 1, (30, 23)).astype(np.float32)
    image[3, 4], image[5, 6] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "a.tif", image)
    np.testing.assert_array_equal(images.read(tmp_path / "a.tif").values, image)
    line = fails(capsys, "denoise", tmp_path / "a.tif", "-o", tmp_path / "b.tif", "--sigma", "1")
    assert "a.tif: image has values that are NaN or infinite, 2 in all, the first is nan" in line
    assert not (tmp_path / "b.tif").exists()


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("plane", ["contig", "separate"])
def test_channels_that_are_no_colors(tmp_path, count, plane):
    """Three of them are not taken for RGB."""
    values = np.random.default_rng(0).integers(0, 65536, (count, 20, 30), np.uint16)
    stored = values if plane == "separate" else np.moveaxis(values, 0, -1)
    kinds = [0] * (count - 1)
    options = {"photometric": "minisblack", "planarconfig": plane, "extrasamples": kinds}
    tifffile.imwrite(tmp_path / "a.tif", stored, metadata=None, **options)
    picture = images.read(tmp_path / "a.tif")
    assert picture.values.shape == (20, 30, count)
    images.write(tmp_path / "b.tif", picture)
    with tifffile.TiffFile(tmp_path / "b.tif") as found:
        page = found.pages.first
        assert page.photometric.name == "MINISBLACK"
        assert [int(each) for each in page.extrasamples] == kinds
    np.testing.assert_array_equal(
        images.read(tmp_path / "b.tif").values, np.moveaxis(values, 0, -1)
    )


def test_colors_stay_colors(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (20, 30, 5), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=[0, 0])
    images.write(tmp_path / "b.tif", images.read(tmp_path / "a.tif"))
    with tifffile.TiffFile(tmp_path / "b.tif") as found:
        assert found.pages.first.photometric.name == "RGB"
        assert len(found.pages.first.extrasamples) == 2


def test_resolution_of_bmp(tmp_path):
    values = np.zeros((8, 9, 3), np.uint8)
    Image.fromarray(values).save(tmp_path / "a.bmp", dpi=(300, 150))
    images.write(tmp_path / "b.bmp", images.read(tmp_path / "a.bmp"))
    images.write(tmp_path / "b.png", images.read(tmp_path / "a.bmp"))
    images.write(tmp_path / "c.bmp", images.read(tmp_path / "b.png"))
    for name in ("b.bmp", "b.png", "c.bmp"):
        with Image.open(tmp_path / name) as found:
            assert found.info["dpi"] == pytest.approx((300, 150), abs=0.1)
            assert (np.asarray(found) == values).all()
    damaged = bytearray((tmp_path / "a.bmp").read_bytes())
    damaged[38:46] = b"\xff\xff\xff\xff" * 2
    (tmp_path / "d.bmp").write_bytes(damaged)
    assert not images.read(tmp_path / "d.bmp").tags
