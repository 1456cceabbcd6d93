"""Helpers for the tests of the command line."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
from PIL import Image

from fastrestore._io import images
from fastrestore._io.picture import Picture
from fastrestore.cli import main

_RANDOM = np.random.default_rng(0)
NOISE8 = _RANDOM.integers(0, 256, (24, 17), np.uint8)
NOISE16 = _RANDOM.integers(0, 65536, (24, 17), np.uint16)
NOISE8[0, :2], NOISE16[0, :2] = (0, 255), (0, 65535)


def read(path):
    return images.read(path).values


def write(path, image):
    images.write(path, Picture(image))


def fails(capsys, *argv, status=2):
    """Run, and return the one line of the error."""
    found = main([str(word) for word in argv])
    out, err = capsys.readouterr()
    assert (found, out) == (status, "")
    assert err.startswith("fastrestore: error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err.removeprefix("fastrestore: error: ").rstrip("\n")


def denoise(capsys, *argv):
    """Run `denoise`, which must succeed without output."""
    status = main(["denoise", *map(str, argv), "--sigma", "0", "--quiet"])
    assert (status, *capsys.readouterr()) == (0, "", "")


def png(path, image=NOISE8):
    Image.fromarray(image).save(path, "PNG")
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def keep_images(monkeypatch):
    """Replace bm3d by the identity, so that a file has to come back as it was."""
    calls = []

    def bm3d(image, sigma=None, **options):
        calls.append(image)
        result = image if image.dtype.kind == "f" else image.astype(np.float64)
        return with_info(result, options)

    monkeypatch.setattr("fastrestore.bm3d", bm3d)
    return calls


def with_info(result, options):
    """Return a result, and what was used if that is wanted."""
    if not options.pop("return_info", False):
        return result
    used = {"sigma": 0.0, "estimated": False, "noise": None, "reason": "", "strength": 1.0}
    return result, SimpleNamespace(**used, backend="numba")


DENOISE = ["denoise", "--quiet", "--backend", "numpy", "--profile", "fast"]


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


def works(capsys, *argv):
    """Run a command, check that standard error is empty, and return the output."""
    status = main([str(word) for word in argv])
    out, err = capsys.readouterr()
    assert (status, err) == (0, ""), err
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
