"""The command line: a video looks as bright as before, whether its range is stored or not."""

import warnings

import numpy as np
import pytest
from support.videos import draw_video, first, keep_frames

from fastrestore._io.pyav import FULL, LIMITED
from fastrestore.cli import main


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Replace vbm3d by the identity, in an empty folder."""
    keep_frames(monkeypatch)
    monkeypatch.chdir(tmp_path)


def shown(path):
    """The first frame as a player shows it."""
    return first(path)[0].reformat(format="gray").to_ndarray().astype(float)


# name, codec, pixel format and range of a video; where it is written; whether the range is lost
CASES = [
    (("a.avi", "mjpeg", "yuvj420p", FULL), ("b.avi",), True),
    (("a.avi", "mjpeg", "yuvj420p", FULL), ("b.mp4",), False),
    (("a.mkv", "ffv1", "yuv422p", FULL), ("b.avi",), True),
    (("a.mkv", "ffv1", "yuv420p", FULL), ("b.mp4", "--codec", "mpeg4"), True),
    (("a.mkv", "ffv1", "yuv420p", FULL), ("b.mkv", "--codec", "mpeg4"), False),
    (("a.mkv", "ffv1", "yuv420p", FULL), ("b.mp4", "--codec", "mpeg2video"), True),
    (("a.mkv", "ffv1", "yuv420p", FULL), ("b.mkv", "--codec", "mpeg2video"), True),
    (("a.mkv", "ffv1", "yuv420p", FULL), ("b.webm",), False),
    (("a.mkv", "ffv1", "yuv420p", LIMITED), ("b.avi",), False),
    (("a.mkv", "ffv1", "gray", 0), ("b.mp4",), False),
    (("a.mkv", "ffv1", "gray", 0), ("b.avi",), True),
    (("a.mkv", "ffv1", "gray", 0), ("b.mkv", "--codec", "libx265"), False),
    (("a.mkv", "ffv1", "gray10le", 0), ("b.mp4",), False),
    (("a.mkv", "ffv1", "gray", 0), ("b.mkv", "--lossless"), False),
    (("a.mkv", "ffv1", "yuv420p", FULL), ("b.mkv", "--pixel-format", "gray"), False),
    (("a.mkv", "ffv1", "yuv420p", LIMITED), ("b.mkv", "--pixel-format", "gray"), False),
]


@pytest.mark.parametrize(("source", "target", "lost"), CASES)
def test_brightness_is_kept(capsys, source, target, lost):
    name, codec, pixels, color_range = source
    options = {"flags": "+qscale", "global_quality": "236"} if codec == "mjpeg" else {}
    colors = {"color_range": color_range}
    draw_video(name, codec=codec, pixels=pixels, sigma=0, colors=colors, options=options)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["video", name, "-o", *target, "--sigma", "0.1"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "range" in line]
    assert len(lines) == lost
    assert all("the video is converted to limited range" in line for line in lines)
    before, after = shown(name), shown(target[0])
    assert np.abs(after - before).mean() < 2
    assert np.ptp(before) > 100


def test_range_of_a_gray_video_that_is_limited():
    draw_video("a.mkv", pixels="gray", sigma=0, colors={"color_range": LIMITED})
    assert main(["video", "a.mkv", "-o", "b.mp4", "--sigma", "0.1"]) == 0
    stored, frame = first("a.mkv")[0].to_ndarray(), first("b.mp4")[0]
    assert frame.color_range in (0, LIMITED)  # H.264 does not store the range of most videos
    luma = frame.to_ndarray(channel_last=False)[: len(stored)].astype(float)
    assert np.abs(luma - stored).mean() < 2


def test_lossless_values_are_kept(capsys):
    draw_video("a.mkv", sigma=0, colors={"color_range": FULL})
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["video", "a.mkv", "-o", "b.avi", "--sigma", "0.1", "--lossless"]) == 0
    line = "b.avi: ffv1 in .avi does not store that a video has full range; write .mkv"
    assert capsys.readouterr().err == f"fastrestore: warning: {line}\n"
    np.testing.assert_array_equal(first("b.avi")[0].to_ndarray(), first("a.mkv")[0].to_ndarray())
