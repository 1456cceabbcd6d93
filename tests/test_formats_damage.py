"""Damaged pictures: an error of one line or a picture, and nothing printed by a library."""

from __future__ import annotations

import io
import os
import sys
import warnings
from functools import cache

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.damage import damaged, truncations

from fastrestore._io import images
from fastrestore._io.errors import FileError
from fastrestore._io.picture import Picture

SEEDS = range(33)
COLORS = np.random.default_rng(0).integers(0, 256, (30, 23, 3), np.uint8)
BY_PILLOW = {"pillow.png": "PNG", "pillow.jpg": "JPEG", "pillow.webp": "WEBP",
             "pillow.jp2": "JPEG2000"}  # fmt: skip
TIFFS = {"wide.tif": ("f8", {"compression": "zlib"}), "tiles.tif": ("u2", {"tile": (16, 16)}),
         "lzw.tif": ("u1", {"compression": "lzw", "byteorder": ">"})}  # fmt: skip
NAMES = [
    "a.png",
    "a.tif",
    "a.jpg",
    "a.webp",
    "a.jxl",
    "a.exr",
    "a.bmp",
    "a.ppm",
    "a.pfm",
    *BY_PILLOW,
    *TIFFS,
]


@cache
def contents(name):
    file, extension = io.BytesIO(), f".{name.split('.')[1]}"
    if name in BY_PILLOW:
        exif = Image.Exif()
        exif[274], exif[271] = 6, "Maker"
        options = {} if name.endswith("jp2") else {"exif": exif}
        Image.fromarray(COLORS).save(file, BY_PILLOW[name], **options)
    elif name in TIFFS:
        dtype, options = TIFFS[name]
        tifffile.imwrite(file, COLORS.astype(dtype), photometric="rgb", **options)
    else:
        floats = extension in (".exr", ".pfm")
        return images.encode(Picture(COLORS.astype("f4") if floats else COLORS), extension)
    return file.getvalue()


def reads(capfd, path, data):
    """Whether a file is read; an error has to be that of this package."""
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            picture = images.read(path)
            images.encode(picture, path.suffix) if path.suffix != ".jp2" else None
        except FileError:
            return False
        finally:
            assert capfd.readouterr() == ("", "")
    return picture.values.size > 0


@pytest.mark.parametrize("name", NAMES)
def test_truncated_pictures(capfd, tmp_path, name):
    """A file cut anywhere is never taken for a whole one."""
    data = contents(name)
    assert reads(capfd, tmp_path / name, data)
    assert not any(reads(capfd, tmp_path / name, cut) for cut in truncations(data, 25))


@pytest.mark.parametrize("name", NAMES)
def test_damaged_pictures(capfd, tmp_path, name):
    data = contents(name)
    states = [reads(capfd, tmp_path / name, damaged(data, seed)) for seed in SEEDS]
    assert states.count(False) > len(SEEDS) // 10


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="file names are text there")
def test_names_that_are_no_text(tmp_path):
    """A name in another encoding, which OpenImageIO cannot open."""
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    images.write(path, Picture(COLORS))
    np.testing.assert_array_equal(images.read(path).values, COLORS)
    images.write(path.with_suffix(".tif"), images.read(path))
    np.testing.assert_array_equal(images.read(path.with_suffix(".tif")).values, COLORS)


def test_another_format_by_content(tmp_path):
    Image.fromarray(COLORS).save(tmp_path / "a.png", "GIF")
    with pytest.raises(FileError, match=r"its content is of the format gif, which is not supp"):
        images.read(tmp_path / "a.png")


def test_turned_dpx(tmp_path):
    import OpenImageIO

    for turned in (1, 3):
        spec = OpenImageIO.ImageSpec(23, 30, 3, "uint8")
        spec.attribute("Orientation", turned)
        out = OpenImageIO.ImageOutput.create("dpx")
        assert out.open(str(tmp_path / f"a{turned}.dpx"), spec)
        assert out.write_image(COLORS)
        assert out.close()
    np.testing.assert_array_equal(images.read(tmp_path / "a1.dpx").values, COLORS)
    with pytest.raises(FileError, match=r"a3\.dpx: its image is turned; upright DPX is supported"):
        images.read(tmp_path / "a3.dpx")
