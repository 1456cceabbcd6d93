"""The command line: bursts and mosaics."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage
from support.commandline import NOISE8, fails, names, photograph, png, read, works, write

import fastrestore
from fastrestore._io.picture import Picture
from fastrestore.cli import main
from fastrestore.metrics import psnr

FAST = ("--backend", "numba", "--workers", "1")


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Work in a folder, with records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTRESTORE_RECORDS", str(tmp_path / ".records"))
    return tmp_path


@pytest.fixture
def frames(folder):
    """Noisy views of a scene that move."""
    (folder / "b").mkdir()
    paths = []
    for k in range(3):
        moved = ndimage.shift(photograph(), (k, -k), mode="mirror")
        noise = np.random.default_rng(k).normal(0, 20, moved.shape)
        values = np.rint(np.clip(moved + noise, 0, 255)).astype(np.uint8)
        paths.append(png(folder / "b" / f"f{k}.png", values))
    return paths


@pytest.fixture
def merged(monkeypatch):
    """Replace `denoise_burst` by the reference, and collect the arguments."""
    calls = []

    def first(images, sigma, *, reference, **options):
        calls.append({"count": len(images), "sigma": sigma, "reference": reference, **options})
        return images[reference].astype(np.float32)

    monkeypatch.setattr(fastrestore, "denoise_burst", first)
    return calls


# Bursts


def test_a_burst_is_that_of_the_library(capsys, folder, frames):
    out = works(capsys, "burst", "b", *FAST)
    assert out.startswith("b/f0.png -> b/f0-burst.png: white noise, sigma ")
    assert "; 3 images merged with bm3d, np; " in out
    expected = fastrestore.denoise_burst([read(path) for path in frames])
    result = read(folder / "b" / "f0-burst.png")
    np.testing.assert_array_equal(result, np.rint(np.clip(expected, 0, 255)))
    noisy = read(frames[0])
    before, after = (psnr(photograph(), image, data_range=255) for image in (noisy, result))
    assert after > before + 4


def test_the_reference_gives_view_and_metadata(capsys, folder, frames, merged):
    Image.fromarray(read(frames[1])).save(frames[1], dpi=(99, 99))
    works(capsys, "burst", *frames, "--reference", "2", "-o", "x.tif", "--sigma", "10/255")
    assert merged[0] | {"sigma": 10, "count": 3, "reference": 1, "channel_axis": None} == merged[0]
    np.testing.assert_array_equal(read(folder / "x.tif"), read(frames[1]))
    with Image.open("x.tif") as result:
        assert round(float(result.info["dpi"][0])) == 99


def test_options_of_all_commands(capsys, folder, frames, merged):
    out = works(capsys, "burst", "b", "--dry-run")
    assert out == "b/f0.png -> b/f0-burst.png\n"
    assert not merged
    out = works(capsys, "burst", "b", "--json", "--report", "r.json", "--compare", "p.html")
    fields = json.loads(out)
    assert fields["frames"] == ["f0.png", "f1.png", "f2.png"]
    assert fields["noise"]["sigma"] == [fastrestore.estimate_sigma(read(frames[0]))]
    assert json.loads((folder / "r.json").read_text())["files"] == [fields]
    assert "<html" in (folder / "p.html").read_text(encoding="utf-8")
    # The result is no image of the burst, and is kept
    assert "f0-burst.png exists already; add --overwrite" in fails(capsys, "burst", "b")
    assert "is up to date" in works(capsys, "burst", "b", "--resume")
    png(frames[2], NOISE8[:, ::-1])
    assert main(["burst", "b", "--resume"]) == 1  # another size, by now
    assert "f2.png is 24 x 17, uint8, and b/f0.png is 48 x 40, uint8" in capsys.readouterr().err
    assert len(merged) == 1


def test_a_folder_for_the_result(capsys, folder, frames, merged):
    works(capsys, "burst", "b/f1.png", "b/f0.png", "-o", "out/")
    assert names(folder / "out") == ["f1-burst.png"]
    assert merged[0]["count"] == 2


@pytest.mark.filterwarnings("always:skipped")
def test_results_that_are_named_are_no_images_of_the_burst(capsys, folder, frames, merged):
    works(capsys, "burst", *frames)
    works(capsys, "burst", *frames, "-o", "b/merged.png")
    write(folder / "b" / "f2-restored.png", NOISE8)
    merged.clear()
    words = [path.relative_to(folder) for path in sorted((folder / "b").iterdir())]
    assert len(words) == 6
    for command in (words, ["b/*.png"]):
        assert main(["burst", *map(str, command), "-o", "x.png", "--overwrite"]) == 0
        found = capsys.readouterr().err
        assert found == (
            "fastrestore: warning: skipped results of earlier calls: b/f0-burst.png, "
            "b/f2-restored.png, b/merged.png\n"
        )
        assert merged.pop()["count"] == 3


@pytest.mark.parametrize(
    ("words", "message", "status"),
    [
        (["b/f0.png"], "b/f0.png is one image, and a burst has several", 2),
        (["b/f0.png", "b/f0.png"], "b/f0.png is one image", 2),
        (["z.tif"], "z.tif is a stack, and a burst has a file for each image", 2),
        (["b", "--noise", "camera"], "fastrestore burst has no --noise: the noise is taken", 2),
        (["b", "--strength", "1"], "fastrestore burst has no --strength: images are weighted", 2),
        (["b", "--reference", "0"], "--reference 0 is not one of the 3 images; write 1 to 3", 2),
        (["b", "--reference", "4"], "--reference 4 is not one of the 3 images", 2),
        (["b", "--sigma", "25"], "--sigma 25 is ambiguous", 2),
        (["b", "-o", "x.pdf"], "x.pdf: unknown extension", 2),
        (["b", "none.png"], "none.png: no such file", 2),
        (["b", "text.png"], "cannot read text.png", 1),
        (["b", "notes.txt"], "notes.txt: unknown extension", 2),
        (["b", "color.png"], "color.png is 48 x 40, 3 channels, uint8, and b/f0.png is 48 x 40", 1),
        (["b", "turned.jpg"], "turned.jpg is 48 x 40, uint8, orientation 6, and", 1),
    ],
)
def test_wrong_bursts(capsys, folder, frames, words, message, status):
    for name in ("text.png", "notes.txt"):
        (folder / name).write_text("text")
    values = np.zeros((48, 40, 3), np.uint8)
    write(folder / "color.png", values)
    tifffile.imwrite(folder / "z.tif", np.stack([values[..., 0]] * 2))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(values[..., 0]).save("turned.jpg", exif=exif)
    assert message in fails(capsys, "burst", *words, status=status)
    assert names(folder / "b") == ["f0.png", "f1.png", "f2.png"]


# Mosaics


def mosaic_of(image, pattern="RGGB"):
    """Return a mosaic of an image (M, N, 3)."""
    values = np.zeros(image.shape[:2])
    for k, color in enumerate(pattern):
        place = (slice(k // 2, None, 2), slice(k % 2, None, 2))
        values[place] = image[(*place, "RGB".index(color))]
    return values


@pytest.fixture
def scene():
    ramp = photograph()
    return np.stack([ramp, 0.8 * ramp, 255 - ramp], -1)


def test_a_mosaic_is_that_of_the_library(capsys, folder, scene):
    noise = np.random.default_rng(0).normal(0, 5, scene.shape[:2])
    mosaic = np.rint(np.clip(mosaic_of(scene, "GBRG") + noise, 0, 255)).astype(np.uint8)
    png(folder / "m.png", mosaic)
    out = works(capsys, "demosaic", "m.png", "--pattern", "gbrg", "--iterations", "1", "--json")
    (sigma,) = json.loads(out)["noise"]["sigma"]
    assert 3 < sigma < 12  # of a small image, full of edges
    expected = fastrestore.demosaic(mosaic, "GBRG", sigma, iterations=1)
    result = read(folder / "m-restored.png")
    np.testing.assert_array_equal(result, np.rint(np.clip(expected, 0, 255)))
    words = ["--pattern", "GBRG", "--iterations", "1", "--overwrite", "--strength", "0.5"]
    assert ", strength 0.5; " in works(capsys, "demosaic", "m.png", *words)
    expected = fastrestore.demosaic(mosaic, "GBRG", 0.5 * sigma, iterations=1)
    weaker = np.rint(np.clip(expected, 0, 255))
    np.testing.assert_array_equal(read(folder / "m-restored.png"), weaker)
    works(capsys, "demosaic", "m.png", "--iterations", "0", "--sigma", "0", "-o", "z.tif")
    assert psnr(scene, read(folder / "z.tif"), data_range=255) < psnr(scene, result, data_range=255)


def test_depth_and_names_of_mosaics(capsys, folder, scene):
    values = (257 * mosaic_of(scene)).astype(np.uint16)
    for name in ("m.pgm", "m.npy"):
        write(folder / name, values)
    works(capsys, "demosaic", "m.pgm", "m.npy", "--iterations", "0", "-o", "out", "--quiet")
    assert names(folder / "out") == ["m.npy", "m.ppm"]
    for name in names(folder / "out"):
        result = read(folder / "out" / name)
        assert (result.dtype, result.shape) == (np.uint16, (48, 40, 3))
        np.testing.assert_array_equal(result[::2, ::2, 0], values[::2, ::2])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rgb.png"], "rgb.png has 3 channels, and a mosaic has one"),
        (["a.png", "--pattern", "RGBG"], "invalid choice: 'RGBG'"),
        (["a.png", "--iterations", "-1"], "--iterations -1 is not a number of 0 or more"),
        (["a.png", "--sigma", "7"], "--sigma 7 is ambiguous"),
        (["small.png"], "mosaic must have at least 4 x 4 pixels, got shape (3, 3)"),
        (["nan.npy"], "nan.npy: mosaic has values that are NaN"),
    ],
)
def test_wrong_mosaics(capsys, folder, words, message):
    png(folder / "a.png")
    png(folder / "small.png", NOISE8[:3, :3])
    write(folder / "nan.npy", np.full((20, 20), np.nan))
    write(folder / "rgb.png", np.zeros((9, 9, 3), np.uint8))
    assert message in fails(capsys, "demosaic", *words)


def test_camera_raw_files_have_colors(capsys, monkeypatch, folder):
    (folder / "a.dng").touch()
    picture = Picture(np.zeros((9, 9, 3), np.uint16), format="rawpy")
    monkeypatch.setattr("fastrestore._io.images.read", lambda path: picture)
    assert "a.dng is a camera raw file, which has colors" in fails(capsys, "demosaic", "a.dng")


def test_a_broken_file_among_mosaics(capsys, folder):
    png(folder / "a.png")
    (folder / "text.png").write_text("text")
    assert main(["demosaic", "a.png", "text.png", "--iterations", "0"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("a.png -> a-restored.png: ")
    assert "cannot read text.png" in err
    assert "2 files: 1 restored, 1 failed" in err
    assert "text-restored.png" not in names(folder)
