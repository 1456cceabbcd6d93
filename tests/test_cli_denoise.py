"""The command line: `denoise`, its units of sigma and its error messages."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support.commandline import DENOISE, fails, noisy, photograph, shell, with_info, works

import fastrestore
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
        result = with_info(image.astype(np.float32), options)
        seen.append({"dtype": image.dtype, "sigma": sigma, **options})
        return result

    monkeypatch.setattr(fastrestore, "bm3d", identity)
    return seen


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


def test_a_limit_of_memory(capsys, tmp_path, source):
    argv = [*DENOISE, source, "--sigma", "20/255", "--profile", "fast", "-o"]
    assert works(capsys, *argv, tmp_path / "whole.png") == ""
    assert works(capsys, *argv, tmp_path / "tiles.png", "--max-memory", "2e9") == ""
    assert (tmp_path / "whole.png").read_bytes() == (tmp_path / "tiles.png").read_bytes()
    words = fails(capsys, *argv, tmp_path / "none.png", "--max-memory", "1000")
    assert "max_memory=1000 bytes is too little" in words
    assert not (tmp_path / "none.png").exists()


def test_denoise_as_a_program_is_silent(tmp_path, source):
    target = tmp_path / "clean.png"
    run = shell(*DENOISE, source, "-o", target, "--sigma", "20/255", stdout=subprocess.PIPE)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert target.stat().st_size > 0


def test_a_warning_is_one_line(tmp_path):
    np.save(tmp_path / "in.npy", noisy().astype(np.float32) / 255)
    run = shell(*DENOISE, tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--sigma", "20")
    assert run.returncode == 0
    assert run.stderr.startswith("fastrestore: warning: sigma=20 exceeds the whole range")
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
def test_sigma_that_is_not_a_number(capsys, tmp_path, source, text):
    line = fails(capsys, "denoise", source, "-o", tmp_path / "out.png", f"--sigma={text}")
    assert line == (
        " ".join(f"--sigma {text} is not a non-negative number; ".split())
        + " write for example 0.1 or 25/255, or auto"
    )


@pytest.mark.parametrize(
    ("dtype", "words", "messages"),
    [
        (np.uint8, ["25"], ["is ambiguous", "--sigma 25/255", "--sigma 25 --sigma-scale 8bit"]),
        (np.uint16, ["1"], ["uint16", "--sigma 1/255", "--sigma 1 --sigma-scale 8bit", "native"]),
        (np.uint8, ["300/255"], ["300/255 is at least the whole range", "a fraction below 1"]),
        (np.uint8, ["25/255", "--sigma-scale", "8bit"], ["25/255 is a fraction", "8bit out"]),
        (np.uint8, ["1/255", "--sigma-scale", "native"], ["1/255 is a fraction", "native out"]),
        (np.float32, ["25", "--sigma-scale", "8bit"], ["for integer files", "own units"]),
        (np.uint8, ["auto", "--sigma-scale", "8bit"], ["auto has no scale", "8bit out"]),
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
    works(capsys, *argv, "--max-memory", "2e9")
    shared = {"dtype": np.uint8, "sigma": pytest.approx(25.5), "progress": False}
    shared["channel_axis"] = None
    assert [call.pop("max_memory") for call in calls] == [None, None, 2e9]
    assert calls[:2] == [
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
        (["--workers", "0"], "is not a number of threads; write 1 or more"),
        (["--data-range", "-1"], "is not a positive number"),
        (["--data-range", "nan"], "is not a positive number"),
        (["--backend", "abacus"], ": there is no such backend; use one of 'auto', "),
    ],
)
def test_errors_before_a_file_is_read(capsys, tmp_path, source, calls, words, message):
    line = fails(capsys, "denoise", source, "-o", tmp_path / "out.png", "--sigma", "0.1", *words)
    assert line.startswith(" ".join(words))
    assert message in line
    assert calls == []


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
def test_exceptions_of_bm3d_are_printed_in_one_line(
    monkeypatch, capsys, tmp_path, source, error, message
):
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


@pytest.mark.parametrize("value", [np.nan, 1e25])
def test_invalid_pixels_of_a_file(capsys, tmp_path, value):
    image = noisy(photograph(), 10).astype(np.float64)
    image[3, 4] = value
    np.save(tmp_path / "in.npy", image)
    line = fails(capsys, "denoise", tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--sigma", 10)
    assert "(3, 4)" in line
    assert line.endswith("; replace invalid pixels first")  # no command has mask=
