"""The command line: file formats, where results go, and errors of files."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import fastrestore
from fastrestore.cli import main
from fastrestore.cli._io import read, to_type, write

RNG = np.random.default_rng(0)
NOISE8 = RNG.integers(0, 256, (24, 17), np.uint8)
NOISE16 = RNG.integers(0, 65536, (24, 17), np.uint16)
NOISE8[0, :2], NOISE16[0, :2] = (0, 255), (0, 65535)


def fails(capsys, *argv):
    """Run, and return the one line of the error."""
    status = main([str(word) for word in argv])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("fastrestore: error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err.removeprefix("fastrestore: error: ").rstrip("\n")


def denoise(capsys, *argv):
    """Run `denoise`, which has to succeed in silence."""
    status = main(["denoise", *map(str, argv), "--sigma", "0"])
    assert (status, *capsys.readouterr()) == (0, "", "")


def png(path, image=NOISE8):
    Image.fromarray(image).save(path, "PNG")
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(autouse=True)
def identity(monkeypatch):
    """Replace bm3d by the identity, so that a file has to come back as it was."""
    calls = []

    def bm3d(image, sigma, **options):
        calls.append(image)
        return image if image.dtype.kind == "f" else image.astype(np.float64)

    monkeypatch.setattr(fastrestore, "bm3d", bm3d)
    return calls


# Formats


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
        ("a.tif", NOISE8[:, :3]),
        ("a.tif", NOISE8[:3]),
        ("a.tif", NOISE8[:1, :1]),
        ("a.npy", NOISE8),
        ("a.npy", NOISE16.astype(np.int64) - 30000),
        ("a.npy", NOISE16.astype(np.float32) / 7),
        ("a.npy", np.asfortranarray(NOISE16.astype(np.float64))),
    ],
)
def test_values_survive(capsys, tmp_path, name, image):
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
def test_png_is_what_others_read(tmp_path, image, mode):
    write(tmp_path / "a.png", image)
    data = (tmp_path / "a.png").read_bytes()
    assert data[24] == 8 * image.itemsize  # the depth in the file itself
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.mode == mode
        np.testing.assert_array_equal(np.asarray(opened), image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
def test_tiff_of_others(tmp_path, dtype, byteorder, options):
    image = NOISE8.astype(dtype) * np.dtype(dtype).type(1.5)
    tifffile.imwrite(
        tmp_path / "a.tif", image, byteorder=byteorder, photometric="minisblack", **options
    )
    result = read(tmp_path / "a.tif")
    assert result.dtype == image.dtype
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, image)


def test_tiff_with_white_at_zero_is_turned_round(tmp_path):
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
        (np.float32, "b.png", "PNG holds uint8 and uint16, and {} is float32; write .tif or .npy"),
        (np.int16, "b.png", "PNG holds uint8 and uint16, and {} is int16; write .tif or .npy"),
    ],
)
def test_type_that_the_output_has_not(capsys, tmp_path, identity, dtype, target, message):
    source = tmp_path / "a.tif"
    write(source, NOISE8.astype(dtype))
    line = fails(capsys, "denoise", source, "-o", tmp_path / target, "--sigma", "0.1")
    assert line == f"{tmp_path / target}: {message.format(source)}"
    assert identity == []


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
def test_png_that_is_not_gray(capsys, tmp_path, mode):
    Image.new(mode, (9, 9)).save(tmp_path / "a.png")
    line = fails(capsys, "denoise", tmp_path / "a.png", "-o", tmp_path / "b.png", "--sigma", "0.1")
    assert line == (
        f"cannot read {tmp_path / 'a.png'}: its mode is {mode}; "
        "colour is not supported in this version, gray is, with 8 or 16 bits"
    )


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("RGB", "its mode is RGB with 3 values a pixel; colour is not supported in this version"),
        ("CMYK", "its mode is SEPARATED with 4 values"),
        ("LA", "its mode is MINISBLACK with 2 values a pixel; colour is not supported"),
        ("P", "its mode is PALETTE with 1 values a pixel; colour is not supported"),
        ("1", "it has 1 bits a pixel; 8, 16, 32 and 64 are supported"),
    ],
)
def test_tiff_that_is_not_gray(capsys, tmp_path, mode, message):
    Image.new(mode, (9, 9)).save(tmp_path / "a.tif")
    line = fails(capsys, "info", tmp_path / "a.tif")
    assert line.startswith(f"cannot read {tmp_path / 'a.tif'}: {message}")


def test_tiff_of_floats_with_white_at_zero(capsys, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", NOISE8.astype(np.float32), photometric="miniswhite")
    assert "its mode is MINISWHITE with numbers of type float32" in fails(
        capsys, "info", tmp_path / "a.tif"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "it has 3 pages; one is supported"),
        ({"imagej": True}, "it has 3 pages; one is supported"),
        ({"volumetric": True, "tile": (1, 16, 16)}, "its shape is (3, 24, 17); one plane is"),
    ],
)
def test_tiff_of_several_pages(capsys, tmp_path, options, message):
    tifffile.imwrite(
        tmp_path / "a.tif", np.stack([NOISE8] * 3), photometric="minisblack", **options
    )
    assert message in fails(capsys, "info", tmp_path / "a.tif")


def test_png_of_several_frames(capsys, tmp_path):
    frames = [Image.fromarray(NOISE8), Image.fromarray(255 - NOISE8)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    assert "it has several frames; one is supported" in fails(capsys, "info", tmp_path / "a.png")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3)), "shape is (4, 4, 3); two axes are expected, and colour is not"),
        (np.zeros(5), "its shape is (5,); two axes are expected"),
        (np.zeros((0, 5)), "it has no pixels"),
        (np.zeros((4, 4), bool), "it holds bool, neither integers nor floats"),
        (np.zeros((4, 4), complex), "it holds complex128, neither"),
        (np.array([["a"]]), "it holds <U1, neither"),
        (np.array([[{}]]), "allow_pickle=False"),
    ],
)
def test_npy_that_is_no_gray_image(capsys, tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    line = fails(capsys, "info", tmp_path / "a.npy")
    assert line.startswith(f"cannot read {tmp_path / 'a.npy'}: ")
    assert message in line


def test_large_png_is_not_taken_for_an_attack(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    denoise(capsys, png(tmp_path / "a.png"), "-o", tmp_path / "b.png")


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
    line = fails(capsys, "denoise", path, "-o", tmp_path / "b.npy", "--sigma", "0.1")
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
    assert "it is not a PNG file, or it is damaged" in fails(capsys, "info", tmp_path / "a.png")


def test_damaged_png(capsys, tmp_path):
    data = bytearray(contents(".png"))
    data[len(data) // 2] ^= 16
    (tmp_path / "a.png").write_bytes(data)
    assert "broken data stream" in fails(capsys, "info", tmp_path / "a.png")


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


# Inputs that cannot be read


@pytest.mark.parametrize("command", ["info", "denoise"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.png", "{}: no such file"),
        ("folder", "{} is a directory; write the files in it, as in {}"),
        ("a.jpg", "{}: unknown extension '.jpg'; known are .png, .tif, .tiff, .npy"),
        ("noext", "{}: unknown extension ''"),
    ],
)
def test_input_that_is_not_there(capsys, tmp_path, identity, command, name, message):
    (tmp_path / "folder").mkdir()
    png(tmp_path / "a.jpg")
    png(tmp_path / "noext")
    good, bad = png(tmp_path / "good.png"), tmp_path / name
    tail = ["-o", tmp_path / "out", "--sigma", "0.1"] if command == "denoise" else []
    argv = [command, bad] if command == "info" else [command, good, bad]
    assert fails(capsys, *argv, *tail).startswith(message.format(bad, bad))
    assert identity == []
    assert not (tmp_path / "out").exists()


def test_input_without_permission(capsys, monkeypatch, tmp_path):
    def refused(self, *args, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    path = png(tmp_path / "a.png")
    monkeypatch.setattr(Path, "open", refused)
    assert fails(capsys, "info", path) == f"cannot read {path}: Permission denied"


def test_name_that_is_too_long(capsys, tmp_path):
    path = tmp_path / ("a" * 300 + ".png")
    assert "File name too long" in fails(capsys, "info", path)


# Where results go


def test_one_file(capsys, tmp_path):
    denoise(capsys, png(tmp_path / "a.png"), "-o", tmp_path / "b.png")
    assert names(tmp_path) == ["a.png", "b.png"]


def test_relative_names(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    png("a.png")
    denoise(capsys, "a.png", "-o", "b.png")
    assert names(tmp_path) == ["a.png", "b.png"]


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("count", [1, 2])
def test_directory(capsys, tmp_path, there, count):
    out = tmp_path / "out"
    if there:
        out.mkdir()
    inputs = [png(tmp_path / name) for name in ("a.png", "b.png")[:count]]
    # One input needs the separator, or the directory, to tell a directory from a file.
    denoise(capsys, *inputs, "-o", out if there or count > 1 else f"{out}{os.sep}")
    assert names(out) == ["a.png", "b.png"][:count]


def test_directory_within_directories(capsys, tmp_path):
    inputs = [png(tmp_path / name) for name in ("a.png", "b.png")]
    denoise(capsys, *inputs, "-o", tmp_path / "x" / "y")
    assert names(tmp_path / "x" / "y") == ["a.png", "b.png"]


def test_overwrite(capsys, tmp_path):
    source, target = png(tmp_path / "a.png"), png(tmp_path / "b.png", 255 - NOISE8)
    denoise(capsys, source, "-o", target, "--overwrite")
    np.testing.assert_array_equal(read(target), NOISE8)


def test_overwrite_of_the_input_itself(capsys, tmp_path):
    source = png(tmp_path / "a.png")
    denoise(capsys, source, "-o", source, "--overwrite")
    np.testing.assert_array_equal(read(source), NOISE8)
    assert names(tmp_path) == ["a.png"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_link_is_followed(capsys, tmp_path):
    source, target = png(tmp_path / "a.png"), png(tmp_path / "b.png", 255 - NOISE8)
    link = tmp_path / "link.png"
    link.symlink_to(target)
    denoise(capsys, source, "-o", link, "--overwrite")
    assert link.is_symlink()
    np.testing.assert_array_equal(read(target), NOISE8)


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        (["a.png"], "b.png", "b.png exists already; add --overwrite to replace it"),
        (["a.png"], "a.png", "a.png exists already; add --overwrite to replace it"),
        (["a.png"], ".", "a.png exists already; add --overwrite to replace it"),
        (["sub/a.png", "sub/c.png", "b.png"], ".", "a.png exists already; add --overwrite"),
        (["a.png"], "no/b.png", "no/b.png: there is no directory no; create it first"),
        (["a.png"], "b.jpg", "b.jpg: unknown extension '.jpg'; known are .png"),
        (["a.png"], "b", "b: unknown extension ''; known are"),
        (["a.png"], "", "the name after -o is empty; write a file or a directory"),
        (["a.png"], "full", "full/a.png is a directory; write a file name"),
        (["a.png", "b.png"], "x.png", "x.png: several inputs need a directory; write x.png/"),
        (["a.png", "b.png"], "text", "text: several inputs need a directory; write text/"),
        (["a.png"], "text/", "cannot create directory text: File exists"),
        (["a.png", "sub/a.png"], "x", "a.png and sub/a.png would both be written to x/a.png"),
        (["a.png", "a.png"], "x", "a.png and a.png would both be written to x/a.png"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the names are written with slashes")
def test_output_that_is_refused(capsys, monkeypatch, tmp_path, identity, inputs, output, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full" / "a.png").mkdir(parents=True)
    (tmp_path / "sub").mkdir()
    (tmp_path / "text").write_text("text")
    for name in ("a.png", "b.png", "sub/a.png", "sub/c.png"):
        png(tmp_path / name)
    before = names(tmp_path)
    line = fails(capsys, "denoise", *inputs, "-o", output, "--sigma", "0.1")
    assert line.startswith(message)
    assert identity == []
    assert names(tmp_path) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_special_file_is_not_replaced(capsys, tmp_path, identity):
    # A pipe of our own, not a device: run by root, a fault here would replace the device.
    pipe, link = tmp_path / "pipe.png", tmp_path / "b.png"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    source = png(tmp_path / "a.png")
    for target in (pipe, link):
        argv = ["denoise", source, "-o", target, "--sigma", "0.1", "--overwrite"]
        assert fails(capsys, *argv) == f"{target} is not a regular file"
    assert pipe.is_fifo()
    assert identity == []


def test_directory_without_permission(capsys, monkeypatch, tmp_path, identity):
    source = png(tmp_path / "a.png")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    line = fails(capsys, "denoise", source, "-o", tmp_path / "b.png", "--sigma", "0.1")
    assert line == f"{tmp_path / 'b.png'}: the directory {tmp_path} may not be written to"
    assert identity == []


# Writing


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_permissions_follow_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write(tmp_path / "a.png", NOISE8)
    finally:
        os.umask(before)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize(
    ("step", "error", "status"),
    [
        ("os.fsync", OSError(errno.ENOSPC, "No space left on device"), 2),
        ("os.fsync", KeyboardInterrupt(), 130),
        ("pathlib.Path.replace", PermissionError(errno.EACCES, "Permission denied"), 2),
        ("tifffile.imwrite", MemoryError(), 2),
        ("tifffile.imwrite", ValueError("no such type"), 2),
    ],
)
def test_failed_write_leaves_nothing(capsys, monkeypatch, tmp_path, overwrite, step, error, status):
    def broken(*args, **options):
        raise error

    source, target = png(tmp_path / "a.png"), tmp_path / "b.tif"
    if overwrite:
        write(target, NOISE16)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(step, broken)
    argv = ["denoise", source, "-o", target, "--sigma", "0.1", "--overwrite"]
    if status == 130:
        assert main([str(word) for word in argv]) == 130
    else:
        reason = getattr(error, "strerror", None) or str(error) or "there is not enough memory"
        assert fails(capsys, *argv) == f"cannot write {target}: {reason}"
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_full_disk(tmp_path):
    pytest.importorskip("resource")
    source, target = png(tmp_path / "a.png"), tmp_path / "b.png"
    code = (
        "import resource, sys\n"
        "from fastrestore.cli import main\n"
        "sys.dont_write_bytecode = True\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "denoise", source, "-o", target, "--sigma", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr == f"fastrestore: error: cannot write {target}: File too large\n"
    assert names(tmp_path) == ["a.png"]


def test_files_before_the_first_error_stay(capsys, tmp_path):
    good, bad = png(tmp_path / "a.png"), tmp_path / "b.png"
    bad.write_bytes(contents(".png")[:200])
    fails(capsys, "denoise", good, bad, "-o", tmp_path / "out", "--sigma", "0.1")
    assert names(tmp_path / "out") == ["a.png"]
