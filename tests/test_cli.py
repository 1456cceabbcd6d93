"""The command line: the program and its other commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support.commandline import fails, noisy, photograph, shell, works

import fastrestore
from fastrestore._collaborative.profile import PROFILES
from fastrestore.cli import main
from fastrestore.metrics import psnr


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "noisy.png"
    Image.fromarray(noisy().astype(np.uint8)).save(path)
    return path


@pytest.fixture
def calls(monkeypatch):
    """Replace bm3d by the identity and collect its arguments."""
    seen = []

    def identity(image, sigma, **options):
        seen.append({"dtype": image.dtype, "sigma": sigma, **options})
        return image.astype(np.float32)

    monkeypatch.setattr(fastrestore, "bm3d", identity)
    return seen


# The program


def test_import_loads_no_heavy_module():
    heavy = "{'numpy', 'numba', 'scipy', 'PIL', 'tifffile', 'tqdm', 'pywt', 'av', 'nibabel'}"
    code = f"import sys, fastrestore.cli; print({heavy} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("set()\n", "")


def test_no_subcommand_prints_help(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: fastrestore ")
    for command in ("denoise", "video", "volume", "demo", "backends", "info", "cache"):
        assert command in err


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"fastrestore {fastrestore.__version__}\n"


def test_help_explains_sigma(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["denoise", "--help"])
    assert stop.value.code == 0
    assert "--sigma 25 --sigma-scale 8bit" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["paint"], "'paint' is neither a command nor a file"),
        (["denoise"], "required: IN (see"),
        (["denoise", "a.png", "-o", "b.png", "--sigma"], "--sigma: expected one argument"),
        (["denoise", "a.png", "-o", "b.png", "--sigma", "1", "--fast"], "arguments: --fast"),
        (["denoise", "a.png", "-o", "b.png", "--sigma", "1", "--over"], "arguments: --over"),
        (["denoise", "a", "-o", "b", "--sigma", "1", "--profile", "best"], "choice: 'best'"),
        (["denoise", "a", "-o", "b", "--sigma", "1", "--stage", "third"], "choice: 'third'"),
        (["denoise", "a", "-o", "b", "--sigma", "1", "--sigma-scale", "1"], "choice: '1'"),
        (["denoise", "a", "-o", "b", "--sigma", "1", "--workers", "all"], "int value: 'all'"),
        (["denoise", "a", "-o", "b", "--sigma", "1", "--data-range", "x"], "float value: 'x'"),
        (["info"], "required: IN"),
        (["cache"], "required: action"),
        (["cache", "burn"], "invalid choice: 'burn'"),
        (["demo", "--sigma", "much"], "invalid float value: 'much'"),
    ],
)
def test_wrong_arguments(capsys, argv, message):
    line = fails(capsys, *argv)
    assert message in line
    assert line.endswith("--help`)")


# demo


@pytest.fixture
def small_demo(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pywt.data.camera", lambda: photograph().astype(np.uint8))
    return tmp_path


def decibels(out):
    return [float(x) for x in re.search(r"PSNR +(\S+) dB before, (\S+) dB after", out).groups()]


def test_demo(monkeypatch, capsys, small_demo):
    monkeypatch.setenv("FASTRESTORE_BACKEND", "numpy")
    out = works(capsys, "demo")
    assert "backend  numpy\n" in out
    assert "output   fastrestore-demo.png\n" in out
    assert re.search(r"time     \d+\.\d\d s\n", out)
    before, after = decibels(out)
    assert before == pytest.approx(20.17, abs=0.3)
    assert after > before + 5
    with Image.open("fastrestore-demo.png") as image:
        assert (image.mode, image.size) == ("L", (2 * 40 + 4, 48))
        pixels = np.asarray(image)
    noise = np.random.default_rng(0).normal(0, 25, (48, 40))
    left = np.clip(photograph() + noise, 0, 255)
    assert np.abs(pixels[:, :40] - left).max() < 0.501
    assert (pixels[:, 40:44] == 255).all()
    assert psnr(photograph(), pixels[:, 44:], data_range=255) == pytest.approx(after, abs=0.1)


def test_demo_separates_first_and_later_calls(monkeypatch, capsys, small_demo, calls):
    monkeypatch.setattr("fastrestore.backends.select.select", lambda: SimpleNamespace(NAME="numba"))
    out = works(capsys, "demo", "--sigma", "60", "-o", "mine.tif")
    assert re.search(
        r"time     first call \S+ s \(compiles or loads the kernels\), then \S+ s", out
    )
    assert "backend  numba\n" in out
    before, after = decibels(out)
    assert after > before  # the noisy image itself, but clipped
    assert [call["sigma"] for call in calls] == [60, 60]
    assert [path.name for path in small_demo.iterdir()] == ["mine.tif"]


def test_demo_overwrites_only_its_own_file(capsys, monkeypatch, small_demo, calls):
    monkeypatch.setenv("FASTRESTORE_BACKEND", "numpy")
    works(capsys, "demo")
    works(capsys, "demo")
    assert "exists already; add --overwrite" in fails(capsys, "demo", "-o", "fastrestore-demo.png")
    works(capsys, "demo", "-o", "fastrestore-demo.png", "--overwrite")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sigma", "nan"], "--sigma nan: write a non-negative number, such as 25"),
        (["--sigma=-3"], "--sigma -3: write a non-negative number, such as 25"),
        (["-o", "demo.dpx"], "demo.dpx: DPX is only read; write .tif or .png"),
        (["-o", "no/demo.png"], "there is no directory no; create it first"),
    ],
)
def test_errors_of_demo(capsys, small_demo, words, message):
    assert message in fails(capsys, "demo", *words)
    assert list(small_demo.iterdir()) == []


def test_demo_with_an_unknown_backend(monkeypatch, capsys, small_demo):
    monkeypatch.setenv("FASTRESTORE_BACKEND", "abacus")
    assert "FASTRESTORE_BACKEND='abacus': there is no such" in fails(capsys, "demo")


# backends, info, cache


def test_backends(capsys):
    out = works(capsys, "backends")
    assert re.search(r"^numpy +available", out, re.MULTILINE)
    fastrestore.show_backends()
    assert out == capsys.readouterr().out


def test_info(capsys, tmp_path):
    Image.fromarray(np.array([[0, 65535, 4]], np.uint16)).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", np.array([[0.5], [-1.25]], np.float32))
    assert works(capsys, "info", tmp_path / "a.png", tmp_path / "b.npy").splitlines() == [
        f"{tmp_path / 'a.png'}: 1 x 3, uint16, min 0, max 65535, mean 21846.3",
        f"{tmp_path / 'b.npy'}: 2 x 1, float32, min -1.25, max 0.5, mean -0.375",
    ]


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="file names are text there")
def test_info_of_a_name_that_is_not_text(capsys, tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xe9.npy"
    with open(name, "wb") as file:  # noqa: PTH123
        np.save(file, np.zeros((2, 2)))
    assert r"caf\xe9.npy: 2 x 2, float64" in works(capsys, "info", os.fsdecode(name))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_printed(source, unbuffered):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        run = shell("info", source, stdout=full, unbuffered=unbuffered)
    assert run.returncode == 2
    assert run.stderr == "fastrestore: error: standard output: No space left on device\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise there")
def test_closed_output_pipe(source):
    read, write = os.pipe()
    os.close(read)
    run = shell("info", source, stdout=write)
    os.close(write)
    assert (run.returncode, run.stderr) == (141, "")


@pytest.fixture
def kernels(monkeypatch, tmp_path):
    from fastrestore.backends.numba import cache

    monkeypatch.setattr("fastrestore.cli.cache.warm", lambda profiles: 12.34 * len(profiles))
    monkeypatch.setattr(cache, "clear", lambda: 7)
    info = {"path": tmp_path, "files": 7, "bytes": 4096, "problems": []}
    monkeypatch.setattr(cache, "info", lambda: info)
    return lambda name, function: monkeypatch.setattr(cache, name, function)


def test_cache(capsys, tmp_path, kernels):
    assert works(capsys, "cache", "warm") == f"kernels ready in {12.34 * len(PROFILES):.1f} s\n"
    assert works(capsys, "cache", "warm", "np", "fast") == "kernels ready in 24.7 s\n"
    assert works(capsys, "cache", "info") == f"path   {tmp_path}\nfiles  7\nbytes  4096\n"
    assert works(capsys, "cache", "clear") == "files removed: 7\n"


def test_profiles_of_the_cache(capsys, kernels):
    message = "profile 'foo' is unknown; known are np, refilter, iterative"
    assert fails(capsys, "cache", "warm", "np", "foo").startswith(message)
    assert fails(capsys, "cache", "clear", "np") == "cache clear takes no profile: np"


def test_problems_of_the_cache(capsys, kernels):
    problems = ["a.nbc is damaged: too short", "kernels cannot be stored"]
    kernels("info", lambda: {"path": None, "files": 0, "bytes": 0, "problems": problems})
    assert (
        works(capsys, "cache", "info") == "a.nbc is damaged: too short\nkernels cannot be stored\n"
    )


def test_cache_that_cannot_be_emptied(capsys, kernels):
    def clear():
        raise PermissionError(13, "Permission denied", "kernels")

    kernels("clear", clear)
    assert fails(capsys, "cache", "clear") == "kernels: Permission denied"


def test_info_continues_after_an_unreadable_file(tmp_path, capsys):
    good = tmp_path / "good.npy"
    np.save(good, np.ones((3, 4)))
    assert main(["info", str(tmp_path / "none.npy"), str(good)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{good}: 3 x 4, float64")
    assert err == f"fastrestore: error: {tmp_path / 'none.npy'}: no such file\n"


def test_info_of_everything_in_a_folder(tmp_path, capsys, monkeypatch):
    """What is no image is named, each in a line."""
    monkeypatch.chdir(tmp_path)
    np.save("good.npy", np.ones((3, 4)))
    (tmp_path / "notes.txt").touch()
    (tmp_path / "my folder").mkdir()
    assert main(["info", "my folder/", "notes.txt", "good.npy"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("good.npy: 3 x 4, float64")
    first, second = err.splitlines()
    assert first == (
        "fastrestore: error: my folder/ is a directory; `fastrestore 'my folder'` describes it, "
        "and `fastrestore info 'my folder'/*` its files"
    )
    assert second.startswith("fastrestore: error: notes.txt: unknown extension '.txt'; use one of")
    assert ".mp4" in second
    assert ".nii.gz" in second
    np.save("noise.npy", np.random.default_rng(0).normal(100, 9, (64, 64)))
    assert main(["info", "--noise", "noise.npy", "notes.txt", "--save", "s.npz"]) == 2
    assert "; s.npz was not written" in capsys.readouterr().err
    assert not (tmp_path / "s.npz").exists()
