"""The command line: subcommands, arguments and how errors are told."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import fastrestore
from fastrestore.cli import main
from fastrestore.metrics import psnr

DENOISE = ["denoise", "--backend", "numpy", "--profile", "fast"]


def photograph(shape=(48, 40)):
    """A drawn scene: a ramp, a disc and a bright bar, on 0..255."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    scene = 40.0 + 2 * x
    scene[(y - 24) ** 2 + (x - 14) ** 2 < 100] = 200
    scene[:, 30:34] = 240
    return scene


def noisy(sigma=20, seed=0):
    clean = photograph()
    return np.clip(clean + np.random.default_rng(seed).normal(0, sigma, clean.shape), 0, 255)


def fails(capsys, *argv):
    """Run, and return the one line of the error."""
    status = main([str(word) for word in argv])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("fastrestore: error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err.removeprefix("fastrestore: error: ").rstrip("\n")


def works(capsys, *argv):
    """Run in silence on standard error, and return what was printed."""
    status = main([str(word) for word in argv])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    return out


def shell(*argv, unbuffered="", **options):
    return subprocess.run(
        [sys.executable, "-m", "fastrestore.cli", *map(str, argv)],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        **options,
    )


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


def test_importing_it_is_light():
    heavy = "{'numpy', 'numba', 'scipy', 'PIL', 'tifffile', 'tqdm', 'pywt'}"
    code = f"import sys, fastrestore.cli; print({heavy} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("set()\n", "")


def test_no_subcommand_prints_help(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: fastrestore ")
    for command in ("denoise", "demo", "backends", "info", "cache"):
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
        (["sharpen"], "invalid choice: 'sharpen'"),
        (["denoise", "a.png"], "required: -o/--output (see"),
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


# denoise


@pytest.mark.parametrize("stage", ["basic", "final"])
def test_denoise(capsys, tmp_path, source, stage):
    target = tmp_path / "clean.png"
    argv = [*DENOISE, source, "-o", target, "--sigma", "20/255", "--stage", stage]
    assert works(capsys, *argv) == ""
    with Image.open(source) as before, Image.open(target) as after:
        assert (after.mode, after.size) == ("L", before.size)
        gain = psnr(photograph(), after, data_range=255) - psnr(
            photograph(), before, data_range=255
        )
    assert gain > 5


def test_denoise_as_a_program_is_silent(tmp_path, source):
    target = tmp_path / "clean.png"
    run = shell(*DENOISE, source, "-o", target, "--sigma", "20/255", stdout=subprocess.PIPE)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert target.stat().st_size > 0


def test_a_warning_is_one_line(tmp_path):
    np.save(tmp_path / "in.npy", noisy().astype(np.float32) / 255)
    run = shell(*DENOISE, tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--sigma", "20")
    assert run.returncode == 0
    assert run.stderr.startswith("fastrestore: warning: sigma=20 is more than the whole range")
    assert run.stderr.count("\n") == 1


def test_8_and_16_bits_agree(capsys, tmp_path):
    image = noisy().astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "8.png")
    Image.fromarray(image.astype(np.uint16) * 257).save(tmp_path / "16.png")
    works(capsys, *DENOISE, tmp_path / "8.png", tmp_path / "16.png", "-o", tmp_path / "out",
          "--sigma", "20/255")  # fmt: skip
    low = np.asarray(Image.open(tmp_path / "out" / "8.png"), np.float64)
    high = np.asarray(Image.open(tmp_path / "out" / "16.png"), np.float64) / 257
    assert np.abs(low - high).max() <= 0.51


@pytest.mark.parametrize(
    ("dtype", "words", "expected"),
    [
        (np.uint8, ["25/255"], 25),
        (np.uint8, ["0.1"], 25.5),
        (np.uint8, ["0"], 0),
        (np.uint8, ["25", "--sigma-scale", "8bit"], 25),
        (np.uint8, ["0.5", "--sigma-scale", "8bit"], 0.5),
        (np.uint8, ["25", "--sigma-scale", "native"], 25),
        (np.uint16, ["25/255"], 25 * 257),
        (np.uint16, ["25", "--sigma-scale", "8bit"], 25 * 257),
        (np.uint16, ["25", "--sigma-scale", "native"], 25),
        (np.int16, ["0.5"], 32767 / 2),
        (np.float32, ["25/255"], 25 / 255),
        (np.float32, ["1000.5"], 1000.5),
        (np.float64, ["1e-3", "--sigma-scale", "native"], 1e-3),
        (np.float16, ["0"], 0),
        (np.uint8, ["auto"], None),
        (np.float32, ["auto"], None),
    ],
)
def test_units_of_sigma(capsys, tmp_path, calls, dtype, words, expected):
    np.save(tmp_path / "in.npy", noisy().astype(dtype))
    works(capsys, "denoise", tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--sigma", *words)
    assert calls[0]["sigma"] == (expected and pytest.approx(expected))
    assert calls[0]["dtype"] == dtype


@pytest.mark.parametrize(
    "text", ["-1", "-1/2", "nan", "inf", "inf/inf", "1/0", "x", "25/", "/255", "1/2/3", "25%", ""]
)
def test_sigma_that_is_no_number(capsys, tmp_path, source, text):
    line = fails(capsys, "denoise", source, "-o", tmp_path / "out.png", f"--sigma={text}")
    assert line == (
        " ".join(f"--sigma {text} is not a number of 0 or more; ".split())
        + " write for example 0.1 or 25/255, or auto"
    )


@pytest.mark.parametrize(
    ("dtype", "words", "messages"),
    [
        (np.uint8, ["25"], ["several things", "--sigma 25/255", "--sigma 25 --sigma-scale 8bit"]),
        (np.uint16, ["1"], ["uint16", "--sigma 1/255", "--sigma 1 --sigma-scale 8bit", "native"]),
        (np.uint8, ["300/255"], ["300/255 is the whole range", "a fraction under 1"]),
        (np.uint8, ["25/255", "--sigma-scale", "8bit"], ["25/255 is a fraction", "8bit out"]),
        (np.uint8, ["1/255", "--sigma-scale", "native"], ["1/255 is a fraction", "native out"]),
        (np.float32, ["25", "--sigma-scale", "8bit"], ["for integer files", "own units"]),
        (np.uint8, ["auto", "--sigma-scale", "8bit"], ["auto needs no scale", "8bit out"]),
    ],
)
def test_sigma_that_does_not_suit_the_file(capsys, tmp_path, calls, dtype, words, messages):
    np.save(tmp_path / "in.npy", noisy().astype(dtype))
    argv = ["denoise", tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--sigma", *words]
    line = fails(capsys, *argv)
    for message in messages:
        assert message in line
    assert calls == []
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]


def test_options_reach_bm3d(capsys, tmp_path, source, calls):
    argv = ["denoise", source, "-o", tmp_path / "out.png", "--sigma", "0.1", "--overwrite"]
    works(capsys, *argv)
    works(capsys, *argv, "--profile", "lc", "--stage", "basic", "--data-range", "200",
          "--workers", "1", "--backend", "numpy")  # fmt: skip
    shared = {"dtype": np.uint8, "sigma": pytest.approx(25.5), "progress": False}
    assert calls == [
        {"profile": "np", "stage": "final", "data_range": None, "workers": None, "backend": None}
        | shared,
        {"profile": "lc", "stage": "basic", "data_range": 200, "workers": 1, "backend": "numpy"}
        | shared,
    ]


@pytest.mark.parametrize(("words", "expected"), [([], True), (["--quiet"], False)])
def test_progress_on_a_terminal(monkeypatch, capsys, tmp_path, source, calls, words, expected):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    works(capsys, "denoise", source, "-o", tmp_path / "out.png", "--sigma", "0.1", *words)
    assert calls[0]["progress"] is expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--workers", "0"], "workers must be 1 or more"),
        (["--data-range", "-1"], "data_range must be"),
        (["--data-range", "nan"], "data_range must be"),
        (["--backend", "abacus"], "backend='abacus': there is no such backend"),
    ],
)
def test_errors_of_bm3d(capsys, tmp_path, source, words, message):
    line = fails(capsys, "denoise", source, "-o", tmp_path / "out.png", "--sigma", "0.1", *words)
    assert line.startswith(f"{source}: ")
    assert message in line


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("bad\nvalue"), "bad value"),
        (TypeError("bad type"), "bad type"),
        (fastrestore.BackendUnavailableError("no GPU"), "no GPU"),
        (MemoryError(), "there is not enough memory"),
        (MemoryError("cannot allocate 9 GiB"), "cannot allocate 9 GiB"),
    ],
)
def test_exceptions_of_bm3d_become_one_line(monkeypatch, capsys, tmp_path, source, error, message):
    def broken(*args, **options):
        raise error

    monkeypatch.setattr(fastrestore, "bm3d", broken)
    line = fails(capsys, "denoise", source, "-o", tmp_path / "out.png", "--sigma", "0.1")
    assert line == f"{source}: {message}"
    assert list(tmp_path.iterdir()) == [source]


def test_interrupt(monkeypatch, capsys, tmp_path, source):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastrestore, "bm3d", interrupted)
    assert main(["denoise", str(source), "-o", str(tmp_path / "o.png"), "--sigma", "0.1"]) == 130
    assert capsys.readouterr() == ("", "fastrestore: interrupted\n")
    assert list(tmp_path.iterdir()) == [source]


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
    assert "picture  fastrestore-demo.png\n" in out
    assert re.search(r"time     \d+\.\d\d s\n", out)
    before, after = decibels(out)
    assert before == pytest.approx(20.17, abs=0.3)
    assert after > before + 5
    with Image.open("fastrestore-demo.png") as image:
        assert (image.mode, image.size) == ("L", (2 * 40 + 4, 48))
        picture = np.asarray(image)
    noise = np.random.default_rng(0).normal(0, 25, (48, 40))
    left = np.clip(photograph() + noise, 0, 255)
    assert np.abs(picture[:, :40] - left).max() < 0.501
    assert (picture[:, 40:44] == 255).all()
    assert psnr(photograph(), picture[:, 44:], data_range=255) == pytest.approx(after, abs=0.1)


def test_demo_tells_the_first_call_from_the_next(monkeypatch, capsys, small_demo, calls):
    monkeypatch.setattr("fastrestore.backends.select", lambda: SimpleNamespace(NAME="numba"))
    out = works(capsys, "demo", "--sigma", "60", "-o", "mine.tif")
    assert re.search(
        r"time     first call \S+ s \(compiles or loads the kernels\), then \S+ s", out
    )
    assert "backend  numba\n" in out
    before, after = decibels(out)
    assert after > before  # the noisy image itself, but clipped
    assert [call["sigma"] for call in calls] == [60, 60]
    assert [path.name for path in small_demo.iterdir()] == ["mine.tif"]


def test_demo_replaces_its_own_file_only(capsys, monkeypatch, small_demo, calls):
    monkeypatch.setenv("FASTRESTORE_BACKEND", "numpy")
    works(capsys, "demo")
    works(capsys, "demo")
    assert "exists already; add --overwrite" in fails(capsys, "demo", "-o", "fastrestore-demo.png")
    works(capsys, "demo", "-o", "fastrestore-demo.png", "--overwrite")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sigma", "nan"], "--sigma nan: write a number of 0 or more, such as 25"),
        (["--sigma=-3"], "--sigma -3: write a number of 0 or more, such as 25"),
        (["-o", "demo.jpg"], "demo.jpg: unknown extension '.jpg'"),
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
def test_reader_that_went_away(source):
    read, write = os.pipe()
    os.close(read)
    run = shell("info", source, stdout=write)
    os.close(write)
    assert (run.returncode, run.stderr) == (141, "")


@pytest.fixture
def kernels(monkeypatch, tmp_path):
    from fastrestore.backends.numba import cache

    monkeypatch.setattr(cache, "warm", lambda: 12.34)
    monkeypatch.setattr(cache, "clear", lambda: 7)
    monkeypatch.setattr(cache, "info", lambda: {"path": tmp_path, "files": 7, "bytes": 4096})
    return lambda name, function: monkeypatch.setattr(cache, name, function)


def test_cache(capsys, tmp_path, kernels):
    assert works(capsys, "cache", "warm") == "kernels ready in 12.3 s\n"
    assert works(capsys, "cache", "info") == f"path   {tmp_path}\nfiles  7\nbytes  4096\n"
    assert works(capsys, "cache", "clear") == "files removed: 7\n"


def test_cache_that_is_off(capsys, kernels):
    kernels("info", lambda: {"path": None, "files": 0, "bytes": 0})
    assert works(capsys, "cache", "info") == (
        "no kernels are kept: FASTRESTORE_NUMBA_CACHE is 0, or the folder cannot be written\n"
    )


def test_cache_that_cannot_be_emptied(capsys, kernels):
    def clear():
        raise PermissionError(13, "Permission denied", "kernels")

    kernels("clear", clear)
    assert fails(capsys, "cache", "clear") == "kernels: Permission denied"


def test_info_goes_on_after_a_file_it_cannot_read(tmp_path, capsys):
    good = tmp_path / "good.npy"
    np.save(good, np.ones((3, 4)))
    assert main(["info", str(tmp_path / "none.npy"), str(good)]) == 2
    out, err = capsys.readouterr()
    assert out.startswith(f"{good}: 3 x 4, float64")
    assert err == f"fastrestore: error: {tmp_path / 'none.npy'}: no such file\n"
