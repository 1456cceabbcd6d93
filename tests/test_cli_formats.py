"""The command line: file formats, and files that are damaged or of another kind."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.commandline import (
    NOISE8,
    NOISE16,
    denoise,
    fails,
    keep_images,
    names,
    read,
    write,
)

from fastrestore._io.errors import FileError
from fastrestore._io.images import to_type


@pytest.fixture(autouse=True)
def identity(monkeypatch):
    """Replace bm3d by the identity, so that a file has to come back as it was."""
    return keep_images(monkeypatch)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("a.png", NOISE8),
        ("a.png", NOISE16),
        ("A.PNG", NOISE16),
        ("a.tif", NOISE8),
        ("a.tiff", NOISE16),
        ("a.TIF", NOISE16.astype(np.int16)),
        ("a.tif", NOISE16.astype(np.float32) / 7),
        ("a.tif", NOISE16.astype(np.float64) / 7),
        ("a.tif", NOISE8.astype(np.float16)),
        ("a.tif", NOISE16.astype(np.int64) * 2**40),
        ("a.tif", NOISE16.astype(np.int8)),
        ("a.tif", NOISE16.astype(np.uint32) * 60000),
        ("a.exr", NOISE8.astype(np.float16)),
        ("a.exr", NOISE16.astype(np.float32) / 7),
        ("a.exr", NOISE16.astype(np.uint32) * 60000),
        ("a.pgm", NOISE16),
        ("a.pfm", NOISE16.astype(np.float32) / 7),
        ("a.tif", NOISE8[:, :3]),
        ("a.tif", NOISE8[:3]),
        ("a.tif", NOISE8[:1, :1]),
        ("a.npy", NOISE8),
        ("a.npy", NOISE16.astype(np.int64) - 30000),
        ("a.npy", NOISE16.astype(np.float32) / 7),
        ("a.npy", np.asfortranarray(NOISE16.astype(np.float64))),
    ],
)
def test_values_are_kept(capsys, tmp_path, name, image):
    write(tmp_path / name, image)
    denoise(capsys, tmp_path / name, "-o", f"{tmp_path / 'out'}{os.sep}")
    result = read(tmp_path / "out" / name)
    assert result.dtype == image.dtype
    np.testing.assert_array_equal(result, image)


@pytest.mark.parametrize("image", [NOISE8, NOISE16])
@pytest.mark.parametrize("source", [".png", ".tif", ".npy"])
@pytest.mark.parametrize("target", [".png", ".tiff", ".npy"])
def test_formats_are_converted_at_the_same_depth(capsys, tmp_path, image, source, target):
    write(tmp_path / f"a{source}", image)
    denoise(capsys, tmp_path / f"a{source}", "-o", tmp_path / f"b{target}")
    result = read(tmp_path / f"b{target}")
    assert result.dtype == image.dtype
    np.testing.assert_array_equal(result, image)


@pytest.mark.parametrize(("image", "mode"), [(NOISE8, "L"), (NOISE16, "I;16")])
def test_png_is_readable_by_pillow(tmp_path, image, mode):
    write(tmp_path / "a.png", image)
    data = (tmp_path / "a.png").read_bytes()
    assert data[24] == 8 * image.itemsize  # the depth in the file itself
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.mode == mode
        np.testing.assert_array_equal(np.asarray(opened), image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
def test_tiff_written_by_other_programs(tmp_path, dtype, byteorder, options):
    image = NOISE8.astype(dtype) * np.dtype(dtype).type(1.5)
    tifffile.imwrite(
        tmp_path / "a.tif", image, byteorder=byteorder, photometric="minisblack", **options
    )
    result = read(tmp_path / "a.tif")
    assert result.dtype == image.dtype
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, image)


def test_tiff_with_white_at_zero_is_inverted(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", NOISE16, photometric="miniswhite")
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), 65535 - NOISE16)


@pytest.mark.parametrize("dtype", [">u2", ">f4", ">i8"])
def test_npy_of_another_byte_order(tmp_path, dtype):
    np.save(tmp_path / "a.npy", NOISE16.astype(dtype))
    result = read(tmp_path / "a.npy")
    assert result.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(result, NOISE16)


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.uint8, [0.5, 1.5, 2.5, 254.5, -3, 255.4, 1e9], [0, 2, 2, 254, 0, 255, 255]),
        (np.uint16, [0.49, 65534.5, 65536, -0.6], [0, 65534, 65535, 0]),
        (np.int16, [-0.5, -1.5, -40000, 40000], [0, -2, -32768, 32767]),
        (np.uint32, [2**32, 2**32 - 1], [2**32 - 1, 2**32 - 1]),
        (np.int64, [2.0**63, -(2.0**63)], [2**63 - 1024, -(2**63)]),
        (np.uint64, [2.0**64, -1], [2**64 - 2048, 0]),
    ],
)
def test_rounding_and_clipping(dtype, values, expected):
    result = to_type(np.array([values], np.float64), dtype)
    assert result.dtype == dtype
    assert result.tolist() == [expected]


@pytest.mark.parametrize(
    ("dtype", "target", "message"),
    [
        (np.float32, "b.png", "PNG stores uint8 and uint16, and {} is float32; write .tif or .npy"),
        (np.int16, "b.png", "PNG stores uint8 and uint16, and {} is int16; write .tif or .npy"),
    ],
)
def test_unsupported_output_type(capsys, tmp_path, identity, dtype, target, message):
    source = tmp_path / "a.tif"
    write(source, NOISE8.astype(dtype))
    line = fails(capsys, "denoise", source, "-o", tmp_path / target, "--sigma", "0.1", status=1)
    assert line == f"{tmp_path / target}: {message.format(source)}"
    assert identity == []


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_palettes_are_expanded(capsys, tmp_path, name):
    indexed = Image.fromarray(np.stack([NOISE8, NOISE8 // 2, 255 - NOISE8], -1)).quantize(40)
    indexed.save(tmp_path / name)
    denoise(capsys, tmp_path / name, "-o", tmp_path / f"b_{name}")
    colors = np.asarray(indexed.convert("RGB"))  # TIFF stores them with 16 bits
    np.testing.assert_allclose(read(tmp_path / f"b_{name}").astype(int), colors, atol=1)


def test_png_of_one_bit(capsys, tmp_path):
    image = NOISE8 > 99
    Image.fromarray(image).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[24] == 1  # bits
    denoise(capsys, tmp_path / "a.png", "-o", tmp_path / "b.png")
    np.testing.assert_array_equal(read(tmp_path / "b.png"), np.where(image, 255, 0))
    assert read(tmp_path / "b.png").dtype == np.uint8


@pytest.mark.parametrize("name", ["a.jpg", "A.JPEG"])
@pytest.mark.parametrize("count", [1, 3])
def test_jpeg_is_read_and_written(capsys, tmp_path, name, count):
    values = NOISE8 if count == 1 else np.stack([NOISE8, NOISE8.T.reshape(24, 17), NOISE8 // 2], -1)
    Image.fromarray(values).save(tmp_path / name, quality=95)
    denoise(capsys, tmp_path / name, "-o", tmp_path / "b.tif")
    with Image.open(tmp_path / name) as made:
        np.testing.assert_array_equal(read(tmp_path / "b.tif"), np.asarray(made))
    denoise(capsys, tmp_path / name, "-o", f"{tmp_path / 'out'}{os.sep}")
    assert names(tmp_path / "out") == [name]
    assert read(tmp_path / "out" / name).shape == values.shape


def test_jpeg_that_is_damaged(capsys, tmp_path):
    Image.fromarray(NOISE8).save(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:-200])
    assert f"cannot read {tmp_path / 'b.jpg'}: " in fails(capsys, "info", tmp_path / "b.jpg")


@pytest.mark.parametrize("bits", [1, 8])
def test_tiff_of_few_bits(tmp_path, bits):
    image = NOISE8 > 99 if bits == 1 else NOISE8
    Image.fromarray(image).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), image * (255 if bits == 1 else 1))


def test_tiff_of_floats_with_white_at_zero(capsys, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", NOISE8.astype(np.float32), photometric="miniswhite")
    assert "its type is float with white at 0" in fails(capsys, "info", tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "it has 3 pages, not one; `fastrestore volume` reads stacks of pages"),
        ({"imagej": True}, "it has 3 pages, not one; `fastrestore volume` reads stacks of pages"),
        (
            {"volumetric": True, "tile": (1, 16, 16)},
            "its shape is (3, 24, 17), its axes are ZYX; one plane",
        ),
    ],
)
def test_tiff_of_several_pages(tmp_path, options, message):
    """One image is expected, such as a mask or a kernel; stacks are restored page by page."""
    tifffile.imwrite(
        tmp_path / "a.tif", np.stack([NOISE8] * 3), photometric="minisblack", **options
    )
    with pytest.raises(FileError, match=re.escape(message)):
        read(tmp_path / "a.tif")


def test_png_of_several_frames(capsys, tmp_path):
    frames = [Image.fromarray(NOISE8), Image.fromarray(255 - NOISE8)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    assert "it has several frames; one is supported" in fails(capsys, "info", tmp_path / "a.png")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3, 2)), "shape is (4, 4, 3, 2); two axes are expected, or three with"),
        (np.zeros(5), "its shape is (5,); two axes are expected"),
        (np.zeros((0, 5)), "it has no pixels"),
        (np.zeros((4, 4), bool), "its type is bool; integers and floats"),
        (np.zeros((4, 4), complex), "its type is complex128; integers"),
        (np.array([["a"]]), "its type is <U1; integers"),
        (np.array([[{}]]), "allow_pickle=False"),
    ],
)
def test_npy_that_is_not_a_gray_image(capsys, tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    line = fails(capsys, "info", tmp_path / "a.npy")
    assert line.startswith(f"cannot read {tmp_path / 'a.npy'}: ")
    assert message in line


# Damaged files


def contents(extension, **options):
    file = io.BytesIO()
    if extension == ".png":
        Image.fromarray(NOISE16).save(file, "PNG")
    elif extension == ".tif":
        tifffile.imwrite(file, NOISE16, photometric="minisblack", **options)
    else:
        np.save(file, NOISE16)
    return file.getvalue()


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 0.9, 0.97])
@pytest.mark.parametrize(
    ("extension", "options"),
    [
        (".png", {}),
        (".npy", {}),
        (".tif", {}),
        (".tif", {"byteorder": ">"}),
        (".tif", {"compression": "zlib"}),
        (".tif", {"rowsperstrip": 5}),
        (".tif", {"tile": (16, 16)}),
    ],
)
def test_truncated(capsys, caplog, tmp_path, share, extension, options):
    data = contents(extension, **options)
    path = tmp_path / f"a{extension}"
    path.write_bytes(data[: int(share * len(data))])
    line = fails(capsys, "denoise", path, "-o", tmp_path / "b.npy", "--sigma", "0.1", status=1)
    assert line.startswith(f"cannot read {path}: ")
    assert caplog.records == []
    assert names(tmp_path) == [path.name]


def test_tiff_without_its_last_tile(capsys, tmp_path):
    data = contents(".tif", tile=(16, 16))
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        cut = tiff.pages.first.dataoffsets[-1]
    (tmp_path / "a.tif").write_bytes(data[:cut])
    assert fails(capsys, "info", tmp_path / "a.tif").endswith("a.tif: it is truncated")


@pytest.mark.parametrize("extension", [".png", ".tif", ".tiff", ".npy"])
@pytest.mark.parametrize("data", [b"", b"hello\n" * 30, bytes(500), contents(".png")[1:]])
def test_not_an_image(capsys, tmp_path, extension, data):
    path = tmp_path / f"a{extension}"
    path.write_bytes(data)
    assert fails(capsys, "info", path).startswith(f"cannot read {path}: ")


def test_another_format_under_the_name_of_png(capsys, tmp_path):
    Image.fromarray(NOISE8).save(tmp_path / "a.png", "JPEG")
    denoise(capsys, tmp_path / "a.png", "-o", tmp_path / "b.png")
    with Image.open(tmp_path / "a.png") as made, Image.open(tmp_path / "b.png") as kept:
        assert (made.format, kept.format) == ("JPEG", "PNG")
        np.testing.assert_array_equal(np.asarray(made), np.asarray(kept))


def test_damaged_png(capsys, tmp_path):
    data = bytearray(contents(".png"))
    data[len(data) // 2] ^= 16
    (tmp_path / "a.png").write_bytes(data)
    assert "its chunk IDAT is broken" in fails(capsys, "info", tmp_path / "a.png")


def test_program_prints_one_line_about_a_damaged_tiff(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(contents(".tif")[:150])
    run = subprocess.run(
        [sys.executable, "-m", "fastrestore.cli", "info", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.startswith(f"fastrestore: error: cannot read {path}: ")
    assert run.stderr.count("\n") == 1
