"""The command line: noise that is estimated, given by --noise or read from a file."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from support.commandline import fails, noisy, photograph, png, with_info, works
from support.videos import draw_video, keep_frames, planes_of

import fastrestore
from fastrestore import NoiseSpec, PoissonGaussian, Rician, nets
from fastrestore._io import images
from fastrestore.cli import main

SPEC = NoiseSpec(
    [5], [[0, 100, 255]], [[3, 5, 6]], np.ones((1, 1, 1, 1)), PoissonGaussian(2.0, 3.0, 4.0)
)
NAMES = ("auto", "white", "correlated", "signal-dependent", "camera")


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Work in a folder with a noisy picture, a noisy volume and a file of noise."""
    monkeypatch.chdir(tmp_path)
    png(tmp_path / "a.png", np.rint(noisy()).astype(np.uint8))
    np.save("v.npy", np.stack([noisy(seed=k) for k in range(4)]))
    SPEC.save("spec.npz")
    return tmp_path


@pytest.fixture
def calls(monkeypatch):
    """Replace `bm3d` and `bm4d` by the identity and collect their arguments of the noise."""
    seen = []

    def identity(image, sigma=None, **options):
        result = with_info(np.asarray(image, np.float32), options)
        seen.append({"sigma": sigma} | {k: options[k] for k in options if k in NOISE})
        return result

    monkeypatch.setattr(fastrestore, "bm3d", identity)
    monkeypatch.setattr(fastrestore, "bm4d", identity)
    return seen


NOISE = ("noise", "strength", "psd", "noise_kernel")
BOTH = [
    ([], {"sigma": None}),
    (["--sigma", "auto"], {"sigma": None, "noise": "white"}),
    (["--noise", "poisson:2,3"], {"sigma": None, "noise": PoissonGaussian(2.0, 3.0)}),
    (["--noise", "poisson:2,3,-4.5"], {"sigma": None, "noise": PoissonGaussian(2.0, 3.0, -4.5)}),
    (["--noise", "rician:20"], {"sigma": None, "noise": Rician(20.0)}),
    (["--noise", "spec.npz"], {"sigma": None, "noise": SPEC}),
    (["--strength", "0.7"], {"sigma": None, "strength": 0.7}),
    (["--strength", "2", "--sigma", "0"], {"sigma": 0, "strength": 2.0}),
    *[(["--noise", name], {"sigma": None, "noise": name}) for name in NAMES],
]


@pytest.mark.parametrize(("words", "expected"), BOTH)
def test_options_reach_the_library(capsys, calls, words, expected):
    works(capsys, "denoise", "a.png", "-o", "b.png", *words)
    works(capsys, "volume", "v.npy", "-o", "w.npy", *words)
    assert calls == [expected, expected]


def test_results_are_those_of_the_library(capsys):
    works(capsys, "denoise", "a.png", "-o", "b.png")
    image = images.read(Path("a.png")).values
    expected = images.to_type(fastrestore.bm3d(image), np.uint8)
    np.testing.assert_array_equal(images.read(Path("b.png")).values, expected)
    works(capsys, "denoise", "a.png", "-o", "c.png", "--noise", "spec.npz", "--strength", "0.5")
    expected = images.to_type(fastrestore.bm3d(image, noise=SPEC, strength=0.5), np.uint8)
    np.testing.assert_array_equal(images.read(Path("c.png")).values, expected)
    works(capsys, "volume", "v.npy", "-o", "w.npy")
    expected = fastrestore.bm4d(np.load("v.npy"), slice_axis=0)
    np.testing.assert_array_equal(np.load("w.npy"), expected)


@pytest.mark.parametrize(
    "argv", [["denoise", "a.png", "-o", "b.png"], ["volume", "v.npy", "-o", "w.npy"]]
)
@pytest.mark.parametrize(
    ("words", "reported"),
    [
        ([], True),
        (["--sigma", "auto"], True),
        (["--sigma", "auto", "--quiet"], False),
        (["--sigma", "0.1"], False),
        (["--noise", "poisson:1,2"], False),
    ],
)
def test_estimated_noise_is_reported_on_a_terminal(monkeypatch, capsys, argv, words, reported):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main([*argv, *words]) == 0
    out, err = capsys.readouterr()
    lines = [line.split("\r")[-1] for line in err.splitlines()] + out.splitlines()
    said = [line for line in lines if ": white noise, sigma " in line and argv[1] in line]
    assert len(said) == reported


def test_networks_estimate_white_noise(monkeypatch, capsys):
    pytest.importorskip("torch")
    seen = []

    def identity(image, **options):
        seen.append({k: v for k, v in options.items() if k in (*NOISE, "sigma")})
        return image.astype(np.float32)

    monkeypatch.setattr(fastrestore, "denoise", identity)
    for words in ([], ["--sigma", "auto"], ["--strength", "2"]):
        works(capsys, "denoise", "a.png", "-o", "b.png", "--method", "unet", "--overwrite", *words)
    assert seen == [{"sigma": None}, {"sigma": None}, {"sigma": None, "strength": 2.0}]


@pytest.mark.skipif("refine-gray" not in nets.names(), reason="no weights come with the library")
@pytest.mark.parametrize(
    ("words", "method"),
    [
        ((), "hybrid"),
        (("--noise", "rician:20"), "bm3d (hybrid leaves Rician noise to it)"),
        (("--noise", "camera"), "bm3d (hybrid leaves camera noise to it)"),
        (("--sigma", "0"), "bm3d (hybrid has no noise to remove)"),
        (("--sigma", "0.9"), "bm3d (hybrid leaves noise as strong as this to it)"),
    ],
)
@pytest.mark.filterwarnings("ignore:sigma")
def test_hybrid_says_what_it_leaves_to_bm3d(capsys, words, method):
    pytest.importorskip("torch")
    main(["denoise", "a.png", "--method", "hybrid", "--report", "r.json", *words])
    out, _ = capsys.readouterr()
    assert f"; {method}, np, " in out
    assert json.loads(Path("r.json").read_text())["files"][0]["method"] == method


# Videos


@pytest.fixture
def film(folder):
    pytest.importorskip("av")
    draw_video(folder / "gray.mkv", pixels="gray", count=2, colors={})
    draw_video(folder / "rgb.mkv", pixels="gbrp10le", count=2, colors={}, sigma=40)
    draw_video(folder / "yuv.mkv", pixels="yuv420p", count=2)
    draw_video(folder / "full.mkv", pixels="yuv444p", count=2)
    return folder


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"noise": "auto"}),
        (["--noise", "camera"], {"noise": "camera"}),
        (["--noise", "spec.npz"], {"noise": SPEC}),
        (["--noise", "poisson:2,3,4"], {"noise": PoissonGaussian(2.0, 3.0, 4.0)}),
        (["--noise", "white", "--strength", "0.5"], {"noise": "white", "strength": 0.5}),
    ],
)
def test_noise_of_gray_and_rgb_videos(monkeypatch, capsys, film, words, expected):
    seen = keep_frames(monkeypatch)
    for name in ("gray", "rgb"):
        works(capsys, "video", f"{name}.mkv", "-o", f"{name}2.mkv", *words, "--lossless", "--quiet")
    used = [{k: options[k] for k in options if k in NOISE} for options in seen]
    assert used == [expected, expected]


@pytest.mark.parametrize("name", ["yuv", "full"])
def test_noise_of_videos_with_chroma(monkeypatch, capsys, film, name):
    seen = keep_frames(monkeypatch)
    works(capsys, "video", f"{name}.mkv", "-o", "out.mkv", "--noise", "correlated", "--quiet")
    assert sorted(seen[k].get("noise", "-") for k in range(2)) == ["-", "correlated"]
    assert {options.get("sigma") for options in seen} == {None, 1.0}
    line = fails(capsys, "video", f"{name}.mkv", "-o", "out2.mkv", "--noise", "spec.npz")
    assert line.startswith(
        f"--noise spec.npz is for gray and RGB videos, and {name}.mkv stores lum"
    )


@pytest.mark.parametrize("name", ["gray", "rgb", "yuv", "full"])
def test_videos_without_options(capsys, film, name):
    works(
        capsys,
        "video",
        f"{name}.mkv",
        "-o",
        "out.mkv",
        "--quiet",
        "--lossless",
        "--profile",
        "fast",
    )
    before, after = luminance(film / f"{name}.mkv"), luminance(film / "out.mkv")
    rough = [np.abs(np.diff(frames.astype(float))).mean() for frames in (before, after)]
    assert rough[1] < 0.7 * rough[0]


def luminance(path):
    """Return the first planes of the frames."""
    import av

    with av.open(str(path)) as video:
        return np.array([planes_of(frame)[0].copy() for frame in video.decode(video=0)])


def test_estimated_gain_is_for_images(capsys):
    for argv in (["volume", "v.npy", "-o", "w.npy"], ["video", "a.mkv", "-o", "b.mkv"]):
        line = fails(capsys, *argv, "--noise", "poisson:auto")
        assert line == "--noise poisson:auto is for images; write --noise poisson:GAIN,SIGMA"


# info


def test_info_describes_the_noise(capsys):
    lines = works(capsys, "info", "--noise", "--model", "white", "a.png").splitlines()
    sigma = fastrestore.estimate_sigma(images.read(Path("a.png")).values)
    assert lines[0].startswith("a.png: 48 x 40, uint8, min 0, max 255")
    assert lines[1:] == [
        "  noise        white, with a constant level",
        "  reason       the model 'white' was requested",
        f"  sigma        {sigma:.3g}",
    ]
    lines = works(capsys, "info", "--noise", "--model", "camera", "a.png").splitlines()
    assert lines[1].startswith("  noise        camera: correlated, with a level that")
    np.save("flat.npy", np.full((32, 32), 7.0))
    assert "  noise        none" in works(capsys, "info", "--noise", "flat.npy").splitlines()


def test_info_as_json(capsys):
    np.save("n.npy", np.array([[np.nan, 1.0]]))
    listed = json.loads(works(capsys, "info", "--json", "a.png", "n.npy"))
    assert [entry["file"] for entry in listed] == ["a.png", "n.npy"]
    assert listed[0] | {"mean": 0} == {
        "file": "a.png", "height": 48, "width": 40, "channels": 1, "alpha": False,
        "dtype": "uint8", "min": 0, "max": 255, "mean": 0,
    }  # fmt: skip
    assert listed[1]["min"] is None
    noise = json.loads(works(capsys, "info", "--json", "--noise", "a.png"))[0]["noise"]
    spec = fastrestore.estimate_noise(images.read(Path("a.png")).values)
    assert noise["model"] == spec.model
    assert noise["levels"] == spec.levels.tolist()
    assert set(noise) == {
        "model", "reason", "sigma", "brightness", "levels", "correlation", "distribution"
    }  # fmt: skip


def test_info_saves_the_mean_of_all_images(capsys, folder):
    png(folder / "b.png", np.rint(photograph() + 5 * noisy(30) / 30).clip(0, 255).astype(np.uint8))
    works(capsys, "info", "--noise", "a.png", "b.png", "--save", "mean.npz")
    specs = [
        fastrestore.estimate_noise(images.read(folder / name).values) for name in ("a.png", "b.png")
    ]
    assert NoiseSpec.load("mean.npz") == NoiseSpec.pool(specs)
    works(capsys, "denoise", "a.png", "-o", "c.png", "--noise", "mean.npz")
    works(capsys, "info", "--noise", "a.png", "--save", "mean.npz", "--overwrite")
    assert NoiseSpec.load("mean.npz") == specs[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--save", "b.npz"], "--save needs --noise"),
        (["--model", "white"], "--model needs --noise"),
        (["--noise", "--save", "b"], "--save b does not end in .npz"),
        (["--noise", "--save", "spec.npz"], "spec.npz exists already; add --overwrite"),
        (["--noise", "--save", "none/b.npz"], "No such file or directory"),
    ],
)
def test_errors_of_info(capsys, words, message):
    assert main(["info", "a.png", *words]) == 2
    assert message in capsys.readouterr().err


def test_images_of_other_channels_cannot_be_pooled(capsys, folder):
    png(folder / "rgb.png", np.zeros((32, 32, 3), np.uint8))
    assert main(["info", "--noise", "a.png", "rgb.png", "--save", "b.npz"]) == 2
    assert "--save: specs must have equal numbers of channels" in capsys.readouterr().err
    assert not (folder / "b.npz").exists()
