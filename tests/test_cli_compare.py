"""The command line: pages that compare files."""

import json
import re
from base64 import b64decode

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.commandline import fails, names, noisy, photograph, png, works
from support.videos import draw_video

from fastrestore.report.files import TURNS, load, names_of

CLEAN, NOISY = (image.round().astype(np.uint8) for image in (photograph(), noisy()))


def settings(path):
    return json.loads(re.search(r'id="settings">(.*?)</script>', path.read_text("utf-8"))[1])


def test_page_beside_the_noisy_file(capsys, tmp_path):
    a, b = png(tmp_path / "a.png", NOISY), png(tmp_path / "b.png", CLEAN)
    page = tmp_path / "a-comparison.html"
    assert re.fullmatch(rf"{page}: 0\.\d MB\n", works(capsys, "compare", a, b))
    found = settings(page)
    minus = "\N{MINUS SIGN}"
    shown = [each["name"] for each in found["pictures"]]
    assert shown == ["a.png", "b.png", f"Removed: a.png {minus} b.png"]
    assert "<title>a.png and b.png</title>" in page.read_text("utf-8")
    assert "exists already; add --overwrite" in fails(capsys, "compare", a, b)
    works(capsys, "compare", a, b, "--overwrite")


def test_truth_title_and_several_results(capsys, tmp_path):
    paths = [png(tmp_path / f"{k}.png", NOISY // k) for k in (1, 2, 3)]
    truth, page = png(tmp_path / "truth.png", CLEAN), tmp_path / "page.html"
    works(capsys, "compare", *paths, "--truth", truth, "--title", "Mine", "-o", page)
    text = page.read_text("utf-8")
    assert "<title>Mine</title>" in text
    assert text.count("</td><td>") == 3


def test_stacks_and_arrays(capsys, tmp_path):
    stack = np.random.default_rng(0).integers(0, 4000, (4, 20, 30), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    np.save(tmp_path / "b.npy", stack)
    page = tmp_path / "page.html"
    works(capsys, "compare", tmp_path / "a.tif", tmp_path / "b.npy", "-o", page)
    assert len(settings(page)["frames"]) == 4
    color = np.random.default_rng(0).integers(0, 256, (3, 20, 30), np.uint8)
    np.save(tmp_path / "c.npy", color)
    png(tmp_path / "d.png", np.ascontiguousarray(np.moveaxis(color, 0, -1)))
    files = [tmp_path / "c.npy", tmp_path / "d.png"]
    works(capsys, "compare", *files, "-o", page, "--overwrite", "--channel-axis", 0)
    assert settings(page)["pictures"][0]["channels"] == 3
    np.testing.assert_array_equal(load(files[0], 0).values, load(files[1]).values)


def test_stacks_of_named_axes(capsys, tmp_path):
    stack = np.random.default_rng(0).integers(0, 4000, (2, 3, 2, 16, 20), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TZCYX"})
    np.save(tmp_path / "b.npy", stack)
    np.save(tmp_path / "c.npy", np.moveaxis(stack, 2, -1)[0])
    page = tmp_path / "page.html"
    files = [tmp_path / "a.tif", tmp_path / "b.npy"]
    works(capsys, "compare", *files, "--axes", "TZCYX", "-o", page)
    found = settings(page)["frames"]
    assert len(found) == 12
    assert found[7] == "frame 2, slice 1, channel 2"
    np.testing.assert_array_equal(load(files[0]).values, stack.reshape(12, 16, 20))
    text = fails(capsys, "compare", *files, "--axes", "TZCQX", "-o", page, "--overwrite")
    assert "rows Y and columns X are needed" in text
    last = tmp_path / "c.npy"
    works(capsys, "compare", last, last, "--channel-axis", -1, "-o", page, "--overwrite")
    assert settings(page)["frames"][3] == "2 of 3, channel 2"


def test_nifti(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    volume = np.random.default_rng(0).normal(0, 1, (4, 5, 6)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(load(tmp_path / "a.nii.gz").values, volume.T)


def test_videos(capsys, tmp_path):
    pytest.importorskip("av")
    for name in ("a.mkv", "b.mkv"):
        draw_video(tmp_path / name, count=40)
    page = tmp_path / "page.html"
    works(capsys, "compare", tmp_path / "a.mkv", tmp_path / "b.mkv", "-o", page)
    frames = settings(page)["frames"]
    assert len(frames) == 16
    assert (frames[0], frames[-1]) == ("frame 2", "frame 39")


def test_profile_is_that_of_the_file(capsys, tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name in ("a.png", "b.png"):
        Image.fromarray(np.stack([NOISY] * 3, -1)).save(tmp_path / name, icc_profile=profile)
    page = tmp_path / "page.html"
    works(capsys, "compare", tmp_path / "a.png", tmp_path / "b.png", "-o", page)
    pictures = re.findall(r'id="picture-\d-0">(.*?)</script>', page.read_text("utf-8"))
    assert [b"iCCP" in b64decode(text) for text in pictures] == [True, True, False]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    np.testing.assert_array_equal(load(tmp_path / "a.png").values, expected)
    assert set(TURNS) == set(range(2, 9))


def test_errors(capsys, tmp_path):
    a, b = png(tmp_path / "a.png", NOISY), png(tmp_path / "b.png", CLEAN[1:])
    c = png(tmp_path / "c.png", NOISY.astype(np.uint16))
    assert "b.png has 40 x 47 pixels with 1 channel, and a.png has 40 x 48" in fails(
        capsys, "compare", a, b
    )
    assert "c.png is uint16 and" in fails(capsys, "compare", a, c)
    assert "missing.png: no such file" in fails(capsys, "compare", a, tmp_path / "missing.png")
    assert "unknown extension '.txt'" in fails(capsys, "compare", a, a, "-o", tmp_path / "p.txt")
    assert "--max-size 0: write a positive" in fails(capsys, "compare", a, a, "--max-size", 0)
    (tmp_path / "d.png").write_bytes(a.read_bytes()[:60])
    assert "d.png" in fails(capsys, "compare", a, tmp_path / "d.png")
    assert names(tmp_path) == ["a.png", "b.png", "c.png", "d.png"]


def test_names_of_files_are_distinct(tmp_path):
    assert names_of([tmp_path / "a.png", tmp_path / "b.png"]) == ["a.png", "b.png"]
    every = [tmp_path / "x" / "a.png", tmp_path / "y" / "a.png"]
    assert names_of(every) == list(map(str, every))


def test_directories_are_compared_by_the_commands_that_restore(capsys, tmp_path):
    text = fails(capsys, "compare", tmp_path, tmp_path)
    assert text.startswith(f"{tmp_path} is a directory; name two files, or ")
    assert f"`fastrestore restore {tmp_path} -o DIR --compare PAGES`" in text
