"""The command line: series of NIfTI, and stacks by all commands."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from support.commandline import fails, keep_images, names, png, with_info, works
from support.volumes import SERIES, nifti

import fastrestore
from fastrestore._io import images

RNG = np.random.default_rng(0)
PLANES = RNG.integers(0, 60000, (2, 3, 16, 18)).astype(np.uint16)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def identity(monkeypatch):
    """Replace the algorithms for images and volumes by the identity."""
    keep_images(monkeypatch)

    def bm4d(volume, sigma=None, **options):
        return with_info(volume.astype(np.float64), options)

    monkeypatch.setattr(fastrestore, "bm4d", bm4d)


# NIfTI


@pytest.mark.parametrize("command", ["denoise", "volume"])
@pytest.mark.parametrize("kind", [None, "planes", "film", "volume"])
def test_series_of_nifti(capsys, identity, command, kind):
    nifti("a.nii.gz")
    works(capsys, command, "a.nii.gz", "--sigma", "0", *(["--as", kind] if kind else []))
    before, after = nibabel.load("a.nii.gz"), nibabel.load("a-restored.nii.gz")
    np.testing.assert_array_equal(after.dataobj, SERIES)
    assert after.header == before.header
    np.testing.assert_array_equal(after.affine, before.affine)


@pytest.mark.parametrize("kind", ["volume", "film"])
def test_series_equals_its_parts(capsys, kind):
    nifti("a.nii")
    line = works(capsys, "volume", "a.nii", "-o", "b.nii", "--sigma", "300", "--sigma-scale",
                 "native", "--as", kind)  # fmt: skip
    assert ("3 volumes" if kind == "volume" else "6 films") in line
    result = np.asarray(nibabel.load("b.nii").dataobj)
    if kind == "volume":
        expected = fastrestore.bm4d(SERIES[..., 1], 300, slice_axis=2)
        np.testing.assert_array_equal(result[..., 1], np.rint(expected))
    else:
        expected = fastrestore.vbm3d(SERIES[:, :, 2], 300, time_axis=2)
        np.testing.assert_array_equal(result[:, :, 2], np.rint(expected))


def test_slice_of_nifti(capsys, identity):
    """A NIfTI file may have two axes."""
    nifti("a.nii", SERIES[:, :, 0, 0])
    line = fails(capsys, "volume", "a.nii", "--sigma", "0.1", status=1)
    assert line == (
        "cannot read a.nii: its shape is (9, 8); three axes are expected, or write --as planes"
    )
    works(capsys, "volume", "a.nii", "--sigma", "0", "--as", "planes")
    works(capsys, "denoise", "a.nii", "-o", "b.nii", "--sigma", "0")
    assert Path("b.nii").read_bytes() == Path("a-restored.nii").read_bytes()
    np.testing.assert_array_equal(nibabel.load("a-restored.nii").dataobj, SERIES[:, :, 0, 0])


def test_colors_in_nifti(capsys):
    values = np.zeros((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.Nifti1Image(values, np.eye(4)).to_filename("a.nii")
    line = fails(capsys, "denoise", "a.nii", status=1)
    assert line == (
        "cannot read a.nii: its voxels are colors; save the channels as volumes of their own"
    )


def test_nan_in_nifti_is_named(capsys):
    values = SERIES.astype(np.float32)
    values[1, 2, 3, 1] = np.nan
    nifti("a.nii", values)
    line = fails(capsys, "denoise", "a.nii")
    assert line == (
        "a.nii: at T=1, axes ZYX: volume has values that are NaN or infinite, 1 in all, the first "
        "is nan at (3, 2, 1); replace invalid pixels first"
    )
    assert names(Path()) == ["a.nii"]


# Stacks


@pytest.mark.parametrize("kind", ["planes", "film", "volume"])
def test_line_of_a_stack_says_the_noise_of_all_parts(capsys, kind):
    levels = np.array([5.0, 10.0])[:, None, None, None]
    values = 100 + RNG.normal(0, levels, (2, 3, 64, 64))
    tifffile.imwrite("a.tif", np.clip(values, 0, 255).astype(np.uint8), photometric="minisblack",
                     metadata={"axes": "TZYX"})  # fmt: skip
    words = ("denoise", "a.tif", "--as", kind, "--noise", "white")
    line = works(capsys, *words, "-o", "b.tif").strip()
    report = json.loads(works(capsys, *words, "-o", "c.tif", "--json"))
    levels = [each["sigma"][0] for each in report["noise"]["parts"]]
    parts = {"planes": "6 planes", "film": "3 films", "volume": "2 volumes"}[kind]
    assert f"; {parts}; " in line
    assert len(levels) == int(parts[0])
    if kind == "film":  # each has frames of both
        return
    assert f"white noise, sigma {min(levels):.3g} to {max(levels):.3g}; " in line
    assert min(levels) == pytest.approx(5, rel=0.2)
    assert max(levels) == pytest.approx(10, rel=0.2)


def test_alpha_of_a_stack_is_not_restored(capsys):
    values = RNG.integers(0, 255, (5, 16, 18, 4), np.uint8)
    tifffile.imwrite("a.tif", values, photometric="rgb", extrasamples=["unassalpha"])
    works(capsys, "volume", "a.tif", "--sigma", "20/255")
    result = tifffile.imread("a-restored.tif")
    np.testing.assert_array_equal(result[..., 3], values[..., 3])
    expected = fastrestore.bm4d(values[..., :3], 20, channel_axis=-1)
    np.testing.assert_array_equal(result[..., :3], np.clip(np.rint(expected), 0, 255))


@pytest.mark.parametrize(
    ("command", "words", "function"),
    [
        ("sharpen", [], lambda plane: fastrestore.sharpen(plane, 6000, 1.2)),
        ("deblur", ["--psf", "p.npy"],
         lambda plane: fastrestore.deblur(plane, np.ones((3, 3)) / 9, 6000)),
        ("inpaint", ["--mask", "m.png", "--iterations", "2"],
         lambda plane: fastrestore.inpaint(plane, images.read(Path("m.png")).values > 0, 6000,
                                           iterations=2)),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:the result is rougher")  # of random values
def test_other_commands_restore_stacks_plane_by_plane(capsys, command, words, function):
    values = np.clip(PLANES, 6000, 50000)
    tifffile.imwrite("a.tif", values, imagej=True, metadata={"axes": "TZYX"})
    np.save("p.npy", np.ones((3, 3)) / 9)
    mask = np.zeros((16, 18), np.uint8)
    mask[5:7] = 255
    png(Path("m.png"), mask)
    line = works(capsys, command, "a.tif", *words, "--sigma", "6000", "--sigma-scale", "native")
    assert "; 6 planes; " in line
    with tifffile.TiffFile("a-restored.tif") as tiff:
        assert tiff.series[0].axes == "TZYX"
        result = tiff.asarray()
    expected = function(values[1, 2])
    np.testing.assert_array_equal(result[1, 2], np.clip(np.rint(expected), 0, 65535))


def test_streaks_of_a_stack(capsys):
    """The axes of angles and detector count those of the whole stack, as for NPY files."""
    values = np.clip(PLANES[0] // 100 + 9 * np.arange(18), 0, 700).astype(np.float32)
    tifffile.imwrite("a.tif", values, imagej=True, metadata={"axes": "ZYX"})
    works(capsys, "streaks", "a.tif", "-o", "b.tif")
    works(capsys, "streaks", "a.tif", "-o", "c.tif", "--angle-axis", "0")
    for name, axis in (("b.tif", 1), ("c.tif", 0)):
        expected = fastrestore.remove_streaks(values, angle_axis=axis)
        with tifffile.TiffFile(name) as tiff:
            np.testing.assert_array_equal(tiff.asarray(), expected)
            assert tiff.series[0].axes == "ZYX"
