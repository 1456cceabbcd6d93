"""`fastrestore info` of stacks, volumes and videos."""

import json

import nibabel
import numpy as np
import pytest
import tifffile
from support.commandline import fails, works
from support.videos import draw_video


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def drawn(*shape):
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


def info(capsys, name):
    """Return the lines of text and the object of JSON."""
    text = works(capsys, "info", name).splitlines()
    (found,) = json.loads(works(capsys, "info", "--json", name))
    assert found["file"] == name
    return text, found


def test_ome(capsys):
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeYUnit": "nm",
            "PhysicalSizeZ": 2.0, "Channel": {"Name": ["DAPI <1>", "GFP"]}}  # fmt: skip
    tifffile.imwrite("a.ome.tif", drawn(2, 3, 2, 4, 5), ome=True,
                     metadata={"axes": "TZCYX", **size})  # fmt: skip
    text, found = info(capsys, "a.ome.tif")
    assert text == [
        "a.ome.tif: 2 frames, 3 slices, 2 channels, 4 x 5, uint16, min 0, max 239, mean 119.5",
        "  axes         TZCYX",
        "  voxel        x 0.5 µm, y 0.25 nm, z 2 µm",
        "  channels     DAPI <1>, GFP",
        "  restore      `fastrestore restore`: each image by itself, --as volume: slices together, "
        "--as film: frames together",
    ]
    assert (found["axes"], found["shape"], found["dtype"]) == ("TZCYX", [2, 3, 2, 4, 5], "uint16")
    assert (found["min"], found["max"], found["mean"]) == (0, 239, 119.5)
    assert found["voxel_size"] == {"x": 0.5, "y": 0.25, "z": 2.0}
    assert found["voxel_unit"] == {"x": "µm", "y": "nm", "z": "µm"}
    assert found["channel_names"] == ["DAPI <1>", "GFP"]


@pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m"])
def test_imagej(capsys, unit):
    tifffile.imwrite("a.tif", drawn(3, 4, 5), imagej=True, resolution=(2, 4),
                     metadata={"axes": "ZYX", "spacing": 2.5, "unit": unit})  # fmt: skip
    text, found = info(capsys, "a.tif")
    assert text[0] == "a.tif: 3 slices, 4 x 5, uint16, min 0, max 59, mean 29.5"
    assert text[2] == "  voxel        x 0.5 µm, y 0.25 µm, z 2.5 µm"
    assert found["voxel_size"] == {"x": 0.5, "y": 0.25, "z": 2.5}


def test_plain_pages(capsys):
    tifffile.imwrite("a.tif", drawn(3, 4, 5).astype(np.float32) * np.nan, metadata=None,
                     photometric="minisblack", resolution=(300, 300))  # fmt: skip
    text, found = info(capsys, "a.tif")
    assert text == [
        "a.tif: 3 pages, 4 x 5, float32, min not finite, max not finite, mean not finite",
        "  axes         IYX",
        "  restore      `fastrestore restore`: each image by itself, --as volume: slices together, "
        "--as film: frames together",
    ]
    assert found["mean"] is None
    assert "voxel_size" not in found


def test_colors_and_channels(capsys):
    tifffile.imwrite("a.tif", drawn(2, 4, 5, 3), photometric="rgb", metadata={"axes": "ZYXS"})
    tifffile.imwrite("c.tif", drawn(2, 4, 5), imagej=True, metadata={"axes": "CYX"})
    assert info(capsys, "a.tif")[0][0].startswith("a.tif: 2 slices, 4 x 5, 3 samples, uint16")
    lines = info(capsys, "c.tif")[0]
    assert lines[0].startswith("c.tif: 2 channels, 4 x 5, uint16")
    assert lines[-1] == "  restore      `fastrestore restore`: each channel by itself"


def test_nifti(capsys):
    image = nibabel.Nifti1Image(drawn(3, 4, 5), np.diag([0.5, 1, 2, 1]))
    image.header.set_xyzt_units("mm")
    image.to_filename("a.nii.gz")
    text, found = info(capsys, "a.nii.gz")
    assert text == [
        "a.nii.gz: 3 x 4 x 5, uint16, min 0, max 59, mean 29.5",
        "  axes         XYZ",
        "  voxel        x 0.5 mm, y 1 mm, z 2 mm",
        "  restore      `fastrestore restore`: slices together",
    ]
    assert found["voxel_unit"] == {"x": "mm", "y": "mm", "z": "mm"}


def test_film(capsys):
    draw_video("a.mkv", count=5, rate=24)
    text, found = info(capsys, "a.mkv")
    first = f"a.mkv: {found['frames']} frames, 48 x 64, 24 frames/s, ffv1, yuv420p, tracks: video"
    assert text == [first, "  restore      `fastrestore restore`"]
    assert found["frames"] in (5, 6)  # estimated from the duration
    assert (found["height"], found["width"], found["codec"]) == (48, 64, "ffv1")


def test_numbered_images(capsys):
    for k in range(3):
        tifffile.imwrite(f"f{k:02}.tif", drawn(4, 5))
    text, found = info(capsys, "f%02d.tif")
    assert text[0] == "f%02d.tif: 3 frames, 4 x 5, 1 channel, uint16"
    assert found["frames"] == 3


def test_damaged_film(capsys, folder):
    (folder / "a.mp4").write_bytes(b"not a film")
    assert fails(capsys, "info", "a.mp4").startswith("cannot read a.mp4: ")
    assert fails(capsys, "info", "none.mp4") == "none.mp4: no such file"
