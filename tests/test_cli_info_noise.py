"""The command line: the noise of stacks, volumes and videos by `info --noise`."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
import tifffile
from support.commandline import fails, names, works
from support.videos import draw_video

import fastrestore

RNG = np.random.default_rng(0)
CLEAN = 100 + 40 * np.sin(np.arange(96) / 9) + np.zeros((80, 1))


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def noise_of(capsys, name, *words):
    """Return the noise as JSON."""
    return json.loads(works(capsys, "info", name, "--noise", "--json", *words))[0]["noise"]


def test_stack_of_channels(capsys):
    levels = np.array([4.0, 8.0])[:, None, None]
    values = 100 * (CLEAN + RNG.normal(0, levels, (12, 2, 80, 96)))
    tifffile.imwrite("a.tif", values.astype(np.uint16), imagej=True, metadata={"axes": "ZCYX"})
    lines = works(capsys, "info", "--noise", "--model", "white", "a.tif").splitlines()
    assert "  noise        channel 0: white, with a constant level" in lines
    assert "  from         5 of 12 planes: Z=1; Z=3; Z=6; Z=8; Z=10" in lines
    found = noise_of(capsys, "a.tif")
    assert [each["channel"] for each in found] == ["channel 0", "channel 1"]
    assert [each["sigma"][0] for each in found] == pytest.approx([400, 800], rel=0.15)
    line = fails(capsys, "info", "--noise", "a.tif", "--save", "s.npz")
    assert line.startswith("a.tif: its 2 channels have noise of their own, and --save writes one")


def test_stack_of_planes_can_be_saved_and_used(capsys, folder):
    values = np.clip(CLEAN + RNG.normal(0, 9, (3, 80, 96)), 0, 255).astype(np.uint8)
    tifffile.imwrite("a.tif", values, photometric="minisblack")
    works(capsys, "info", "--noise", "a.tif", "--save", "s.npz", "--model", "white")
    assert fastrestore.NoiseSpec.load("s.npz").sigma[0] == pytest.approx(9, rel=0.1)
    works(capsys, "denoise", "a.tif", "-o", "b.tif", "--noise", "s.npz")
    assert tifffile.imread("b.tif").std() < values.std()


@pytest.mark.parametrize("shape", [(80, 96, 8), (80, 96, 8, 2)])
def test_volume_is_that_of_bm4d(capsys, shape):
    values = CLEAN[:, :, None] + RNG.normal(0, 9, shape[:3])
    values = np.broadcast_to(values[..., None] if len(shape) > 3 else values, shape)
    nibabel.Nifti1Image(values.astype(np.float32), np.eye(4)).to_filename("a.nii")
    found = noise_of(capsys, "a.nii")
    assert found["from"] == ("the volume at T=0" if len(shape) > 3 else "the whole volume")
    line = works(capsys, "denoise", "a.nii")
    assert f"sigma {found['sigma'][0]:.3g}; bm4d" in line


@pytest.mark.parametrize(("pixels", "source"), [
    ("yuv420p", "the luminance of the first 6 frames"), ("gray", "the first 6 frames"),
])  # fmt: skip
def test_film_is_that_of_vbm3d(capsys, pixels, source):
    colors = {} if pixels == "gray" else {"color_range": 1}
    draw_video("a.mkv", count=6, sigma=8, pixels=pixels, colors=colors)
    found = noise_of(capsys, "a.mkv")
    assert found["from"] == source
    levels = found["sigma"] + found.get("chroma", [])
    assert levels == pytest.approx([8.0] * len(levels), rel=0.25)
    assert len(levels) == (1 if pixels == "gray" else 3)
    line = works(capsys, "denoise", "a.mkv")
    assert f"sigma {', '.join(f'{level:.3g}' for level in levels)}; vbm3d" in line
    text = works(capsys, "info", "--noise", "a.mkv")
    assert ("  chroma       white, sigma " in text) == (pixels != "gray")


def test_errors(capsys, folder):
    draw_video("a.mkv", count=3)
    line = fails(capsys, "info", "--noise", "a.mkv", "--save", "s.npz")
    assert line.startswith("a.mkv stores luminance and chroma, whose noise --save does not write")
    values = np.full((8, 8, 8), np.nan, np.float32)
    nibabel.Nifti1Image(values, np.eye(4)).to_filename("n.nii")
    line = fails(capsys, "info", "--noise", "n.nii")
    assert line == (
        "n.nii: volume has values that are NaN or infinite; replace invalid pixels first"
    )
    assert names(folder) == ["a.mkv", "n.nii"]
