"""A store of a noisy photograph, and the command that restores it in parts."""

from functools import cache
from pathlib import Path

import numpy as np
from skimage import data

import fastrestore
from fastrestore._io.images import to_type
from fastrestore._io.stores import choose
from fastrestore.cli import main

NOISY = to_type(
    data.camera()[100:400, 100:360] + np.random.default_rng(0).normal(0, 10, (300, 260)), "u1"
)
WORDS = ["--sigma", "10", "--sigma-scale", "native", "--profile", "fast", "--chunks", "96"]


def enter(monkeypatch, folder):
    """Work in a folder with a store of the photograph."""
    import zarr

    monkeypatch.chdir(folder)
    monkeypatch.setenv("FASTRESTORE_RECORDS", str(folder / ".records"))
    zarr.create_array("in.zarr", data=NOISY, chunks=(32, 32), dimension_names=("y", "x"))


@cache
def whole():
    """Return the result of restoring the photograph as a whole."""
    return to_type(fastrestore.bm3d(NOISY, 10, profile="fast"), "u1")


def run(capsys, *words, status=0):
    """Restore, and return the lines of output and errors."""
    found = main(["denoise", *map(str, words)])
    out, err = capsys.readouterr()
    assert found == status, err
    return out.splitlines(), err.splitlines()


def values(path, dataset=None):
    """Read an image."""
    return choose.read_source(Path(path), dataset).values[...]
