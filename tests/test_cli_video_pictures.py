"""The command line: `video` of numbered images."""

from __future__ import annotations

import builtins
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from support.commandline import fails, names, read, works
from support.videos import BT709, FULL, LIMITED, draw_video, first, frames, keep_frames

import fastrestore
from fastrestore.cli import main

LIGHT = ["--radius", "1", "--stage", "basic", "--backend", "numba"]
NUMBERS = {"radius": 1, "stage": "basic", "backend": "numba"}


@pytest.fixture
def identity(monkeypatch):
    """Replace vbm3d by the identity, so that frames have to come back as they were."""
    return keep_frames(monkeypatch)


def video(capsys, *argv):
    """Run in silence."""
    works(capsys, "video", argv[0], "-o", *argv[1:], "--quiet")


def rounded(values, top=255):
    return np.clip(np.rint(np.asarray(values, np.float64)), 0, top)


def test_video_to_images_and_back(capsys, tmp_path, identity):
    draw_video(tmp_path / "in.mkv", pixels="rgb24", codec="libx264rgb", colors={}, count=4)
    video(capsys, tmp_path / "in.mkv", tmp_path / "f%03d.png", "--sigma", "0.1")
    assert names(tmp_path) == ["f001.png", "f002.png", "f003.png", "f004.png", "in.mkv"]
    green, blue, red = frames(tmp_path / "in.mkv")[1][2]
    with Image.open(tmp_path / "f003.png") as image:
        np.testing.assert_array_equal(np.asarray(image), np.stack([red, green, blue], -1))
    video(capsys, tmp_path / "f%03d.png", tmp_path / "out.mp4", "--sigma", "0.1", "--lossless",
          "--fps", "30000/1001")  # fmt: skip
    times, planes = frames(tmp_path / "out.mp4")
    assert times == [Fraction(1001 * k, 30000) for k in range(4)]
    np.testing.assert_array_equal(planes[2], [green, blue, red])


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("matrix", "red", "blue"), [(1, 0.2126, 0.0722), (6, 0.299, 0.114)])
@pytest.mark.parametrize("bits", [8, 10])
def test_images_have_the_colors_of_the_video(
    capsys, tmp_path, identity, full, matrix, red, blue, bits
):
    pixels = "yuv444p" if bits == 8 else "yuv444p10le"
    draw_video(tmp_path / "in.mkv", pixels=pixels, count=1, sigma=2**bits / 200,
               colors=BT709 | {"colorspace": matrix, "color_range": 1 + full})  # fmt: skip
    video(capsys, tmp_path / "in.mkv", tmp_path / "%d.tif", "--sigma", "0.01")
    step = 2 ** (bits - 8)
    y, u, v = (plane.astype(float) for plane in frames(tmp_path / "in.mkv")[1][0])
    white, most = (2**bits - 1, 2**bits - 1) if full else (219 * step, 224 * step)
    y, u, v = (
        (y - (0 if full else 16 * step)) / white,
        (u - 128 * step) / most,
        (v - 128 * step) / most,
    )
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    result = read(tmp_path / "1.tif")
    assert result.dtype == (np.uint8 if bits == 8 else np.uint16)
    expected = np.clip(np.stack([r, g, b], -1), 0, 1) * np.iinfo(result.dtype).max
    assert np.abs(result - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(("colors", "black"), [({"color_range": FULL}, 0), (BT709, 16)])
@pytest.mark.parametrize("pixels", ["gray", "gray10le"])
def test_images_of_gray_videos_have_the_full_range(
    capsys, tmp_path, identity, pixels, colors, black
):
    draw_video(tmp_path / "in.mkv", pixels=pixels, count=1, colors=colors)
    video(capsys, tmp_path / "in.mkv", tmp_path / "%d.png", "--sigma", "0.01")
    (stored,) = frames(tmp_path / "in.mkv")[1][0]
    step = 1 if pixels == "gray" else 4
    shares = (stored - black * step) / ((219 * step) if black else 256 * step - 1)
    with Image.open(tmp_path / "1.png") as image:
        result = np.asarray(image)
    most = 255 if pixels == "gray" else 65535
    np.testing.assert_array_equal(result, rounded(shares * most, most))


def test_images_of_rgb_become_a_video_of_limited_range(capsys, tmp_path):
    values = np.zeros((32, 48, 3), np.uint8)
    values[:, :16], values[:, 16:32] = (255, 255, 255), (255, 0, 0)
    for k in range(3):
        Image.fromarray(values).save(tmp_path / f"in{k}.png")
    status = main(["video", f"{tmp_path}/in%d.png", "-o", f"{tmp_path}/out.mkv", "--sigma", "0",
                   "--fps", "25", "--pixel-format", "yuv420p", "--crf", "4"])  # fmt: skip
    assert (status, capsys.readouterr().err) == (0, "")
    frame = first(tmp_path / "out.mkv")[0]
    assert (int(frame.color_range), int(frame.colorspace)) == (LIMITED, 1)
    y, u, v = (plane.astype(int) for plane in frames(tmp_path / "out.mkv")[1][1])
    for found, wanted in (
        (y[10, [8, 24, 40]], (235, 63, 16)),
        (u[5, [4, 12, 20]], (128, 102, 128)),
        (v[5, [4, 12, 20]], (128, 240, 128)),
    ):
        assert np.abs(found - wanted).max() <= 2


def numbered(folder, numbers, name="a{:03d}.png", shape=(16, 20), dtype=np.uint8):
    for number in numbers:
        Image.fromarray(np.full(shape, number, dtype)).save(folder / name.format(number))


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ([], "a%03d.png: no images match this pattern, such as a001.png"),
        ([7, 8, 10, 11], "a009.png is missing between a007.png and a011.png"),
        ([7, 11], "a008.png and 2 more are missing between a007.png and a011.png"),
    ],
)
def test_missing_images(capsys, monkeypatch, tmp_path, there, message):
    monkeypatch.chdir(tmp_path)
    numbered(tmp_path, there)
    assert (
        fails(capsys, "video", "a%03d.png", "-o", "b%03d.png", "--sigma", "0.1", status=1)
        == message
    )


def test_images_that_differ(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    numbered(tmp_path, range(3))
    numbered(tmp_path, [3], shape=(16, 21))
    line = fails(capsys, "video", "a%03d.png", "-o", "b%03d.png", "--sigma", "0.1", "--radius", "0",
                 "--stage", "basic", status=1)  # fmt: skip
    assert line == "a003.png has shape (16, 21) and type uint8, the first has (16, 20) and uint8"


def test_pattern_ignores_names_with_other_padding(capsys, tmp_path, identity):
    numbered(tmp_path, [8, 9, 10])
    numbered(tmp_path, [7, 12], name="a{:02d}.png")
    numbered(tmp_path, [1], name="a{:04d}.png")
    video(capsys, tmp_path / "a%03d.png", tmp_path / "b%d.png", "--sigma", "0.1")
    assert [name for name in names(tmp_path) if name[0] == "b"] == ["b10.png", "b8.png", "b9.png"]


def test_video_name_with_a_percent_sign(capsys, tmp_path, identity):
    draw_video(tmp_path / "50%done.mkv", count=2)
    video(capsys, tmp_path / "50%done.mkv", tmp_path / "100%done.mkv", "--sigma", "0.1")
    assert len(frames(tmp_path / "100%done.mkv")[0]) == 2


def test_alpha_of_images_is_kept(capsys, tmp_path, identity):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (3, 16, 20, 4), np.uint8)
    for k in range(3):
        Image.fromarray(values[k]).save(tmp_path / f"a{k}.png")
    video(capsys, tmp_path / "a%d.png", tmp_path / "b%d.png", "--sigma", "0.1")
    with Image.open(tmp_path / "b2.png") as image:
        np.testing.assert_array_equal(np.asarray(image), values[2])


def test_float_images(capsys, tmp_path):
    noisy = np.random.default_rng(0).normal(0.5, 0.1, (4, 24, 32)).astype(np.float32)
    for k in range(4):
        np.save(tmp_path / f"a{k}.npy", noisy[k])
    video(capsys, tmp_path / "a%d.npy", tmp_path / "b%d.npy", "--sigma", "0.1", *LIGHT)
    expected = fastrestore.vbm3d(noisy, 0.1, **NUMBERS)
    result = [np.load(tmp_path / f"b{k}.npy") for k in range(4)]
    np.testing.assert_array_equal(result, expected)


def test_help_and_import_are_light(monkeypatch, capsys):
    real = builtins.__import__

    def watched(name, *args, **options):
        assert name.split(".")[0] not in ("av", "nibabel", "tifffile")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", watched)
    with pytest.raises(SystemExit) as stop:
        main(["video", "--help"])
    assert stop.value.code == 0
    assert "frames/%05d.png -o clean.mp4 --fps 24" in capsys.readouterr().out
