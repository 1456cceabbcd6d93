"""The command line: TIFF stacks of any axes keep values and metadata, or end in one line."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tifffile
from support.commandline import fails, works

import fastrestore
from fastrestore.cli import main

PAGE = (16, 18)
LUT = np.stack([np.zeros(256), np.arange(256), np.zeros(256)]).astype(np.uint8)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def drawn(*shape, dtype=np.uint16):
    return np.random.default_rng(0).integers(0, 250, (*shape, *PAGE)).astype(dtype)


def noisy(*shape):
    """Pictures of a step with noise."""
    clean = np.full((*shape, *PAGE), 100.0)
    clean[..., 9:] = 200
    return clean + np.random.default_rng(0).normal(0, 10, clean.shape)


def both():
    """Open the input and the output."""
    return tifffile.TiffFile("a.tif"), tifffile.TiffFile("b.tif")


COMMANDS = [
    ["denoise", "a.tif", "-o", "b.tif"],
    ["denoise", "a.tif", "-o", "b.tif", "--as", "volume"],
    ["denoise", "a.tif", "-o", "b.tif", "--as", "film"],
    ["volume", "a.tif", "-o", "b.tif"],
    ["volume", "a.tif", "-o", "b.tif", "--as", "film"],
    ["volume", "a.tif", "-o", "b.tif", "--as", "planes"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_hyperstack_keeps_axes_and_metadata(capsys, command, kind):
    values = drawn(2, 3, 2)  # T, Z, C
    if kind == "ome":
        size = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeZ": 2.0}
        metadata = {"axes": "TZCYX", "Channel": {"Name": ["DAPI", "GFP"]}, **size}
        tifffile.imwrite("a.tif", values, ome=True, metadata=metadata)
    else:
        metadata = {"axes": "TZCYX", "spacing": 2.0, "unit": "um", "finterval": 0.1,
                    "mode": "composite", "LUTs": [LUT, LUT[[1, 0, 2]]],
                    "Labels": [f"page {k}" for k in range(12)]}  # fmt: skip
        tifffile.imwrite("a.tif", values, imagej=True, resolution=(2, 2), metadata=metadata)
    assert works(capsys, *command, "--sigma", "0", "--quiet") == ""
    before, after = both()
    with before, after:
        assert after.series[0].axes == "TZCYX"
        np.testing.assert_array_equal(after.asarray(), values)
        if kind == "ome":
            assert 'Name="GFP"' in after.ome_metadata
            assert 'PhysicalSizeZ="2.0"' in after.ome_metadata
        else:
            old, new = before.imagej_metadata, after.imagej_metadata
            np.testing.assert_equal(new, old)
            np.testing.assert_array_equal(new["LUTs"][0], LUT)
            assert after.pages[0].resolution == before.pages[0].resolution


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("planes", lambda one: [fastrestore.bm3d(plane, 10) for plane in one]),
        ("film", lambda one: fastrestore.vbm3d(one, 10)),
        ("volume", lambda one: fastrestore.bm4d(one, 10, slice_axis=0)),
    ],
)
def test_what_is_restored_together(capsys, kind, expected):
    stack = noisy(5, 2).astype(np.float32)  # one stack axis, which is taken for T or Z
    tifffile.imwrite("a.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    works(capsys, "denoise", "a.tif", "-o", "b.tif", "--sigma", "10", "--as", kind)
    result = tifffile.imread("b.tif")
    for channel in range(2):
        np.testing.assert_array_equal(result[:, channel], expected(stack[:, channel]))


@pytest.mark.parametrize(
    ("shape", "axes", "options"),
    [((2,), "CYX", {"imagej": True}), ((3,), "QYX", {"metadata": None}),
     ((2, 3), "QQYX", {"metadata": None})],
)  # fmt: skip
def test_stacks_of_other_axes(capsys, shape, axes, options):
    values = drawn(*shape)
    metadata = options.pop("metadata", {"axes": axes})
    tifffile.imwrite("a.tif", values, photometric="minisblack", metadata=metadata, **options)
    works(capsys, "denoise", "a.tif", "-o", "b.tif", "--sigma", "0")
    before, after = both()
    with before, after:
        assert after.series[0].axes == before.series[0].axes
        np.testing.assert_array_equal(after.asarray(), before.asarray())


def test_colors_are_restored_together(capsys):
    stack = noisy(2, 3).astype(np.float32)
    tifffile.imwrite("a.tif", np.moveaxis(stack, 1, -1), photometric="rgb",
                     metadata={"axes": "ZYXS"})  # fmt: skip
    works(capsys, "denoise", "a.tif", "-o", "b.tif", "--sigma", "10")
    result = np.moveaxis(tifffile.imread("b.tif"), -1, 1)
    np.testing.assert_array_equal(result[1], fastrestore.bm3d(stack[1], 10, channel_axis=0))


def test_color_table_of_imagej(capsys):
    values = drawn(3, dtype=np.uint8)
    tifffile.imwrite("a.tif", values, photometric="palette", colormap=LUT.astype(np.uint16) * 257,
                     description="ImageJ=1.54f\nimages=3\nslices=3\n", metadata=None)  # fmt: skip
    works(capsys, "denoise", "a.tif", "-o", "b.tif", "--sigma", "0")
    before, after = both()
    with before, after:
        assert after.series[0].axes == before.series[0].axes == "ZYX"
        np.testing.assert_array_equal(after.asarray(), values)
        np.testing.assert_array_equal(after.pages[2].colormap, LUT.astype(np.uint16) * 257)


@pytest.mark.parametrize("kind", ["planes", "volume"])
@pytest.mark.parametrize("samples", [2, 4])
@pytest.mark.parametrize("alpha", [1, 2])
def test_alpha_and_profile(capsys, kind, samples, alpha):
    stack = np.moveaxis(noisy(5, samples).astype(np.float32), 1, -1)
    rgb, profile = samples == 4, b"profile of a test"
    tifffile.imwrite("a.tif", stack, photometric="rgb" if rgb else "minisblack",
                     planarconfig="contig", extrasamples=[alpha], metadata={"axes": "ZYXS"},
                     iccprofile=profile)  # fmt: skip
    works(capsys, "denoise", "a.tif", "-o", "b.tif", "--sigma", "10", "--as", kind)
    with tifffile.TiffFile("b.tif") as after:
        page, result = after.pages[0], after.asarray()
        assert [int(each) for each in page.extrasamples] == [alpha]
        assert page.tags[34675].value == profile
    np.testing.assert_array_equal(result[..., -1], stack[..., -1])
    assert (result[..., :-1] != stack[..., :-1]).mean() > 0.9
    if kind == "planes":
        one, axis = (stack[0, ..., :3], -1) if rgb else (stack[0, ..., 0], None)
        expected = fastrestore.bm3d(one, 10, channel_axis=axis)
        np.testing.assert_array_equal(result[0, ..., :-1].reshape(expected.shape), expected)


def test_tags_of_geotiff(capsys):
    scale, points, keys = (30.0, 30.0, 0.0), (0.0, 0.0, 0.0, 5e5, 4e6, 0.0), (1, 1, 0, 1, 1024, 0)
    tags = [(33550, "d", 3, scale, True), (33922, "d", 6, points, True),
            (34735, "H", 6, keys, True), (34737, "s", 0, "WGS 84|", True),
            (42113, "s", 0, "-9999", True)]  # fmt: skip
    tifffile.imwrite("a.tif", drawn(3), photometric="minisblack", metadata=None, extratags=tags)
    works(capsys, "denoise", "a.tif", "-o", "b.tif", "--sigma", "0")
    with tifffile.TiffFile("b.tif") as after:
        found = after.pages[0].tags
        assert [found[code].value for code in (33550, 33922, 34735)] == [scale, points, keys]
        assert (found[34737].value, found[42113].value) == ("WGS 84|", "-9999")


@pytest.mark.parametrize(
    ("dtype", "options", "kept"),
    [
        (np.uint16, {"compression": "zlib", "predictor": True}, ("ADOBE_DEFLATE", 2)),
        (np.uint16, {"compression": "lzw", "tile": (16, 32)}, ("LZW", 1)),
        (np.float32, {"compression": "zstd", "predictor": True, "tile": (16, 16)}, ("ZSTD", 3)),
        (np.uint8, {"compression": "jpeg"}, ("ADOBE_DEFLATE", 1)),  # which would lose detail
        (np.uint8, {}, ("NONE", 1)),
    ],
)
def test_compression_and_tiles(capsys, dtype, options, kept):
    tifffile.imwrite("a.tif", drawn(3, dtype=dtype), photometric="minisblack", **options)
    works(capsys, "denoise", "a.tif", "-o", "b.tif", "--sigma", "0")
    before, after = both()
    with before, after:
        page = after.pages[0]
        assert (page.compression.name, page.predictor) == kept
        assert (page.tilelength, page.tilewidth) == options.get("tile", (0, 0))
        np.testing.assert_array_equal(after.asarray(), before.asarray())


def test_compression_without_imagecodecs():
    tifffile.imwrite("a.tif", drawn(3), photometric="minisblack", compression="lzw")
    code = (
        "import sys\n"
        "sys.modules['imagecodecs'] = None\n"
        "from fastrestore.cli import main\n"
        "sys.exit(main(['denoise', 'a.tif', '-o', 'b.tif', '--sigma', '0']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot read a.tif: its compression LZW needs imagecodecs; install it" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.filterwarnings("always:.*resolutions")
@pytest.mark.parametrize("kind", ["ome", "pages"])
def test_levels_of_a_pyramid_are_named(capsys, kind):
    values = drawn(3) if kind == "ome" else drawn()
    with tifffile.TiffWriter("a.tif", ome=kind == "ome") as file:
        file.write(values, photometric="minisblack", subifds=1 if kind == "ome" else None,
                   metadata={"axes": "ZYX"} if kind == "ome" else None)  # fmt: skip
        file.write(values[..., ::2, ::2], subfiletype=1, photometric="minisblack", metadata=None)
    assert main(["denoise", "a.tif", "-o", "b.tif", "--sigma", "0", "--quiet"]) == 0
    assert capsys.readouterr().err == (
        "fastrestore: warning: a.tif has 2 resolutions; the result has the full one only\n"
    )
    np.testing.assert_array_equal(tifffile.imread("b.tif"), values)


def test_axes_of_npy(capsys):
    np.save("a.npy", drawn(2, 3))
    works(capsys, "volume", "a.npy", "-o", "b.npy", "--axes", "TZYX", "--sigma", "0")
    np.testing.assert_array_equal(np.load("b.npy"), np.load("a.npy"))


@pytest.mark.parametrize(("axes", "stored"), [("TZYX", "TZYX"), ("XYZT", "TZYX"), ("ZCYX", "ZCYX")])
@pytest.mark.parametrize(("name", "dtype"), [("b.tif", "u2"), ("b.tif", "f8"), ("b.ome.tif", "u1")])
def test_axes_of_npy_are_written_to_tiff(capsys, axes, stored, name, dtype):
    values = drawn(2, 3).astype(dtype)
    np.save("a.npy", values)
    works(capsys, "volume", "a.npy", "-o", name, "--axes", axes, "--as", "planes", "--sigma", "0")
    with tifffile.TiffFile(name) as tiff:
        assert tiff.series[0].axes == stored
        expected = np.transpose(values, [axes.index(each) for each in stored])
        np.testing.assert_array_equal(tiff.asarray(), expected)
        assert tiff.asarray().dtype == values.dtype
    assert works(capsys, "info", name).splitlines()[1] == f"  axes         {stored}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["volume", "a.npy", "-o", "b.npy", "--as", "film"],
         "a.npy has shape (2, 3, 16, 18) and does not name its axes; write --axes, such as --axes "
         "ZCYX"),
        (["volume", "a.npy", "-o", "b.npy", "--axes", "ZYX"],
         "--axes ZYX has 3 letters, and a.npy has shape (2, 3, 16, 18)"),
        (["volume", "a.npy", "-o", "b.tif", "--axes", "TAYX", "--as", "film"],
         "b.tif: TIFF names the axes T, Z, C, Y, X and S, and those of a.npy are TAYX; write .npy"),
        (["volume", "c.tif", "-o", "b.tif", "--as", "film"],
         "--as film needs an axis T, and the axes of c.tif are CYX; write --as planes"),
        (["denoise", "t.tif", "-o", "b.tif", "--as", "volume"],
         "--as volume needs an axis Z, and the axes of t.tif are TCYX; write --as planes or film, "
         "or `fastrestore volume --as volume --axes TZYX`"),
        (["denoise", "c.tif", "-o", "b.tif", "--as", "volume", "--method", "unet"],
         "--method unet restores single images; write --as planes, or leave --method out"),
        (["denoise", "c.tif", "-o", "b.tif", "--as", "volume", "--blend", "0.5"],
         "--blend does not apply to stacks of named axes with --as volume; leave it out"),
        (["denoise", "c.tif", "-o", "b.png"], "b.png: unknown extension '.png'; use one of .tif"),
    ],
)  # fmt: skip
def test_errors(capsys, folder, words, message):
    np.save("a.npy", drawn(2, 3))
    tifffile.imwrite("c.tif", drawn(2), imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite("t.tif", drawn(2, 3), imagej=True, metadata={"axes": "TCYX"})
    if "unet" in words:
        pytest.importorskip("torch")
    status = 1 if words[-1] == "b.png" or words[1] == "a.npy" else 2
    assert fails(capsys, *words, "--sigma", "0", status=status).startswith(message)
    assert sorted(path.name for path in folder.iterdir()) == ["a.npy", "c.tif", "t.tif"]
