"""The command line: a damaged film, stack, array or volume ends in one line that names it.

Nothing else is printed, and no file is left half-written. Damage that cannot be noticed, such as a
changed pixel, gives a result.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import warnings
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from support.commandline import with_info
from support.damage import damaged, truncations
from support.videos import draw_video, keep_frames, sound

import fastrestore
from fastrestore.cli import main

SEEDS = range(33)
VALUES = np.random.default_rng(0).integers(0, 250, (5, 14, 18))
TAGS = {"description": "{}", "photometric": "minisblack"}
STACKS = {
    "gray": {"photometric": "minisblack"},
    "float": {"photometric": "minisblack", "byteorder": ">"},
    "big": {"photometric": "minisblack", "bigtiff": True},
    "imagej": {"imagej": True, "metadata": {"axes": "ZYX", "Labels": list("abcde")}},
    "ome": {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 1}},
    "deflate": {"photometric": "minisblack", "compression": "zlib"},
    "lzw": {"photometric": "minisblack", "compression": "lzw", "predictor": 2},
}
FILMS = {
    "a.mkv": {"count": 3, "tracks": [sound("aac")]},
    "a.mp4": {"codec": "libx264", "count": 6, "tracks": [sound("aac")], "rotation": 90},
    "f.mp4": {"codec": "libx264", "count": 6, "muxer": {"movflags": "+faststart"}},
    "a.avi": {"codec": "mpeg4", "count": 6},
    "a.ts": {"codec": "libx264", "count": 6},
    "a.webm": {"codec": "libvpx-vp9", "pixels": "yuva420p", "count": 4},
}
ARRAYS = ["u1", "<u2", ">i2", "<f4", ">f8"]


@pytest.fixture(autouse=True)
def identity(monkeypatch, tmp_path):
    """Replace the algorithms by the identity: only files are tested."""

    def same(volume, *_, **options):
        return with_info(volume.astype(np.float64), options)

    monkeypatch.setattr(fastrestore, "bm4d", same)
    keep_frames(monkeypatch)
    monkeypatch.chdir(tmp_path)


@cache
def contents(name):
    """Return the bytes of a file of each kind."""
    stem, _, kind = name.partition(".")
    file = io.BytesIO()
    if name in FILMS:
        draw_video(name, **FILMS[name])
        data = Path(name).read_bytes()
        Path(name).unlink()
        return data
    if kind == "npy":
        np.save(file, VALUES.astype(ARRAYS[int(stem)]))
    elif kind == "tif":
        values = VALUES.astype("f4" if stem == "float" else "u2")
        tifffile.imwrite(file, values, **STACKS[stem])
    else:
        made = [nibabel.Nifti1Image, nibabel.Nifti2Image][int(stem) % 2]
        data = made(VALUES.astype(ARRAYS[int(stem)]), np.eye(4)).to_bytes()
        return gzip.compress(data) if kind == "nii.gz" else data
    return file.getvalue()


NAMES = [
    *FILMS,
    *(f"{k}.npy" for k in range(5)),
    *(f"{name}.tif" for name in STACKS),
    *(f"{k}.{kind}" for k in range(5) for kind in ("nii", "nii.gz")),
]


def check(capfd, name, data, label):
    """Restore a damaged file."""
    Path(name).write_bytes(data)
    command, target = ("video", "out.mkv") if name in FILMS else ("volume", f"out_{name}")
    sigma = ["0.1"] if name.endswith("mkv") else ["auto"]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        status = main([command, name, "-o", target, "--quiet", "--sigma", *sigma])
    sys.stderr.flush()
    out, err = capfd.readouterr()
    lines = err.splitlines()
    errors = [line for line in lines if line.startswith("fastrestore: error: ")]
    assert out == "", label
    assert all(line.startswith("fastrestore: ") for line in lines), (label, err)
    assert len(lines) <= 3, (label, err)
    left = sorted(os.listdir())  # noqa: PTH208
    if status == 0:
        assert not errors
        assert left == sorted([name, target]), label
    else:
        assert status in (1, 2), (label, err)  # 2 for what a library says of values
        assert len(errors) == 1, (label, err)
        assert errors[0].startswith(("fastrestore: error: cannot read " + name + ": ",
                                     f"fastrestore: error: {name}")), (label, err)  # fmt: skip
        kept = [target] if "holds the result" in errors[0] else []
        assert left == sorted([name, *kept]), label
    for path in left:
        Path(path).unlink()
    return status


@pytest.mark.parametrize("name", NAMES)
def test_truncated_files(capfd, name):
    """A file cut anywhere is never taken for a whole one, except where what is cut is no data."""
    data = contents(name)
    capfd.readouterr()
    passed = [
        number
        for number, cut in enumerate(truncations(data))
        if check(capfd, name, cut, f"{number}/50") == 0
    ]
    whole = {"a.ts": 6, "a.avi": 2}  # packets of MPEG-TS have no count; the index ends an AVI
    assert len(passed) <= whole.get(name, 0), passed


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files(capfd, name):
    data = contents(name)
    capfd.readouterr()
    states = [check(capfd, name, damaged(data, seed), seed) for seed in SEEDS]
    assert len(states) - states.count(0) > len(SEEDS) // 5
